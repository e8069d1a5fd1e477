"""The governor says no: freezes, the question that is asked, and what its answer does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from governance import checkpoints
from governance.actors import CLOCK, Actor
from governance.loop.bridges import GoOn, Stop, Wait
from governance.models import Checkpoint, LedgerEntry, LoopEvent, LoopStep, Settings, Tenant
from policies.models import Policy
from routing import services
from routing.models import Adjustment, AdjustmentEvidence, Freeze

from .making import TOOL, adjustment, again, land, policy, work

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def busy(acme: Tenant) -> Policy:
    """A policy that has adjusted scout five times within the hour, for tools of other names."""
    by = policy()
    for place in range(5):
        adjustment(by, capability=f"tool {place}", started_at=timezone.now() - 30 * MINUTE)
    return by


def test_the_sixth_adjustment_of_an_agent_within_an_hour_waits_for_a_person(busy: Policy) -> None:
    outcome = land(work(busy))

    question = Checkpoint.objects.get()
    assert isinstance(outcome, Wait)
    assert outcome.failure_state == "routing_guardrail_blocked"
    assert outcome.waits_for == question.id
    assert "5 adjustments of this agent" in outcome.headline
    retry_at = question.shown["retry_at"]
    assert retry_at[11:16] in outcome.headline
    assert question.type == "override_guardrail"
    assert question.shown["magnitude"] == pytest.approx(-0.18)
    assert not Adjustment.objects.filter(capability=TOOL).exists()


def test_another_agent_is_not_held_back(busy: Policy) -> None:
    assert isinstance(land(work(busy, agent="rover")), GoOn)


def test_the_eleventh_adjustment_of_a_tenant_freezes_it(acme: Tenant) -> None:
    by = policy()
    for place in range(10):
        adjustment(by, agent=f"agent {place}")
    assert isinstance(land(work(by)), Wait)

    freeze = Freeze.objects.get()
    assert (freeze.agent_id, freeze.capability) == (None, "")
    assert freeze.until - timezone.now() == pytest.approx(15 * MINUTE, abs=MINUTE)
    assert LedgerEntry.objects.filter(kind="routing.frozen", subject=freeze.id).exists()

    held = land(work(by, agent="rover"))
    assert isinstance(held, Wait)
    assert "frozen" in held.headline
    assert Freeze.objects.count() == 1


def test_a_running_freeze_is_respected_and_a_past_one_forgotten(acme: Tenant) -> None:
    by = policy()
    Freeze.objects.create(until=timezone.now() - MINUTE, reason="past")
    assert isinstance(land(work(by)), GoOn)
    Freeze.objects.create(until=timezone.now() + MINUTE, reason="now")
    assert isinstance(land(work(by, agent="rover")), Wait)


def test_a_weight_that_is_turned_round_for_the_third_time_is_frozen(acme: Tenant) -> None:
    by, now = policy(), timezone.now()
    for minutes in (50, 30):
        adjustment(
            by,
            state="rolled_back",
            started_at=now - minutes * MINUTE,
            ends_at=now - (minutes - 10) * MINUTE,
        )
    outcome = land(work(by))
    assert isinstance(outcome, Wait)
    assert "turn the weight round" in outcome.headline
    freeze = Freeze.objects.get()
    assert freeze.agent is not None
    assert freeze.capability == TOOL
    assert isinstance(land(work(by, tool="http_get")), GoOn)


def test_limits_hold_within_one_batch(acme: Tenant) -> None:
    from routing import bridge

    by = policy()
    works = [work(by, tool=f"tool {place}") for place in range(7)]
    landed = bridge.land(works)
    kinds = [type(landed[one.step_id]) for one in works]
    assert kinds == [GoOn] * 5 + [Wait] * 2


def test_loops_with_the_same_need_wait_for_one_question(busy: Policy) -> None:
    first, second = land(work(busy)), land(work(busy))
    assert isinstance(first, Wait)
    assert isinstance(second, Wait)
    assert first.waits_for == second.waits_for
    assert Checkpoint.objects.count() == 1


def test_an_approved_override_adjusts_whatever_the_governor_says(busy: Policy, rita: Actor) -> None:
    one = work(busy)
    held = land(one)
    _decide(held, rita, approve=True)
    outcome = again(one, held)
    assert isinstance(outcome, GoOn)
    assert Adjustment.objects.get(capability=TOOL).id == outcome.facts["adjustment_id"]


def test_deciding_makes_the_waiting_step_ready(busy: Policy, rita: Actor) -> None:
    one = work(busy)
    held = land(one)
    assert isinstance(held, Wait)
    step = LoopStep.objects.create(
        trace_id=one.trace_id,
        stage="routing_adjusted",
        state=LoopStep.State.WAITING,
        waits_for=held.waits_for,
    )
    _decide(held, rita, approve=True)
    step.refresh_from_db()
    assert step.state == LoopStep.State.READY


def test_a_rejected_override_stops_the_loop_and_a_retry_asks_anew(
    busy: Policy, rita: Actor
) -> None:
    one = work(busy)
    held = land(one)
    _decide(held, rita, approve=False)
    stopped = again(one, held)
    assert isinstance(stopped, Stop)
    assert stopped.failure_state == "human_checkpoint_rejected"

    retried = again(one, stopped)
    assert isinstance(retried, Wait)
    assert isinstance(held, Wait)
    assert retried.waits_for != held.waits_for


def test_a_question_that_nobody_decides_in_time_stops_the_loop(busy: Policy) -> None:
    one = work(busy)
    held = land(one)
    Checkpoint.objects.update(expires_at=timezone.now() - MINUTE)
    assert checkpoints.expire_due() == 1
    stopped = again(one, held)
    assert isinstance(stopped, Stop)
    assert stopped.failure_state == "human_checkpoint_rejected"


def test_an_approval_of_something_else_is_void(busy: Policy, rita: Actor) -> None:
    one = work(busy)
    held = land(one)
    _decide(held, rita, approve=True)
    Policy.objects.filter(pk=busy.pk).update(confidence=1.0)
    asked_anew = again(one, held)
    assert isinstance(asked_anew, Wait)
    assert isinstance(held, Wait)
    assert asked_anew.waits_for != held.waits_for


def test_a_changed_proposal_withdraws_the_question_about_the_old_one(busy: Policy) -> None:
    one = work(busy)
    held = land(one)
    Policy.objects.filter(pk=busy.pk).update(confidence=1.0)
    again(one, held)
    assert sorted(Checkpoint.objects.values_list("state", flat=True)) == ["pending", "void"]


def test_when_the_hour_is_over_the_loop_goes_on_without_a_person(busy: Policy) -> None:
    one = work(busy)
    held = land(one)
    assert services.ask_again() == 0

    Adjustment.objects.update(started_at=timezone.now() - 2 * HOUR)
    assert services.ask_again() == 1
    assert isinstance(again(one, held), GoOn)
    assert Checkpoint.objects.get().state == "void"


def test_only_as_many_loops_are_woken_as_there_is_room_for(busy: Policy) -> None:
    for tool in ("http_get", "send_mail"):
        land(work(busy, tool=tool))
    oldest = Adjustment.objects.order_by("id").first()
    assert oldest is not None
    Adjustment.objects.filter(pk=oldest.pk).update(started_at=timezone.now() - 2 * HOUR)
    assert services.ask_again() == 1


def test_where_nobody_is_asked_the_limit_holds_and_the_loop_goes_on(busy: Policy) -> None:
    Settings.objects.update(checkpoints_off=["override_guardrail"])
    outcome = land(work(busy))
    assert isinstance(outcome, GoOn)
    assert outcome.failure_state == "routing_guardrail_blocked"
    assert not Checkpoint.objects.exists()
    assert not Adjustment.objects.filter(capability=TOOL).exists()


def test_an_advisory_override_adjusts_when_it_is_approved(busy: Policy, rita: Actor) -> None:
    Settings.objects.update(checkpoints_advisory=["override_guardrail"])
    one = work(busy)
    outcome = land(one)
    assert isinstance(outcome, GoOn)
    assert outcome.failure_state == "routing_guardrail_blocked"

    _decide(outcome, rita, approve=True)
    made = Adjustment.objects.get(capability=TOOL)
    assert AdjustmentEvidence.objects.filter(adjustment=made, incident_id=one.incident_id).exists()
    told = LoopEvent.objects.get(trace_id=one.trace_id, type="routing_adjusted")
    assert told.details == {"adjustment_id": made.id}
    assert LedgerEntry.objects.filter(kind="adjustment.open", subject=made.id).exists()


def test_an_advisory_override_that_is_rejected_does_nothing(busy: Policy, rita: Actor) -> None:
    Settings.objects.update(checkpoints_advisory=["override_guardrail"])
    _decide(land(work(busy)), rita, approve=False)
    assert not Adjustment.objects.filter(capability=TOOL).exists()


def test_reverting_the_loop_withdraws_its_question(busy: Policy) -> None:
    one = work(busy)
    land(one)
    services.revert_adjustments(one.incident_id, actor=CLOCK, reason="taken back")
    assert Checkpoint.objects.get().state == "void"


def _decide(outcome: object, actor: Actor, *, approve: bool) -> None:
    assert isinstance(outcome, Wait | GoOn)
    question = Checkpoint.objects.get(pk=outcome.subject)
    checkpoints.decide(
        question, approve=approve, actor=actor, digest=question.digest, reason="so be it"
    )
