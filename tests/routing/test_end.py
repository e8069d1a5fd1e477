"""How an adjustment ends: by time, by a person, by its effect, with its loop."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from governance.actors import CLOCK, Actor
from governance.database.tenancy import leave_tenant, tenant_scope
from governance.loop.bridges import GoOn, Stop
from governance.models import LedgerEntry, LoopEvent, LoopTrace, Tenant
from governance.refusals import Invalid
from governance.states import IllegalMove
from routing import bridge, dispatch, services, tasks
from routing.models import Adjustment
from tests import factories

from .making import TOOL, adjustment, again, land, outcomes, policy, work

DAY = timedelta(days=1)


def test_what_has_decayed_is_closed_and_told(acme: Tenant) -> None:
    by = policy()
    old = adjustment(by, started_at=timezone.now() - 7 * DAY)
    young = adjustment(by, capability="http_get", started_at=timezone.now() - 6 * DAY)

    assert services.end_adjustments() == 1
    assert services.end_adjustments() == 0

    old.refresh_from_db()
    young.refresh_from_db()
    assert (old.state, young.state) == ("ended", "open")
    told = LoopEvent.objects.get(trace_id=by.trace_id, type="adjustment_ended")
    assert told.subject == old.id
    assert LedgerEntry.objects.filter(kind="adjustment.ended", subject=old.id).exists()


def test_the_clock_sees_to_every_tenant(acme: Tenant, umbra: Tenant) -> None:
    leave_tenant()
    for tenant in (acme, umbra):
        with tenant_scope(tenant.id):
            adjustment(policy(), started_at=timezone.now() - 8 * DAY)
    assert tasks.end_adjustments() == 2


def test_a_person_rolls_back_with_a_reason(acme: Tenant, rita: Actor) -> None:
    by = policy()
    one = adjustment(by)
    with pytest.raises(Invalid):
        services.roll_back(one, actor=rita, reason=" ")
    services.roll_back(one, actor=rita, reason="scout was not to blame")

    one.refresh_from_db()
    assert (one.state, one.failure_state) == ("rolled_back", "")
    assert one.reason == "scout was not to blame"
    assert one.ends_at < timezone.now()
    assert dispatch.weight(factories.agent(), TOOL) == 1.0
    told = LoopEvent.objects.get(trace_id=by.trace_id, type="adjustment_rolled_back")
    assert told.actor == str(rita)
    with pytest.raises(IllegalMove):
        services.roll_back(one, actor=rita, reason="again")


def test_a_policy_without_a_trace_ends_its_adjustments_in_silence(
    acme: Tenant, rita: Actor
) -> None:
    services.roll_back(adjustment(policy(trace=None)), actor=rita, reason="a try")
    assert not LoopEvent.objects.filter(type="adjustment_rolled_back").exists()


@pytest.mark.parametrize(
    ("ok", "failed", "rolled_back"),
    [(14, 6, 1), (18, 2, 0), (15, 4, 0)],
    ids=["it fell", "it held", "too few to tell"],
)
def test_a_falling_success_rate_rolls_back(
    acme: Tenant, ok: int, failed: int, rolled_back: int
) -> None:
    by = policy()
    started = timezone.now() - DAY
    outcomes(0, 50, at=started - DAY)
    one = adjustment(by, started_at=started, kpi_baseline=0.9)
    outcomes(ok, failed)

    assert services.check_kpis() == rolled_back

    one.refresh_from_db()
    assert one.state == ("rolled_back" if rolled_back else "open")
    told = LoopEvent.objects.filter(trace_id=by.trace_id, type="adjustment_rolled_back")
    assert [each.details["failure_state"] for each in told] == (
        ["routing_kpi_regression"] * rolled_back
    )


def test_without_a_baseline_nothing_is_judged(acme: Tenant) -> None:
    adjustment(policy(), started_at=timezone.now() - DAY)
    outcomes(0, 50)
    assert services.check_kpis() == 0


def test_many_open_adjustments_are_judged_in_one_query(acme: Tenant) -> None:
    by = policy()
    for place in range(20):
        adjustment(by, capability=f"tool {place}", kpi_baseline=0.9)
    with CaptureQueriesContext(connection) as queries:
        services.check_kpis()
    assert len(queries) == 1


def test_after_a_regression_the_weight_is_left_alone_until_a_person_tries_again(
    acme: Tenant,
) -> None:
    by = policy()
    adjustment(by, started_at=timezone.now() - DAY, kpi_baseline=0.9)
    outcomes(10, 10)
    services.check_kpis()

    one = work(by)
    stopped = land(one)
    assert isinstance(stopped, Stop)
    assert stopped.failure_state == "routing_kpi_regression"
    assert "fell from 90% to 50%" in stopped.headline
    assert isinstance(land(work(by)), Stop)
    assert isinstance(land(work(by, tool="http_get")), GoOn)

    assert isinstance(again(one, stopped), GoOn)
    assert isinstance(land(work(by)), GoOn)


def test_a_regression_is_forgotten_after_seven_days(acme: Tenant) -> None:
    by = policy()
    adjustment(
        by,
        state="rolled_back",
        failure_state="routing_kpi_regression",
        started_at=timezone.now() - 9 * DAY,
        ends_at=timezone.now() - 7 * DAY,
    )
    assert isinstance(land(work(by)), GoOn)


def test_a_person_who_rolled_back_does_not_stop_the_next_loop(acme: Tenant, rita: Actor) -> None:
    by = policy()
    services.roll_back(adjustment(by), actor=rita, reason="too early")
    assert isinstance(land(work(by)), GoOn)


def test_reverting_a_loop_takes_back_what_only_it_caused(acme: Tenant, rita: Actor) -> None:
    by = policy()
    alone, first, second = work(by, tool="http_get"), work(by), work(by)
    bridge.land([alone, first, second])

    bridge.undo(alone.incident_id, alone.trace_id, rita, "a mistake")
    assert _state("http_get") == "reverted"

    _revert(first.trace_id)
    bridge.undo(first.incident_id, first.trace_id, rita, "a mistake")
    assert _state(TOOL) == "open"

    _revert(second.trace_id)
    bridge.undo(second.incident_id, second.trace_id, rita, "a mistake")
    assert _state(TOOL) == "reverted"
    assert dispatch.weight(factories.agent(), TOOL) == 1.0


def _revert(trace_id: str) -> None:
    LoopTrace.objects.filter(pk=trace_id).update(state=LoopTrace.State.REVERTED)


def _state(capability: str) -> str:
    return Adjustment.objects.get(capability=capability).state


def test_the_clock_does_not_end_what_somebody_ended_first(acme: Tenant) -> None:
    one = adjustment(policy(), started_at=timezone.now() - 8 * DAY)
    services.roll_back(one, actor=CLOCK, reason="first")
    assert services.end_adjustments() == 0
