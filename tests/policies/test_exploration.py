"""Measured exploration: a capped share of what a policy would block is let through, marked, and judged by outcomes."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from governance import tenants
from governance.actors import Actor
from governance.models import LedgerEntry, Tenant
from policies.models import Decision, Policy, Prevention, Regret, WouldBlock
from policies.services import guard
from tests.factories import SCOUT

from .guarding import ARGUMENTS, decided, policy


@pytest.fixture
def five_percent(acme: Tenant, rita: Actor) -> None:
    tenants.change_settings(actor=rita, reason="Are they right?", exploration_percent=5)


def let_through(most: int = 300, **details: Any) -> Decision | None:
    """The first decision that is let through, in runs of their own."""
    for number in range(most):
        made = decided(run_name=f"run-{number}", **details)
        if made.mode == "explored":
            return made
    return None


def test_it_is_off_unless_the_tenant_says_otherwise(acme: Tenant) -> None:
    policy()
    assert {decided(run_name=f"run-{number}").verdict for number in range(60)} == {"block"}


def test_more_than_the_cap_cannot_be_set(acme: Tenant, rita: Actor) -> None:
    with pytest.raises(ValidationError):
        tenants.change_settings(actor=rita, reason="Everything!", exploration_percent=6)


def test_a_small_share_is_let_through_and_marked_on_decision_and_ledger(five_percent: None) -> None:
    rule = policy()
    made = let_through()
    assert made is not None
    assert (made.verdict, made.would_be, made.is_overridden) == ("allow", "block", False)
    assert [one["id"] for one in made.policies] == [rule.id]
    assert rule.name in made.reason
    assert WouldBlock.objects.get(decision=made).policy == rule
    entry = LedgerEntry.objects.get(subject=made.id)
    assert entry.kind == "decision.allow"
    assert not Prevention.objects.filter(decision=made).exists()
    # The same call in the same run is let through again: the choice can be checked, and is no lottery.
    assert decided(run_name=made.run.name).mode == "explored"


@pytest.mark.parametrize(
    "fields", [{"category": "safety"}, {"category": "privacy"}, {"action": "kill"}]
)
def test_safety_privacy_and_kill_are_never_tried(five_percent: None, fields: Any) -> None:
    policy(**fields)
    assert let_through(150) is None


def test_what_two_policies_deny_is_never_tried(five_percent: None) -> None:
    policy()
    policy("and another")
    assert let_through(150) is None


def test_a_condition_that_could_not_tell_is_no_measurement(five_percent: None) -> None:
    policy(condition="arguments.nothing_of_the_kind == 1")
    assert let_through(150) is None


def test_a_success_speaks_against_the_policy_but_never_alone(five_percent: None) -> None:
    rule = policy()
    made = let_through()
    assert made is not None
    assert guard.report_outcome(made, ok=True, actor=SCOUT) is None

    assert WouldBlock.objects.get(decision=made).result == "false_rejection"
    regret = Regret.objects.get()
    assert (regret.policy_id, regret.type, regret.reporter) == (rule.id, "exploration", str(SCOUT))
    rule.refresh_from_db()
    assert rule.state == "active"


def test_a_failure_opens_an_incident_and_no_regret(five_percent: None) -> None:
    policy()
    made = let_through()
    assert made is not None
    incident = guard.report_outcome(
        made, ok=False, error_type="OperationalError", error_message="no such column", actor=SCOUT
    )
    assert incident is not None
    assert incident.arguments == ARGUMENTS
    assert not Regret.objects.exists()


def test_a_policy_in_force_keeps_blocking_what_is_not_in_the_share(five_percent: None) -> None:
    rule = policy()
    verdicts = [decided(run_name=f"run-{number}") for number in range(200)]
    explored = [made for made in verdicts if made.mode == "explored"]
    assert 0 < len(explored) < 30
    assert all(made.verdict == "block" for made in verdicts if made.mode != "explored")
    assert Policy.objects.get(pk=rule.pk).state == "active"
