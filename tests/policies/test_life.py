"""The life of a policy, one verb at a time, and who may use them."""

from __future__ import annotations

from typing import Any

import pytest

from governance import checkpoints
from governance.actors import LOOP, Actor
from governance.database.tenancy import leave_tenant, tenant_scope
from governance.ids import new_id
from governance.models import Checkpoint, LedgerEntry, LoopEvent, LoopStep, Settings, Tenant
from governance.refusals import Conflict, Forbidden, Invalid, Refusal
from policies.models import Policy, PolicyVersion
from policies.services import confirmations, life, policy_set, story
from tests.policies import living

OTTO = Actor("user", "4711", "otto")


def question(policy: Policy) -> Checkpoint:
    return Checkpoint.objects.get(subject=policy.id, state="pending")


def decide(policy: Policy, actor: Actor, *, approve: bool, reason: str = "Because.") -> None:
    asked = question(policy)
    checkpoints.decide(asked, approve=approve, actor=actor, digest=asked.digest, reason=reason)
    policy.refresh_from_db()


def expire(policy: Policy) -> None:
    Checkpoint.objects.filter(subject=policy.id).update(expires_at="2020-01-01T00:00:00Z")
    assert checkpoints.expire_due() == 1
    policy.refresh_from_db()


def waiting_for(policy: Policy) -> LoopStep:
    """A loop that waits for the policy, as the step to routing does."""
    return LoopStep.objects.create(
        trace_id=policy.trace_id, stage="routing_adjusted", state="waiting", waits_for=policy.id
    )


def told(policy: Policy) -> list[str]:
    return list(
        LoopEvent.objects.filter(subject=policy.id).order_by("seq").values_list("type", flat=True)
    )


def test_a_manual_draft_is_not_seen_by_the_guard_until_it_is_submitted(acme: Tenant) -> None:
    before = policy_set.revision()
    policy = living.manual(OTTO)
    assert (policy.state, policy.mode, policy_set.revision()) == ("draft", "draft", before)

    life.submit(policy, actor=OTTO)

    assert policy.state == "shadow"
    assert policy_set.revision() == before + 2  # the row is made, then raised
    assert list(policy.versions.values_list("number", flat=True)) == [1]


def test_a_manual_draft_is_tried_on_the_stored_good_calls(acme: Tenant) -> None:
    living.good_calls(9)
    living.succeed({"query": "DROP TABLE scratch"})

    policy = living.manual()

    assert policy.backtest["sample"] == 10
    assert policy.backtest["false_rejections"] == 1
    assert policy.backtest["evidence_too_thin"] is True


