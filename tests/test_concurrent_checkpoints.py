"""Loops that wait for people do not wait for each other's people."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from governance import checkpoints
from governance.actors import Actor
from governance.database.tenancy import tenant_scope
from governance.loop.run import run_ready
from governance.models import Checkpoint, LoopTrace, Tenant
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)
RITA = Actor("user", "1", "rita")


def report(tenant: Tenant, message: str) -> str:
    try:
        with tenant_scope(tenant.id):
            return factories.report(message).trace.id
    finally:
        connections.close_all()


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(
            lambda number: f"column c{'x' * number} is missing", id="ten kinds of failure"
        ),
        pytest.param(lambda number: "no such column: custmer_id", id="one kind of failure"),
    ],
)
def test_of_ten_incidents_at_once_each_has_a_checkpoint_of_its_own(
    message: Callable[[int], str],
) -> None:
    tenant = factories.tenant("acme")
    with ThreadPoolExecutor(10) as pool:
        traces = list(pool.map(lambda number: report(tenant, message(number)), range(10)))
    run_ready()

    with tenant_scope(tenant.id):
        waiting = {each.trace_id: each for each in Checkpoint.objects.filter(state="pending")}
        assert waiting.keys() == set(traces)
        chosen = traces[3]
        mine = waiting[chosen]
        checkpoints.decide(mine, approve=False, actor=RITA, digest=mine.digest, reason="not this")
    run_ready()

    with tenant_scope(tenant.id):
        states = dict(LoopTrace.objects.values_list("id", "state"))
        assert states.pop(chosen) == "stopped"
        assert set(states.values()) == {"waiting"}
        assert Checkpoint.objects.filter(state="pending").count() == 9
