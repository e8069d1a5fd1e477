"""``bench latency``: one incident at idle, from its report to the end of its last step."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

from governance.database.tenancy import tenant_scope
from governance.loop.sweep import sweep_forever
from governance.models import LoopTrace, Tenant

from . import scene
from .loops import ours
from .race import PATIENCE_SECONDS, BenchError, percentiles, started

# Milliseconds. The database's clock, from the trace's insertion to the finish of its last step.
WANTED = {"split": {"p50": 20.0}, "one_process": {"p95": 500.0}}
WARM = 20
# Long enough for the sweeper to be listening again.
IDLE_SECONDS = 0.02


def measure(tenant: Tenant, *, incidents: int) -> dict[str, Any]:
    """Both shapes of the product: a sweeper process of its own, and a thread beside the reporter."""
    with started(ours(tenant, processes=1)) as [sweeper]:
        sweeper.ask("go")
        split = _one_by_one(tenant, "split", incidents)
        sweeper.ask("stop")
    with _thread():
        together = _one_by_one(tenant, "one process", incidents)
    figures = {"split": percentiles(split), "one_process": percentiles(together)}
    return {
        "incidents": incidents,
        "latency_ms": figures,
        "wanted": WANTED,
        "failed": [
            f"{shape} {name}"
            for shape, limits in WANTED.items()
            for name, most in limits.items()
            if figures[shape][name] >= most
        ],
    }


@contextmanager
def _thread() -> Iterator[None]:
    leaving = threading.Event()
    thread = threading.Thread(target=_sweep, args=(leaving,), name="sweep")
    thread.start()
    try:
        yield
    finally:
        leaving.set()
        thread.join()


def _sweep(leaving: threading.Event) -> None:
    try:
        sweep_forever(leaving)
    finally:
        connection.close()


def _one_by_one(tenant: Tenant, series: str, incidents: int) -> list[float]:
    took = [_one(tenant, series, number) for number in range(WARM + incidents)]
    return took[WARM:]


def _one(tenant: Tenant, series: str, number: int) -> float:
    """Milliseconds for one incident. Asks for the end seldom, so as not to slow down what it measures."""
    time.sleep(IDLE_SECONDS)
    scene.report_many(tenant.id, number, 1, series=series)
    latest = time.monotonic() + PATIENCE_SECONDS
    while True:
        time.sleep(IDLE_SECONDS)
        with tenant_scope(tenant.id):
            trace = LoopTrace.objects.latest("id")
            if trace.state == LoopTrace.State.COMPLETE:
                finished = trace.steps.latest("finished_at").finished_at
                assert finished is not None
                return (finished - trace.started_at).total_seconds() * 1_000
        if time.monotonic() > latest:
            stands = f"{trace.stage}, {trace.state}, for {PATIENCE_SECONDS:.0f} s"
            raise BenchError(f"A loop stands at {stands}.")
