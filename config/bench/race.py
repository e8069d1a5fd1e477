"""The harness: starts a program's processes, lets them all go at once, and measures until the last loop ends."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg import sql

from . import cpu, place

PROCESSES = 2
POLL_SECONDS = 0.1
# A program that finishes nothing for this long is broken, not slow.
PATIENCE_SECONDS = 60.0
LEAVING_SECONDS = 20.0
ROOT = Path(__file__).resolve().parents[2]


class BenchError(RuntimeError):
    """A program of the race did not do what it must; the message says what."""


@dataclass(frozen=True)
class Racer:
    """One program: how it is started, and how the database tells what it has finished.

    ``finished`` answers (number of finished loops, time of the last); ``spans`` one row for each loop that
    finished after %(since)s: the milliseconds from its first row to its last.
    """

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    finished: str
    spans: str
    prepare: str = ""  # SQL, run as the owner before each round
    processes: int = PROCESSES
    redis: str = ""


@dataclass(frozen=True)
class Lap:
    """What one timed run came to. CPU is None where the server's processes cannot be seen."""

    loops: int
    seconds: float
    worker_cpu: float
    postgres_cpu: float | None
    redis_cpu: float | None
    statements: int
    transactions: int
    spans_ms: list[float] = field(repr=False)
    rows: dict[str, int]

    def figures(self) -> dict[str, Any]:
        """For one loop, as printed."""
        known = [
            each
            for each in (self.worker_cpu, self.postgres_cpu, self.redis_cpu)
            if each is not None
        ]
        return {
            "loops_per_second": round(self.loops / self.seconds, 1),
            "cpu_ms_per_loop": {
                "workers": _per(self.worker_cpu, self.loops),
                "postgres": _per(self.postgres_cpu, self.loops),
                "redis": _per(self.redis_cpu, self.loops),
                "all": _per(sum(known), self.loops),
            },
            "queries_per_loop": round(self.statements / self.loops, 2),
            "write_transactions_per_loop": round(self.transactions / self.loops, 2),
            "loop_ms": percentiles(self.spans_ms),
            "rows_per_loop": round(sum(self.rows.values()) / self.loops, 2),
        }


def _per(seconds: float | None, loops: int) -> float | None:
    return None if seconds is None else round(1_000 * seconds / loops, 3)


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50 and p95, with two decimals."""
    if len(values) < 2:
        return {"p50": round(sum(values), 2), "p95": round(sum(values), 2)}
    cuts = statistics.quantiles(values, n=20, method="inclusive")
    return {"p50": round(cuts[9], 2), "p95": round(cuts[18], 2)}


class Observer:
    """The harness's own connection: as the owner, in the bench's tenant, reading and tidying only."""

    def __init__(self, tenant_id: str) -> None:
        self._connection = psycopg.connect(**place.dsn(owner=True), autocommit=True)
        self._connection.execute("SELECT set_config('app.tenant', %s, false)", (tenant_id,))
        self._postmaster = cpu.postmaster(self._connection.info.backend_pid)

    def one(self, query: str) -> tuple[Any, ...]:
        row = self._connection.execute(query.encode()).fetchone()
        assert row is not None
        return tuple(row)

    def run(self, script: str) -> None:
        self._connection.execute(script.encode())
        # A script may have gone into a schema of its own.
        self._connection.execute("RESET search_path")

    def spans(self, racer: Racer, since: datetime) -> list[float]:
        rows = self._connection.execute(racer.spans.encode(), {"since": since}).fetchall()
        return [float(ms) for (ms,) in rows]

    def now(self) -> datetime:
        found: datetime = self.one("SELECT clock_timestamp()")[0]
        return found

    def transactions(self) -> int:
        """How many transactions have written so far: each takes a number."""
        return int(self.one("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")[0])

    def postgres_cpu(self) -> float | None:
        return cpu.of_tree(self._postmaster) if self._postmaster else None

    def tidy(self) -> None:
        """Everybody starts with fresh statistics and no dead rows."""
        self.run("VACUUM (ANALYZE)")

    def rows(self) -> dict[str, int]:
        """How many rows each table of ours or of a program holds."""
        tables = self._connection.execute(
            "SELECT schemaname, tablename FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        counts = {}
        for schema, table in tables:
            query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, table))
            row = self._connection.execute(query).fetchone()
            counts[f"{schema}.{table}"] = int(row[0]) if row else 0
        return counts

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()


class Process:
    """One process of a program, spoken to by ``programs.protocol``."""

    def __init__(self, racer: Racer) -> None:
        self._name = racer.name
        self._popen = subprocess.Popen(  # noqa: S603 - our own programs
            racer.command,
            cwd=ROOT,
            env=dict(racer.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def say(self, words: str) -> None:
        assert self._popen.stdin is not None
        try:
            self._popen.stdin.write(words + "\n")
            self._popen.stdin.flush()
        except OSError as error:
            raise BenchError(f"{self._name} has left (exit code {self._popen.poll()}).") from error

    def hear(self) -> dict[str, Any]:
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        if not line:
            raise BenchError(
                f"{self._name} left with exit code {self._popen.wait()}; its words are above."
            )
        heard: dict[str, Any] = json.loads(line)
        return heard

    def ask(self, words: str) -> dict[str, Any]:
        self.say(words)
        return self.hear()

    def cpu(self) -> float:
        return cpu.of_tree(self._popen.pid)

    def leave(self) -> None:
        assert self._popen.stdin is not None
        with suppress(BrokenPipeError):  # it has left already
            self._popen.stdin.close()
        try:
            self._popen.wait(timeout=LEAVING_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        assert self._popen.stdout is not None
        self._popen.stdout.close()


@contextmanager
def started(racer: Racer) -> Iterator[list[Process]]:
    """The program's processes, ready; they leave at the end."""
    processes: list[Process] = []
    try:
        for _ in range(racer.processes):
            processes.append(Process(racer))
            # One after the other: the first may have to make tables.
            processes[-1].hear()
        yield processes
    finally:
        for process in processes:
            process.leave()


