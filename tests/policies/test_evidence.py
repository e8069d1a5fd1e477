"""Policies are judged by what happened to the calls they would have stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from governance.actors import Actor
from governance.models import Checkpoint, LoopEvent, LoopStep, Tenant
from governance.rules import wilson_lower
from policies.models import Evidence, Policy, WouldBlock
from policies.services import calls, confirmations, evidence, life
from tests.policies import living

ONE = {"query": "SELECT a FROM orders"}
OTHER = {"query": "SELECT b FROM parcels", "limit": 3}


def results(policy: Policy) -> list[str]:
    return sorted(WouldBlock.objects.filter(policy=policy).values_list("result", flat=True))


def still_blocks(policy: Policy, arguments: dict[str, Any]) -> bool:
    return calls.blocks(policy.condition, living.decision(arguments))


def test_a_failure_of_its_pattern_confirms_what_a_policy_would_have_blocked(acme: Tenant) -> None:
    kind = living.pattern()
    policy = living.born(kind)
    call = living.decision(living.WRONG, watched_by=[policy])

    living.fail(kind, **living.failed_at(call))

    assert results(policy) == ["confirmed"]
    assert confirmations(policy) == 2


def test_the_same_incident_never_counts_twice(acme: Tenant) -> None:
    kind = living.pattern()
    policy = living.born(kind)
    work = living.step(kind)

    living.land(work)
    living.land(work)

    assert confirmations(policy) == 2


def test_a_failure_of_another_pattern_is_no_confirmation(acme: Tenant) -> None:
    policy = living.born(living.pattern())
    call = living.decision(living.WRONG, watched_by=[policy])

    living.fail(living.pattern(), **living.failed_at(call))

    assert results(policy) == ["other_failure"]
    assert confirmations(policy) == 1


def test_a_policy_of_no_pattern_is_confirmed_by_any_failure_it_would_have_stopped(
    acme: Tenant, rita: Actor
) -> None:
    policy = living.manual(rita)
    life.submit(policy, actor=rita)
    for _ in range(3):
        call = living.decision({"query": "DROP TABLE orders"}, watched_by=[policy])
        came = living.fail(living.pattern(), **living.failed_at(call))
        assert came.subject == policy.id

    policy.refresh_from_db()
    assert policy.state == "pending"
    assert results(policy) == ["confirmed"] * 3


def test_a_policy_in_force_is_supported_and_not_confirmed(acme: Tenant, rita: Actor) -> None:
    kind = living.pattern()
    policy = living.active(kind, rita)

    came = living.fail(kind)

    assert came.facts["policy_state"] == "active"
    assert Evidence.objects.filter(policy=policy, kind="support").count() == 1
    assert confirmations(policy) == 3


def test_another_agents_policy_has_nothing_to_say(acme: Tenant, rita: Actor) -> None:
    kind = living.pattern()
    policy = living.born(kind)
    Policy.objects.filter(pk=policy.id).update(scope_type="agent", scope_id="ranger")

    living.fail(kind)

    assert not Evidence.objects.filter(policy=policy, kind="confirmation").exists()


def test_simulated_failures_confirm_nothing_real(acme: Tenant) -> None:
    kind = living.pattern()
    policy = living.born(kind)

    living.fail(kind, simulated=True)

    assert confirmations(policy) == 1


def test_confidence_is_the_recoverys_until_five_outcomes_are_known(acme: Tenant) -> None:
    kind, stranger = living.pattern(), living.pattern()
    policy = living.born(kind)
    for known in range(1, 7):
        call = living.decision(living.WRONG, watched_by=[policy])
        living.fail(kind if known % 2 else stranger, **living.failed_at(call))
        living.fail(kind)
        policy.refresh_from_db()
        expected = 0.7 if known < 5 else wilson_lower(known, known)
        assert policy.confidence == pytest.approx(expected)


def test_a_success_that_no_policy_watched_costs_nothing(
    acme: Tenant, django_assert_num_queries: Callable[..., Any]
) -> None:
    call = living.succeed(ONE)
    with django_assert_num_queries(0):
        evidence.judge_success(call)


def test_a_policy_whose_only_cause_works_after_all_is_retired_as_rejected(acme: Tenant) -> None:
    policy = living.born(living.pattern())
    step = LoopStep.objects.create(
        trace_id=policy.trace_id, stage="routing_adjusted", state="waiting", waits_for=policy.id
    )

    for _ in range(3):
        living.reported(living.decision(living.WRONG), ok=False)
    evidence.judge_success(living.succeed(living.WRONG, watched_by=[policy]))

    policy.refresh_from_db()
    step.refresh_from_db()
    assert (policy.state, step.state) == ("retired", "ready")
    assert policy.reason.startswith("policy_rejected: ")
    assert results(policy) == ["false_rejection"]


def test_a_policy_that_would_have_blocked_a_good_call_is_narrowed(acme: Tenant) -> None:
    kind = living.pattern()
    policy = living.born(kind, arguments=ONE)
    living.fail(kind, arguments=OTHER)
    policy.refresh_from_db()
    assert still_blocks(policy, ONE)
    assert still_blocks(policy, OTHER)

    evidence.judge_success(living.succeed(ONE, watched_by=[policy]))

    policy.refresh_from_db()
    assert (policy.state, policy.version) == ("shadow", 3)
    assert not still_blocks(policy, ONE)
    assert still_blocks(policy, OTHER)
    assert confirmations(policy) == 1
    assert LoopEvent.objects.filter(subject=policy.id, type="policy_redrafted").count() == 2


def test_a_general_policy_keeps_what_it_learned_when_it_is_narrowed(acme: Tenant) -> None:
    kind = living.pattern()
    living.good_calls()
    for number, table in enumerate(living.TABLES):
        wrong = {"query": f"SELECT custmer_id FROM {table}", "limit": number % 3}
        living.fail(kind, message="It went wrong.", arguments=wrong)
    policy = Policy.objects.get()
    good = {"query": "SELECT custmer_id FROM legacy", "limit": 1}
    assert still_blocks(policy, good)

    evidence.judge_success(living.succeed(good, watched_by=[policy]))

    policy.refresh_from_db()
    assert policy.state == "shadow"
    assert not still_blocks(policy, good)
    blocked = [
        table
        for number, table in enumerate(living.TABLES)
        if still_blocks(policy, {"query": f"SELECT custmer_id FROM {table}", "limit": number % 3})
    ]
    assert blocked == list(living.TABLES)


def test_counter_evidence_makes_a_pending_question_void(acme: Tenant) -> None:
    kind = living.pattern()
    policy = living.born(kind, arguments=ONE)
    living.fail(kind, arguments=OTHER)
    for _ in range(2):
        living.fail(kind, arguments=OTHER)
    policy.refresh_from_db()
    assert policy.state == "pending"

    evidence.judge_success(living.succeed(ONE, watched_by=[policy]))

    policy.refresh_from_db()
    assert policy.state == "shadow"
    assert Checkpoint.objects.get(subject=policy.id).state == "void"


def test_a_good_call_that_the_policy_no_longer_blocks_changes_nothing(acme: Tenant) -> None:
    kind = living.pattern()
    policy = living.born(kind, arguments=ONE)
    living.fail(kind, arguments=OTHER)
    policy.refresh_from_db()
    late = living.decision({"query": "SELECT c"}, watched_by=[policy])

    evidence.judge_success(late)

    policy.refresh_from_db()
    assert policy.version == 2
    assert results(policy) == ["false_rejection"]


def test_a_persons_own_policy_is_left_to_people(acme: Tenant, rita: Actor) -> None:
    policy = living.manual(rita)
    life.submit(policy, actor=rita)

    evidence.judge_success(living.succeed({"query": "DROP TABLE t"}, watched_by=[policy]))

    policy.refresh_from_db()
    assert (policy.state, policy.version) == ("shadow", 1)
    assert results(policy) == ["false_rejection"]
