"""What would be allowed instead: only what is known, only what the policies let through, and nobody's secrets."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.database.tenancy import enter_tenant, leave_tenant, tenant_scope
from governance.models import Settings, Tenant
from policies.models import Decision
from policies.services import guard
from tests.factories import SCOUT

from .guarding import ask, policy

pytestmark = pytest.mark.django_db


def good(
    arguments: dict[str, Any], *, times: int = 1, agent: str = "scout", tool: str = "book"
) -> None:
    """Calls that went well."""
    for n in range(times):
        answer = ask(tool, arguments, agent_name=agent, run_name=f"good-{agent}-{n}")
        decision = Decision.objects.select_related("agent", "run").get(pk=answer.decision_id)
        guard.report_outcome(decision, ok=True, actor=SCOUT)


def instead(arguments: dict[str, Any], tool: str = "book") -> list[tuple[str, str, list[Any]]]:
    """``(argument, how, values)`` of what the agent is told."""
    answer = ask(tool, arguments)
    assert answer.verdict in guard.DENIED
    return [(each["argument"], each["how"], each["values"]) for each in answer.allowed_instead]


def test_a_value_that_good_calls_had_and_the_policy_lets_through(acme: Tenant) -> None:
    good({"cabin": "economy"}, times=4)
    policy(tool="book", condition='arguments.cabin == "first"')
    answer = ask("book", {"cabin": "first"})
    assert answer.allowed_instead == [
        {
            "argument": "cabin",
            "how": "one_of",
            "values": ["economy"],
            "good_calls": 4,
            "text": 'cabin in ["economy"] was let through in 4 good calls',
        }
    ]


def test_a_value_that_another_policy_stops_is_not_recommended(acme: Tenant) -> None:
    good({"cabin": "economy"}, times=4)
    good({"cabin": "business"}, times=3)
    policy(tool="book", condition='arguments.cabin == "first"')
    policy(tool="", condition='has(arguments.cabin) && arguments.cabin == "economy"')
    assert instead({"cabin": "first"}) == [("cabin", "one_of", ["business"])]


def test_where_many_policies_are_about_the_action_the_most_used_values_are_tried(
    acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("policies.services.instead.MOST_ASKED", 1)
    monkeypatch.setattr("policies.services.instead.CHANGES_SHOWN", 1)
    good({"cabin": "economy"}, times=4)
    good({"cabin": "business"}, times=3)
    policy(tool="book", condition='arguments.cabin == "first"')
    assert instead({"cabin": "first"}) == [("cabin", "one_of", ["economy"])]


def test_a_rare_value_stays_with_whoever_used_it(acme: Tenant) -> None:
    good({"booking": "AB12CD"}, times=2)
    good({"booking": "ZZ99ZZ"}, times=5, agent="other")
    policy(tool="book", condition='arguments.booking.startsWith("X")')
    assert instead({"booking": "X1"}) == [("booking", "not_starting_with", ["X"])]


def test_a_value_that_two_other_agents_use_is_common(acme: Tenant) -> None:
    good({"cabin": "economy"}, times=2, agent="one")
    good({"cabin": "economy"}, times=1, agent="two")
    policy(tool="book", condition='arguments.cabin == "first"')
    assert instead({"cabin": "first"}) == [("cabin", "one_of", ["economy"])]


@pytest.mark.parametrize(
    "arguments", [{"api_key": "sesame"}, {"address": "postgres://scout:hunter2@db/x"}]
)
def test_a_secret_is_not_shown_however_common(acme: Tenant, arguments: dict[str, Any]) -> None:
    good(arguments, times=5)
    (name,) = arguments
    policy(tool="book", condition=f'arguments.{name} == "wrong"')
    assert instead({name: "wrong"}) == []


def test_another_tenants_calls_are_not_known(acme: Tenant, umbra: Tenant) -> None:
    leave_tenant()
    with tenant_scope(umbra.id):
        good({"cabin": "economy"}, times=5)
    enter_tenant(acme.id)
    policy(tool="book", condition='arguments.cabin == "first"')
    assert instead({"cabin": "first"}) == []


@pytest.mark.parametrize(
    ("condition", "arguments", "expected"),
    [
        ("arguments.n >= 5", {"n": 7}, ("n", "below", [5])),
        ("arguments.n > 5.5", {"n": 7}, ("n", "at_most", [5.5])),
        ("arguments.n < 5", {"n": 1}, ("n", "at_least", [5])),
        ("arguments.n <= 5", {"n": 1}, ("n", "above", [5])),
        (
            "has(arguments.force) && arguments.n > 0",
            {"n": 1, "force": True},
            ("force", "without", []),
        ),
        (
            'arguments.sql.matches("\\\\bcustmer_id\\\\b")',
            {"sql": "select custmer_id from orders"},
            ("sql", "not_containing", ["custmer_id"]),
        ),
        (
            'arguments.to.city.contains("X")',
            {"to": {"city": "XY"}},
            ("to.city", "not_containing", ["X"]),
        ),
    ],
)
def test_the_other_side_of_what_the_policy_asks(
    acme: Tenant, condition: str, arguments: dict[str, Any], expected: tuple[str, str, list[Any]]
) -> None:
    policy(tool="book", condition=condition)
    assert expected in instead(arguments)


@pytest.mark.parametrize(
    "condition",
    [
        'arguments == {"cabin": "first"}',
        "true",
        'agent.id == "scout"',
        "arguments.cabin.size() > 1",
    ],
)
def test_where_nothing_is_known_nothing_is_said(acme: Tenant, condition: str) -> None:
    policy(tool="book", condition=condition)
    assert instead({"cabin": "first"}) == []


def test_a_change_that_is_not_enough_is_not_named(acme: Tenant) -> None:
    policy(tool="book", condition="arguments.n > 5 || arguments.m > 5")
    assert instead({"n": 7, "m": 7}) == []
    assert instead({"n": 7, "m": 1}) == [("n", "at_most", [5])]


def test_where_everything_unknown_is_denied_nothing_is_promised(acme: Tenant) -> None:
    Settings.objects.update(default_verdict="block")
    policy(tool="book", condition="arguments.n > 5")
    assert instead({"n": 7}) == []


def test_only_a_denial_looks_at_good_calls(acme: Tenant) -> None:
    policy(tool="book", condition='arguments.cabin == "first"')
    ask("book", {"cabin": "economy"})
    with CaptureQueriesContext(
        connection,
    ) as asked:
        ask("book", {"cabin": "economy"})
    allowed = len(asked)
    assert not any("policies_outcome" in each["sql"] for each in asked)
    with CaptureQueriesContext(connection) as asked:
        ask("book", {"cabin": "first"})
    assert sum("policies_outcome" in each["sql"] for each in asked) == 1
    assert len(asked) <= allowed + 1
