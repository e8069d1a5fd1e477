"""A prevention counts once, and only under the whole contract."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from governance.models import Agent, LedgerEntry, LoopEvent, Tenant
from incidents.services import Opened
from policies.models import Policy, Prevention
from policies.services import policy_set, prevention, rates
from policies.services.ruleset import CALLS_COMPARED
from tests import factories

from .guarding import ask, learned, pattern, policy


@pytest.fixture
def origin(acme: Tenant) -> Opened:
    """The failure that was learned from."""
    return factories.report()


def born_from(origin: Opened, **fields: Any) -> Policy:
    return learned(origin.incident, origin.trace.id, **fields)


def test_a_blocked_recurrence_is_a_prevention_told_on_the_story_that_bore_the_policy(
    origin: Opened,
) -> None:
    rule = born_from(origin)
    answer = ask(agent_name="ranger")
    counted = Prevention.objects.get()
    assert (counted.policy_id, counted.pattern_id, counted.decision_id) == (
        rule.id,
        rule.pattern_id,
        answer.decision_id,
    )
    assert (counted.similarity, counted.simulated) == (1.0, False)
    event = LoopEvent.objects.get(type="prevention")
    assert (event.trace_id, event.subject, event.actor) == (
        origin.trace.id,
        counted.id,
        "system:guard",
    )
    assert event.headline.startswith("Prevented: ranger")
    assert LedgerEntry.objects.filter(subject=counted.id, kind="prevention.recorded").count() == 1


@pytest.mark.parametrize("action", ["block", "kill", "escalate", "route_away"])
def test_every_refusal_prevents(origin: Opened, action: str) -> None:
    born_from(origin, action=action)
    ask()
    assert Prevention.objects.count() == 1


def test_several_policies_that_recognise_one_call_prevent_it_once(origin: Opened) -> None:
    first = born_from(origin)
    learned_too = policy("the same again", pattern=first.pattern, trace=first.trace)
    assert len(ask().policies) == 2
    assert Prevention.objects.get().policy_id == min(first.id, learned_too.id)
    assert LoopEvent.objects.filter(type="prevention").count() == 1


def test_each_recurrence_counts(origin: Opened) -> None:
    born_from(origin)
    ask()
    ask(step=1)
    assert Prevention.objects.count() == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "shadow"},
        {"state": "pending"},
        {"state": "suspended"},
        {"action": "warn"},
        {"condition": "arguments.missing == 1"},
        {"condition": "not even CEL"},
    ],
)
def test_what_is_not_recognised_and_denied_by_a_policy_in_force_is_none(
    origin: Opened, fields: dict[str, Any]
) -> None:
    born_from(origin, **fields)
    ask()
    assert not Prevention.objects.exists()


def test_a_call_unlike_those_that_failed_is_blocked_but_no_prevention(origin: Opened) -> None:
    born_from(origin, condition='has(arguments.query) && arguments.query.contains("E")')
    answer = ask(arguments={"query": "DELETE", "a": "x", "b": "y", "c": "z"})
    assert answer.verdict == "block"
    assert not Prevention.objects.exists()


def test_a_policy_that_nobody_learned_prevents_nothing(origin: Opened) -> None:
    policy()
    assert ask().verdict == "block"
    assert not Prevention.objects.exists()


def test_a_simulated_failure_is_nothing_to_be_similar_to(acme: Tenant) -> None:
    opened = factories.report(simulated=True)
    learned(opened.incident, opened.trace.id)
    assert ask().verdict == "block"
    assert not Prevention.objects.exists()


def test_the_refusal_of_a_stopped_agent_is_no_prevention(origin: Opened) -> None:
    born_from(origin)
    Agent.objects.filter(name="scout").update(stopped=True)
    assert ask().verdict == "kill"
    assert not Prevention.objects.exists()


def test_a_blocked_call_is_compared_with_the_newest_calls_of_the_pattern(origin: Opened) -> None:
    old = factories.incident(arguments={"query": "custmer_id", "old": "x" * 50})
    new = [
        factories.incident(arguments={"query": "custmer_id", "new": n})
        for n in range(CALLS_COMPARED)
    ]
    policy(pattern=pattern(old, *new))
    ask(arguments={"query": "custmer_id", "old": "x" * 50})
    assert not Prevention.objects.exists()
    ask(arguments={"query": "custmer_id", "new": 0})
    assert Prevention.objects.count() == 1


def test_a_simulated_prevention_is_marked_and_counts_for_nothing(origin: Opened, rita: Any) -> None:
    rule = born_from(origin)
    assert rule.pattern is not None
    stored = prevention.simulate_prevention(
        rule, pattern=rule.pattern, incident=origin.incident, confidence=0.8, actor=rita
    )
    assert (stored.simulated, stored.decision_id, stored.similarity) == (True, None, 0.8)
    assert LoopEvent.objects.get(type="prevention").simulated
    found = rates.of_tenant(timezone.now())
    assert (found.preventions, found.last_prevention_at) == (0, None)


def test_the_rate_counts_what_a_policy_in_force_did_not_stop(origin: Opened) -> None:
    rule = born_from(origin)
    assert rates.of_tenant(timezone.now()).prevention_rate is None
    ask()
    assert rates.of_tenant(timezone.now()).prevention_rate == 1.0
    missed = factories.incident("another shape", occurred_at=timezone.now())
    missed.matches.create(incident=missed, pattern=rule.pattern, confidence=0.9, band="strong")
    found = rates.of_tenant(timezone.now())
    assert (found.preventions, found.incidents, found.prevention_rate) == (1, 1, 0.5)
    Policy.objects.filter(pk=rule.id).update(state="shadow")
    policy_set.bump([rule])
    assert rates.of_tenant(timezone.now()).incidents == 0


def test_rates_look_at_thirty_days(origin: Opened) -> None:
    born_from(origin)
    ask()
    later = rates.of_tenant(timezone.now() + timedelta(days=31))
    assert later.preventions == 0
    assert later.prevention_rate is None
    assert later.last_prevention_at == Prevention.objects.get().created_at
