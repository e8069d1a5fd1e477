"""The loop's step to the policy, and taking it back."""

from __future__ import annotations

from governance.actors import Actor
from governance.loop.bridges import GoOn, Work
from governance.models import Checkpoint, LoopStep, Tenant
from policies import bridge
from policies.models import Evidence, Policy
from policies.services import confirmations
from tests.policies import living


def undo(work: Work, rita: Actor) -> None:
    bridge.undo(work.incident_id, work.trace_id, rita, "It was a drill.")


def test_the_step_hands_on_the_policy_and_its_state(acme: Tenant) -> None:
    kind = living.pattern()
    first, second = living.step(kind), living.step(kind)

    born, confirmed = living.land(first)[0], living.land(second)[0]

    assert isinstance(born, GoOn)
    assert isinstance(confirmed, GoOn)
    assert born.facts == confirmed.facts == {"policy_id": born.subject, "policy_state": "shadow"}
    assert "2 of 3 confirmations" in confirmed.headline
    assert [told.trace_id for told in confirmed.events] == [first.trace_id]


def test_the_step_that_completes_the_confirmations_hands_on_a_pending_policy(acme: Tenant) -> None:
    kind = living.pattern()
    outcomes = living.land(*(living.step(kind) for _ in range(3)))

    assert {came.facts["policy_state"] for came in outcomes} == {"pending"}


def test_a_policy_that_nothing_else_is_behind_goes_with_its_loop(acme: Tenant, rita: Actor) -> None:
    work = living.step(living.pattern())
    living.land(work)
    policy = Policy.objects.get()
    step = LoopStep.objects.create(
        trace_id=work.trace_id, stage="routing_adjusted", state="waiting", waits_for=policy.id
    )

    undo(work, rita)

    policy.refresh_from_db()
    step.refresh_from_db()
    assert (policy.state, policy.reason, step.state) == ("retired", "It was a drill.", "ready")


def test_a_policy_that_others_support_stays_without_this_evidence(
    acme: Tenant, rita: Actor
) -> None:
    kind = living.pattern()
    first, second = living.step(kind), living.step(kind)
    living.land(first, second)
    policy = Policy.objects.get()

    undo(first, rita)

    policy.refresh_from_db()
    assert (policy.state, confirmations(policy)) == ("shadow", 1)
    assert Evidence.objects.get(withdraws=True).incident_id == first.incident_id


def test_taking_back_a_confirmation_makes_the_question_void(acme: Tenant, rita: Actor) -> None:
    kind = living.pattern()
    works = [living.step(kind) for _ in range(3)]
    living.land(*works)

    undo(works[1], rita)

    policy = Policy.objects.get()
    assert (policy.state, confirmations(policy)) == ("shadow", 2)
    assert Checkpoint.objects.get().state == "void"


def test_a_question_that_is_still_confirmed_is_asked_again_as_it_is_now(
    acme: Tenant, rita: Actor
) -> None:
    kind = living.pattern()
    works = [living.step(kind) for _ in range(4)]
    living.land(*works)

    undo(works[1], rita)

    policy = Policy.objects.get()
    assert policy.state == "pending"
    assert Checkpoint.objects.get(state="pending").shown["confirmations"] == 3


def test_a_policy_in_force_stays_in_force_while_others_support_it(
    acme: Tenant, rita: Actor
) -> None:
    kind = living.pattern()
    policy = living.active(kind, rita)
    work = living.step(kind)
    living.land(work)

    undo(work, rita)

    policy.refresh_from_db()
    assert policy.state == "active"
