"""A policy that says what another one says, or less, is found when it is drafted, and said to who is asked about it."""

from __future__ import annotations

import pytest

from governance.models import Tenant
from policies.models import Policy
from policies.services import asking, overlaps
from policies.services.record import record_of
from tests.factories import SCOUT

from .guarding import policy


def drafted(condition: str, **details: str) -> Policy:
    return policy("the new one", state="shadow", tool="sql_query", condition=condition, **details)


@pytest.mark.parametrize(
    ("condition", "action", "says"),
    [
        ('arguments.query.contains("DROP")', "block", "says the same as"),
        ('arguments.query.contains("DROP")', "warn", "the stricter one always wins"),
        ('arguments.query.contains("DROP TABLE")', "block", "is not needed"),
        ('arguments.query.contains("DROP TABLE")', "warn", "never has the last word"),
        ("true", "block", "'no drops' is not needed"),
    ],
)
def test_what_a_policy_is_beside_another_is_said_to_who_is_asked(
    acme: Tenant, condition: str, action: str, says: str
) -> None:
    policy("no drops", tool="sql_query", condition='arguments.query.contains("DROP")')
    new = drafted(condition, action=action)
    shown = asking.ask(new, confirmations=3, requested_by=SCOUT).shown
    [said] = shown["overlaps"]
    assert says in said
    assert record_of(new)["overlaps"] == [said]


@pytest.mark.parametrize(
    "other", [{"tool": "http_get"}, {"state": "retired"}, {"condition": "arguments.limit > 9"}]
)
def test_of_what_is_about_other_calls_or_over_nothing_is_said(
    acme: Tenant, other: dict[str, str]
) -> None:
    policy("no drops", **{"tool": "sql_query", "condition": 'arguments.query == "x"', **other})
    new = drafted('arguments.query == "x"')
    assert overlaps.of(new) == []
    assert "overlaps" not in asking.ask(new, confirmations=3, requested_by=SCOUT).shown


def test_a_condition_that_cannot_be_read_any_more_is_left_out(acme: Tenant) -> None:
    policy("broken", tool="sql_query", condition="arguments ===")
    assert overlaps.of(drafted("true")) == []


@pytest.mark.parametrize(
    "words",
    [
        'arguments.query == "x" && arguments.limit > 2',
        'arguments["limit"] > 2 && arguments.query == "x"',
    ],
)
def test_what_was_learned_in_other_words_is_the_same_policy(acme: Tenant, words: str) -> None:
    """So a failure strengthens the policy that is there."""
    old = policy("learned", tool="sql_query", source="recovery", condition=words)
    found = overlaps.saying('arguments.query == "x" && arguments.limit > 2', "sql_query")
    assert found == old
    assert overlaps.saying('arguments.query == "x"', "sql_query") is None