@pytest.mark.parametrize(
    ("details", "field"),
    [
        ({"condition": "arguments.query =="}, "condition"),
        ({"condition": "arguments.query"}, "condition"),
        ({"condition": "nothing.known == 1"}, "condition"),
        ({"scope_type": "agent"}, "scope_id"),
    ],
)
def test_a_draft_that_cannot_be_kept_names_the_field(
    acme: Tenant, details: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        living.manual(**details)
    assert refused.value.extra["field"] == field
    assert not Policy.objects.exists()


def test_three_incidents_ask_a_person_exactly_what_would_be_in_force(acme: Tenant) -> None:
    policy = living.confirmed(living.pattern())

    asked = question(policy)

    assert asked.type == "approve_policy"
    assert asked.shown["condition"] == policy.condition
    assert asked.shown["version"] == policy.version
    assert asked.shown["confirmations"] == 3
    assert asked.shown["confidence"] == pytest.approx(0.7)
    assert asked.shown["backtest"] == policy.backtest
    assert asked.trace_id == policy.trace_id


def test_a_reviewer_adds_one_confirmation_and_no_second(acme: Tenant, rita: Actor) -> None:
    policy = living.born(living.pattern())

    life.confirm(policy, actor=rita, note="I have seen this too.")

    assert confirmations(policy) == 2
    with pytest.raises(Conflict):
        life.confirm(policy, actor=OTTO)
    assert confirmations(policy) == 2


def test_a_reviewers_confirmation_may_be_the_last_one_needed(acme: Tenant, rita: Actor) -> None:
    kind = living.pattern()
    policy = living.born(kind)
    living.fail(kind)

    life.confirm(policy, actor=rita)

    assert policy.state == "pending"
    assert question(policy).requested_by == str(LOOP)


def test_an_approved_policy_is_in_force_and_lets_the_waiting_loops_go_on(
    acme: Tenant, rita: Actor
) -> None:
    policy = living.confirmed(living.pattern())
    step = waiting_for(policy)
    before = policy_set.revision()

    decide(policy, rita, approve=True)

    step.refresh_from_db()
    assert (policy.state, policy.reason, step.state) == ("active", "Because.", "ready")
    assert policy_set.revision() > before
    assert told(policy)[-1] == "policy_active"
    assert LedgerEntry.objects.filter(subject=policy.id, kind="policy.active").exists()


def test_a_rejected_policy_is_retired_as_rejected(acme: Tenant, rita: Actor) -> None:
    policy = living.confirmed(living.pattern())
    step = waiting_for(policy)

    decide(policy, rita, approve=False, reason="Too broad.")

    step.refresh_from_db()
    assert (policy.state, step.state) == ("retired", "ready")
    assert policy.reason == "policy_rejected: Too broad."


def test_an_expired_question_is_no_approval_and_starts_the_counting_anew(acme: Tenant) -> None:
    kind = living.pattern()
    policy = living.confirmed(kind)

    expire(policy)

    assert (policy.state, policy.version, confirmations(policy)) == ("shadow", 2, 0)
    living.fail(kind)
    policy.refresh_from_db()
    assert (policy.state, confirmations(policy)) == ("shadow", 1)


def test_a_new_version_makes_the_question_void(acme: Tenant, rita: Actor) -> None:
    policy = living.confirmed(living.pattern())
    asked = question(policy)
    life.return_to_shadow(policy, actor=LOOP, reason="It changed.")

    with pytest.raises(checkpoints.AlreadyDecided):
        checkpoints.decide(asked, approve=True, actor=rita, digest=asked.digest)

    policy.refresh_from_db()
    assert policy.state == "shadow"


def test_activate_answers_the_pending_question(acme: Tenant, rita: Actor) -> None:
    policy = living.confirmed(living.pattern())

    life.activate(policy, actor=rita, reason="Fine.")

    assert policy.state == "active"
    decided = Checkpoint.objects.get(subject=policy.id)
    assert (decided.state, decided.decided_by) == ("approved", str(rita))


def test_an_unconfirmed_policy_cannot_be_activated(acme: Tenant, rita: Actor) -> None:
    policy = living.born(living.pattern())
    with pytest.raises(Conflict, match="1 of 3"):
        life.activate(policy, actor=rita)


def test_a_manual_policy_needs_a_second_person_and_no_accidents(acme: Tenant, rita: Actor) -> None:
    policy = living.manual(OTTO)
    life.submit(policy, actor=OTTO)
    for verb in (life.activate, life.confirm):
        with pytest.raises(Forbidden):
            verb(policy, actor=OTTO)

    life.activate(policy, actor=rita, reason="Two of us agree.")

    assert policy.state == "active"
    assert Checkpoint.objects.get(subject=policy.id).requested_by == str(OTTO)


def test_no_agent_confirms_or_activates(acme: Tenant) -> None:
    policy = living.confirmed(living.pattern())
    for verb in (life.activate, life.confirm):
        with pytest.raises(Forbidden):
            verb(policy, actor=Actor("service", "acc_1", "scout"))


def test_a_suspended_policy_can_be_put_in_force_again(acme: Tenant, rita: Actor) -> None:
    policy = living.active(living.pattern(), rita)
    life.suspend(policy, actor=rita, reason="Maintenance.")
    assert (policy.state, policy.mode) == ("suspended", "disabled")

    life.activate(policy, actor=rita)

    assert policy.state == "active"


def test_retiring_asks_why_and_ends_the_question(acme: Tenant, rita: Actor) -> None:
    policy = living.confirmed(living.pattern())
    with pytest.raises(Invalid):
        life.retire(policy, actor=rita, reason=" ")

    life.retire(policy, actor=rita, reason="Not needed.")

    assert policy.state == "retired"
    assert Checkpoint.objects.get(subject=policy.id).state == "void"
    with pytest.raises(Refusal):
        life.retire(policy, actor=rita, reason="Again.")


def test_a_demoted_policy_counts_anew_and_the_guard_knows(acme: Tenant, rita: Actor) -> None:
    policy = living.active(living.pattern(), rita)
    condition, before = policy.condition, policy_set.revision()

    life.demote(policy, actor=rita, reason="It hurt.")

    assert (policy.state, policy.version, confirmations(policy)) == ("shadow", 2, 0)
    assert policy.condition == condition
    assert policy_set.revision() > before
    assert PolicyVersion.objects.filter(policy=policy).count() == 2


def test_where_nobody_is_to_be_asked_a_confirmed_policy_is_in_force(acme: Tenant) -> None:
    Settings.objects.update(checkpoints_off=["approve_policy"])
    kind = living.pattern()
    policy = living.born(kind)
    living.land(living.step(kind), living.step(kind, agent="ranger"))

    policy.refresh_from_db()

    assert policy.state == "active"
    assert not Checkpoint.objects.exists()


def test_where_the_question_is_advisory_a_later_no_still_counts(acme: Tenant, rita: Actor) -> None:
    Settings.objects.update(checkpoints_advisory=["approve_policy"])
    kind = living.pattern()
    policy = living.born(kind)
    living.land(living.step(kind), living.step(kind, agent="ranger"))
    policy.refresh_from_db()
    assert policy.state == "active"

    decide(policy, rita, approve=False, reason="I would rather not.")

    assert policy.state == "retired"


def test_automatic_activation_needs_graduation_too(acme: Tenant) -> None:
    Settings.objects.update(automatic_activation=True)
    policy = living.confirmed(living.pattern(), confidence=0.9)
    assert policy.state == "pending"


def test_revisions_rise_with_every_change_and_are_each_tenants_own(
    acme: Tenant, umbra: Tenant
) -> None:
    assert policy_set.revision() == 0
    policy_set.bump([])
    first = policy_set.revision()
    policy_set.bump([])
    assert policy_set.revision() == first + 1 > 1
    leave_tenant()
    with tenant_scope(umbra.id):
        assert policy_set.revision() == 0


def test_the_story_shows_the_mode_of_a_policy(acme: Tenant) -> None:
    policy = living.born(living.pattern())
    assert story(policy.id) == {"id": policy.id, "mode": "shadow"}
    assert story(new_id("pol")) is None
