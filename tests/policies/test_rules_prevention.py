"""What counts as a prevention, and how alike two calls are."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.rules import call_similarity, counts_as_prevention, prevention_rate

GOOD: dict[str, Any] = {
    "policy_state": "active",
    "policy_tenant_id": "acme",
    "decision_tenant_id": "acme",
    "similarity": 0.60,
    "has_incident": False,
    "is_in_decision": True,
    "is_simulated": False,
}


def test_a_prevention_that_meets_every_condition_counts() -> None:
    assert counts_as_prevention(**GOOD)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("policy_state", "shadow"),
        ("policy_state", "suspended"),
        ("decision_tenant_id", "umbra"),
        ("similarity", 0.5999),
        ("has_incident", True),
        ("is_in_decision", False),
        ("is_simulated", True),
    ],
)
def test_each_condition_of_a_prevention_is_needed(field: str, value: object) -> None:
    assert not counts_as_prevention(**{**GOOD, field: value})


@pytest.mark.parametrize(
    ("arguments", "other", "low", "high"),
    [
        ({}, {}, 1.0, 1.0),
        ({"a": 1}, {"a": 1}, 1.0, 1.0),
        ({"a": 1, "b": "x"}, {"b": "x", "a": 1}, 1.0, 1.0),
        ({"a": 1}, {}, 0.0, 0.0),
        ({"a": "same", "b": 1}, {"a": "same", "c": 1}, 0.33, 0.34),
        ({"sql": "select name from user"}, {"sql": "select name from users"}, 0.9, 0.999),
        ({"q": "delete everything"}, {"q": "zzz"}, 0.0, 0.3),
        ({"l": [{"d": "2024-05-13"}]}, {"l": [{"d": "2024-05-14"}]}, 0.8, 0.99),
    ],
)
def test_likeness_is_the_mean_over_the_arguments_of_both(
    arguments: dict[str, Any], other: dict[str, Any], low: float, high: float
) -> None:
    assert low <= call_similarity("t", arguments, [("t", other)]) <= high


def test_another_tool_is_never_alike() -> None:
    assert call_similarity("t", {"a": 1}, [("u", {"a": 1})]) == 0.0


def test_the_most_similar_call_counts() -> None:
    assert call_similarity("t", {"a": "x"}, [("t", {"a": "q"}), ("t", {"a": "x"})]) == 1.0


calls = st.dictionaries(
    st.text(max_size=3), st.one_of(st.text(max_size=6), st.integers(), st.none())
)


@given(calls, calls)
def test_likeness_is_symmetric_and_a_share(one: dict[str, Any], other: dict[str, Any]) -> None:
    there, back = (
        call_similarity("t", one, [("t", other)]),
        call_similarity("t", other, [("t", one)]),
    )
    assert there == pytest.approx(back)
    assert 0.0 <= there <= 1.0


@pytest.mark.parametrize(
    ("preventions", "incidents", "rate"), [(0, 0, None), (3, 1, 0.75), (0, 2, 0.0)]
)
def test_the_prevention_rate_is_a_share_of_both(
    preventions: int, incidents: int, rate: float | None
) -> None:
    assert prevention_rate(preventions, incidents) == rate
