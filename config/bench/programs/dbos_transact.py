"""Rival (b): DBOS Transact, a workflow of five steps taken from its queue. Runs in an environment of its own.

Settings follow its documentation: a database-backed queue with a worker concurrency ("Queues & Concurrency",
docs.dbos.dev/python/tutorials/queue-tutorial), steps ("Steps",
docs.dbos.dev/python/tutorials/step-tutorial) and an executor_id for each process ("Configuration",
docs.dbos.dev/python/reference/configuration). Two choices are made in its favour. Its default poll of 1 s would cap it
at (2 x worker concurrency) loops a second, so it polls ten times as often. And each stage is a plain step with a
transaction of its own, which may be repeated after a crash; DBOS's datasource transactions ("Datasources",
docs.dbos.dev/python/reference/datasources), which commit rows and checkpoint together as everybody else here does,
cost 45-49 ms of CPU a loop where steps cost 23-34 (two alternating runs of 300 loops each, on a busy machine).
"""

from __future__ import annotations

import os
import threading
import time

import sqlalchemy as sa  # type: ignore[import-not-found]
from dbos import DBOS, DBOSConfig  # type: ignore[import-not-found]
from sqlalchemy.dialects.postgresql import JSONB  # type: ignore[import-not-found]

from .protocol import Counter, count_statements, serve
from .rows import STAGES, loop_name, rows_of

SCHEMA = "dbos_transact"
QUEUE = "loops"
# More than its executor has threads, so that none waits for the next poll. From 6 to 200 made no difference beyond
# the noise of a busy machine.
WORKER_CONCURRENCY = 100
POLL_SECONDS = 0.1

_DETAILS = sa.bindparam("details", type_=JSONB)
_STATEMENTS = {
    "effects": sa.text(
        "INSERT INTO effect (id, loop, stage, details) VALUES (:id, :loop, :stage, :details)"
    ).bindparams(_DETAILS),
    "events": sa.text(
        "INSERT INTO event (id, loop, stage, headline, details)"
        " VALUES (:id, :loop, :stage, :headline, :details)"
    ).bindparams(_DETAILS),
    "entries": sa.text(
        "INSERT INTO entry (id, loop, stage, body, hash) VALUES (:id, :loop, :stage, :body, :hash)"
    ),
}
_ROWS = int(os.environ["BENCH_ROWS"])

engine = sa.create_engine(
    sa.make_url(os.environ["BENCH_URL"]).set(drivername="postgresql+psycopg"),
    connect_args={"options": f"-c search_path={SCHEMA}"},
    pool_size=20,
)


@DBOS.step()  # type: ignore[untyped-decorator]
def cross(loop: str, stage: str) -> None:
    """One stage: its rows in one transaction. DBOS then keeps, in another, that it was done."""
    rows = rows_of(loop, stage, _ROWS)
    with engine.begin() as connection:
        for name, statement in _STATEMENTS.items():
            if each := getattr(rows, name):
                connection.execute(statement, each)


@DBOS.workflow()  # type: ignore[untyped-decorator]
def go_round(loop: str) -> None:
    """One loop."""
    for stage in STAGES:
        cross(loop, stage)


class DbosTransact:
    """One executor. The queue's worker concurrency is 0 until the harness says go."""

    def __init__(self) -> None:
        config: DBOSConfig = {
            "name": "bench",
            "system_database_url": os.environ["BENCH_URL"],
            "executor_id": f"bench-{os.getpid()}",
            "application_version": "bench",
            "log_level": "ERROR",
        }
        DBOS(config=config)
        DBOS.launch()
        self._queue = DBOS.register_queue(
            QUEUE,
            worker_concurrency=0,
            polling_interval_sec=POLL_SECONDS,
            on_conflict="always_update",
        )

    def queue(self, first: int, count: int) -> None:
        for number in range(first, first + count):
            DBOS.enqueue_workflow(QUEUE, go_round, loop_name(number))

    def work(self, leaving: threading.Event) -> None:
        self._queue.set_worker_concurrency(WORKER_CONCURRENCY)
        leaving.wait()
        self._queue.set_worker_concurrency(0)
        # A poll that has begun still goes by what it has read.
        time.sleep(3 * POLL_SECONDS)


if __name__ == "__main__":
    counter = Counter()
    count_statements(counter.add)
    serve(DbosTransact(), counter.value)
    DBOS.destroy()
