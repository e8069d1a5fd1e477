"""``bench loop``: the product and its three rivals, in interleaved rounds."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable
from typing import Any

from governance.models import Tenant

from . import rivals
from .environments import CannotRun
from .race import BenchError, Lap, Observer, Racer, run_round

# What the product must at least reach, as its speed divided by the rival's.
WANTED = {"dbos": 3.0, "celery_chain": 3.0, "hand_written": 0.35}
ROUNDS = 3
RIVALS = {
    "hand_written": rivals.hand_written,
    "dbos": rivals.dbos,
    "celery_chain": rivals.celery_chain,
}
# Not effects: the queue's own book-keeping, as the rivals have theirs, signs of life, and what the notary writes
# about entries whenever it comes by. They cost us time all the same.
BOOKS = frozenset(
    f"public.governance_{name}"
    for name in ("loopstep", "heartbeat", "ledgerleaf", "ledgermark", "ledgernode", "ledgernote")
)
CALIBRATION_LOOPS = 40

Say = Callable[[str], object]


def ours(tenant: Tenant, *, processes: int = 2) -> Racer:
    """The product as the harness starts it."""
    return Racer(
        name="ours",
        command=[sys.executable, "-m", "config.bench.programs.ours"],
        environ={**os.environ, "BENCH_TENANT": tenant.id},
        finished="SELECT count(*), max(ended_at) FROM governance_looptrace WHERE state = 'complete'",
        spans="""
            SELECT extract(epoch FROM trace.ended_at - match.created_at) * 1000
              FROM governance_looptrace trace
              JOIN catalog_patternmatch match ON match.incident_id = trace.incident_id
             WHERE trace.ended_at > %(since)s
        """,
        processes=processes,
    )


def compare(tenant: Tenant, *, loops: int, rounds: int = ROUNDS, say: Say) -> dict[str, Any]:
    """Race all four; ``ratios`` has None for a rival that cannot run here, and ``skipped`` says why."""
    with Observer(tenant.id) as observer:
        racers, skipped, rows = _line_up(tenant, observer, say)
        laps: dict[str, list[Lap]] = {name: [] for name in racers}
        for number in range(1, rounds + 1):
            for name, racer in racers.items():
                lap = run_round(racer, observer, warm=max(20, loops // 10), loops=loops)
                _check_rows(name, lap, rows)
                laps[name].append(lap)
                say(f"round {number}: {name:<13} {lap.loops / lap.seconds:8.1f} loops/s")
    middle = {name: middle_of(each) for name, each in laps.items()}
    speed = {name: lap.loops / lap.seconds for name, lap in middle.items()}
    ratios = {
        name: round(speed["ours"] / speed[name], 3) if name in speed else None for name in WANTED
    }
    return {
        "loops": loops,
        "rounds": rounds,
        "rows_of_effect": rows,
        "systems": {name: figures_of(middle[name], laps[name]) for name in racers},
        "skipped": skipped,
        "ratios": ratios,
        "wanted": WANTED,
        "failed": [
            name for name, ratio in ratios.items() if ratio is not None and ratio < WANTED[name]
        ],
    }


def _line_up(
    tenant: Tenant, observer: Observer, say: Say
) -> tuple[dict[str, Racer], dict[str, str], int]:
    """Who races, who cannot, and the rows of effect of one of our loops, which the rivals must write too."""
    racers, skipped = {"ours": ours(tenant)}, {}
    tried = run_round(racers["ours"], observer, warm=0, loops=CALIBRATION_LOOPS)
    rows, rest = divmod(
        sum(count for table, count in tried.rows.items() if table not in BOOKS), tried.loops
    )
    if rest:
        raise BenchError(f"The product's loops differ: {tried.rows} rows for {tried.loops} loops.")
    for name, rival in RIVALS.items():
        try:
            racers[name] = rival(rows)
        except CannotRun as why:
            skipped[name] = str(why)
            say(f"{name} is left out: {why}")
    return racers, skipped, rows


def _check_rows(name: str, lap: Lap, rows: int) -> None:
    """Nobody may be fast by writing less."""
    if name == "ours":
        written = sum(count for table, count in lap.rows.items() if table not in BOOKS)
    else:
        effects = ("effect", "event", "entry")
        written = sum(
            count for table, count in lap.rows.items() if table.partition(".")[2] in effects
        )
    if written != rows * lap.loops:
        raise BenchError(
            f"{name} wrote {written} rows of effect for {lap.loops} loops, not {rows} each."
        )


def middle_of(laps: list[Lap]) -> Lap:
    """The lap with the median speed."""
    return sorted(laps, key=lambda lap: lap.loops / lap.seconds)[len(laps) // 2]


def figures_of(middle: Lap, laps: list[Lap]) -> dict[str, Any]:
    speeds = [round(lap.loops / lap.seconds, 1) for lap in laps]
    return {**middle.figures(), "all_rounds": speeds, "median": round(statistics.median(speeds), 1)}
