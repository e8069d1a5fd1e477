"""The fourth bridge: what an active policy does to a weight."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from governance.database.tenancy import leave_tenant, tenant_scope
from governance.loop.bridges import GoOn, Stop, Wait, Work
from governance.models import Tenant
from policies.models import Policy
from routing import bridge, dispatch, services
from routing.models import Adjustment, AdjustmentEvidence
from tests import factories

from .making import TOOL, adjustment, again, land, outcomes, policy, work

DAY = timedelta(days=1)


def test_an_active_policy_lowers_the_weight_of_the_agent_that_failed(acme: Tenant) -> None:
    outcome = land(work(policy()))

    made = Adjustment.objects.get()
    assert isinstance(outcome, GoOn)
    assert outcome.headline == "Weight of scout for sql_query lowered by 0.18 for 7 days"
    assert outcome.facts == {"adjustment_id": made.id}
    assert made.magnitude == pytest.approx(-0.18)
    assert made.ends_at - made.started_at == 7 * DAY
    assert dispatch.weight(factories.agent(), TOOL) == pytest.approx(0.82, abs=0.001)


@pytest.mark.parametrize(
    ("action", "type_", "headline"),
    [
        ("route_away", "route_block", "Weight of scout for sql_query lowered by 0.18 for 7 days"),
        (
            "escalate",
            "escalation_add",
            "Escalation of scout for sql_query raised by 0.18 for 7 days",
        ),
    ],
)
def test_the_policys_action_decides_what_is_adjusted(
    acme: Tenant, action: str, type_: str, headline: str
) -> None:
    outcome = land(work(policy(action=action)))
    assert Adjustment.objects.get().type == type_
    assert isinstance(outcome, GoOn)
    assert outcome.headline == headline


@pytest.mark.parametrize("details", [{"action": "warn"}, {"action": "kill"}, {"confidence": 0.0}])
def test_a_policy_that_leaves_routing_alone_lets_the_loop_go_on(
    acme: Tenant, details: dict[str, object]
) -> None:
    outcome = land(work(policy(**details)))
    assert isinstance(outcome, GoOn)
    assert outcome.facts == {}
    assert not Adjustment.objects.exists()


def test_without_a_tool_the_policys_tool_is_adjusted_and_otherwise_nothing(acme: Tenant) -> None:
    land(work(policy(), tool=""))
    assert not Adjustment.objects.exists()

    land(work(policy(tool="http_get"), tool=""))
    assert Adjustment.objects.get().capability == "http_get"


@pytest.mark.parametrize("state", ["draft", "shadow", "pending", "suspended"])
def test_a_policy_that_is_not_in_force_is_waited_for(acme: Tenant, state: str) -> None:
    waiting_for = policy(state=state)
    outcome = land(work(waiting_for))
    assert isinstance(outcome, Wait)
    assert outcome.failure_state == "policy_shadow_mode"
    assert outcome.waits_for == waiting_for.id


def test_a_retired_policy_stops_the_loop(acme: Tenant) -> None:
    outcome = land(work(policy(state="retired")))
    assert isinstance(outcome, Stop)
    assert outcome.failure_state == "policy_rejected"


@pytest.mark.parametrize("policy_id", ["pol_unknown", "", None])
def test_without_a_policy_the_loop_stops(acme: Tenant, policy_id: str | None) -> None:
    outcome = land(work(policy(), policy_id=policy_id))
    assert isinstance(outcome, Stop)
    assert outcome.failure_state == "policy_low_confidence"


def test_an_activation_is_not_missed_by_a_loop_that_is_about_to_wait(acme: Tenant) -> None:
    waiting_for = policy(state="shadow")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        land(work(waiting_for))
    assert any("policies_policy" in q["sql"] and "FOR SHARE" in q["sql"] for q in queries)


def test_the_next_incident_supports_the_open_adjustment(acme: Tenant) -> None:
    by = policy()
    land(work(by))
    outcome = land(work(by))

    assert isinstance(outcome, GoOn)
    assert outcome.facts == {"adjustment_id": Adjustment.objects.get().id}
    assert outcome.headline.startswith("Supports what is in force until")
    assert AdjustmentEvidence.objects.count() == 2


def test_landing_twice_changes_nothing(acme: Tenant) -> None:
    one = work(policy())
    again(one, land(one))
    assert Adjustment.objects.count() == AdjustmentEvidence.objects.count() == 1


def test_another_agent_or_tool_gets_an_adjustment_of_its_own(acme: Tenant) -> None:
    by = policy()
    works = [work(by), work(by, agent="rover"), work(by, tool="http_get"), work(by)]
    outcomes_ = bridge.land(works)
    assert Adjustment.objects.count() == 3
    assert outcomes_[works[0].step_id].facts == outcomes_[works[3].step_id].facts


def test_forty_works_whose_adjustment_is_open_take_five_queries(acme: Tenant) -> None:
    by = policy()
    land(work(by))
    works = [work(by) for _ in range(40)]
    with CaptureQueriesContext(connection) as queries:
        landed = bridge.land(works)
    assert len(queries) <= 5, [query["sql"][:120] for query in queries]
    assert all(isinstance(outcome, GoOn) for outcome in landed.values())
    assert AdjustmentEvidence.objects.count() == 41


def test_a_mixed_batch_gets_one_outcome_for_each_work(acme: Tenant) -> None:
    active, shadow, retired = policy(), policy(state="shadow"), policy(state="retired")
    works = [work(one) for one in (shadow, active, retired, active)]
    landed = bridge.land(works)
    assert [type(landed[one.step_id]) for one in works] == [Wait, GoOn, Stop, GoOn]


def test_an_adjustment_that_has_run_out_is_closed_and_a_new_one_opened(acme: Tenant) -> None:
    by = policy()
    old = adjustment(by, started_at=timezone.now() - 8 * DAY)
    outcome = land(work(by))
    old.refresh_from_db()
    assert old.state == "ended"
    assert outcome.facts["adjustment_id"] != old.id


@pytest.mark.parametrize(("ok", "failed", "baseline"), [(15, 5, 0.75), (15, 4, None), (0, 20, 0.0)])
def test_the_baseline_is_the_success_rate_of_thirty_days(
    acme: Tenant, ok: int, failed: int, baseline: float | None
) -> None:
    outcomes(ok, failed)
    outcomes(0, 30, at=timezone.now() - 31 * DAY)
    outcomes(0, 30, simulated=True)
    outcomes(0, 30, tool="http_get")
    land(work(policy()))
    assert Adjustment.objects.get().kpi_baseline == baseline


def test_reactivation_lets_open_adjustments_count_again(acme: Tenant) -> None:
    by = policy()
    land(work(by))
    Policy.objects.filter(pk=by.pk).update(state="shadow")
    assert dispatch.weight(factories.agent(), TOOL) == 1.0
    Policy.objects.filter(pk=by.pk).update(state="active")
    assert services.readjust(by, actor=factories.SCOUT) == 1
    assert dispatch.weight(factories.agent(), TOOL) < 1.0
    assert services.readjust(policy(), actor=factories.SCOUT) == 0


def test_the_story_of_an_adjustment_is_its_id(acme: Tenant) -> None:
    made = adjustment(policy())
    assert services.story(made.id) == {"id": made.id}
    assert services.story("adj_unknown") is None


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_make_one_adjustment(acme: Tenant) -> None:
    leave_tenant()
    with tenant_scope(acme.id):
        by = policy()
        works = [work(by), work(by)]
    first_has_landed, first_may_commit = threading.Event(), threading.Event()

    def first() -> None:
        with tenant_scope(acme.id):
            bridge.land(works[:1])
            first_has_landed.set()
            first_may_commit.wait(20)
        connections.close_all()

    def second() -> None:
        with tenant_scope(acme.id):
            bridge.land(works[1:])
        connections.close_all()

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert first_has_landed.wait(20)
    threads[1].start()
    _wait_until_somebody_waits()
    first_may_commit.set()
    for thread in threads:
        thread.join(20)

    with tenant_scope(acme.id):
        made = Adjustment.objects.get()
        assert made.evidence.count() == 2


def _wait_until_somebody_waits() -> None:
    tick = threading.Event()
    for _ in range(2_000):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            )
            if cursor.fetchone()[0]:
                return
        tick.wait(0.005)
    pytest.fail("the second worker did not wait for the first")


def test_an_outsider_sees_no_adjustment(acme: Tenant, umbra: Tenant) -> None:
    one: Work = work(policy())
    land(one)
    leave_tenant()
    with tenant_scope(umbra.id):
        assert not Adjustment.objects.exists()
        assert not AdjustmentEvidence.objects.exists()