def run_round(racer: Racer, observer: Observer, *, warm: int, loops: int) -> Lap:
    """One round of one program in fresh processes: ``warm`` loops that do not count, then ``loops`` that do."""
    if racer.prepare:
        observer.run(racer.prepare)
    with started(racer) as processes:
        if warm:
            run_lap(racer, processes, observer, first=0, loops=warm)
        return run_lap(racer, processes, observer, first=warm, loops=loops)


def run_lap(
    racer: Racer, processes: Sequence[Process], observer: Observer, *, first: int, loops: int
) -> Lap:
    """Queue the loops, then let go and wait for the last."""
    done, _ = observer.one(racer.finished)
    processes[0].ask(f"queue {first} {loops}")
    observer.tidy()
    if observer.one(racer.finished)[0] != done:
        raise BenchError(f"{racer.name} began before it was let go.")
    rows, redis = observer.rows(), _redis_cpu(racer.redis)
    transactions, postgres = observer.transactions(), observer.postgres_cpu()
    workers = sum(process.cpu() for process in processes)
    since = observer.now()
    for process in processes:
        process.say("go")
    ended = finished(racer, observer, done + loops)
    workers = sum(process.cpu() for process in processes) - workers
    postgres_after = observer.postgres_cpu()
    transactions = observer.transactions() - transactions
    redis_after = _redis_cpu(racer.redis)
    for process in processes:
        process.hear()
    statements = sum(process.ask("stop")["statements"] for process in processes)
    after = observer.rows()
    return Lap(
        loops=loops,
        seconds=(ended - since).total_seconds(),
        worker_cpu=workers,
        postgres_cpu=_difference(postgres_after, postgres),
        redis_cpu=_difference(redis_after, redis),
        statements=statements,
        transactions=transactions,
        spans_ms=observer.spans(racer, since),
        rows={
            name: count - rows.get(name, 0)
            for name, count in after.items()
            if count != rows.get(name, 0)
        },
    )


def finished(racer: Racer, observer: Observer, wanted: int) -> datetime:
    """The time at which the last of the wanted loops ended."""
    best, since = -1, time.monotonic()
    while True:
        done, ended = observer.one(racer.finished)
        if done >= wanted:
            found: datetime = ended
            return found
        if done > best:
            best, since = done, time.monotonic()
        elif time.monotonic() - since > PATIENCE_SECONDS:
            raise BenchError(
                f"{racer.name} stands at {done} of {wanted} loops for {PATIENCE_SECONDS:.0f} s."
            )
        time.sleep(POLL_SECONDS)


def _difference(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before


def _redis_cpu(address: str) -> float | None:
    """CPU seconds of the Redis server itself."""
    if not address:
        return None
    import redis

    with redis.Redis.from_url(address) as client:
        used: dict[str, Any] = client.info("cpu")
    return float(used["used_cpu_sys"]) + float(used["used_cpu_user"])
