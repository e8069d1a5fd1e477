"""Which would-be blocks are let through, in tables and by number."""

from __future__ import annotations

from typing import Any

import pytest

from policies.rules import MOST_PERCENT, is_let_through, may_be_explored
from policies.rules.verdicts import STRENGTH


def drawn(percent: float, calls: int = 20_000, **changes: Any) -> list[bool]:
    return [
        is_let_through(
            **{
                "policy_id": "pol_1",
                "version": 1,
                "run_id": f"run_{number}",
                "tool": "sql_query",
                "arguments": {"sql": "SELECT 1", "limit": number % 7},
                "percent": percent,
                **changes,
            }
        )
        for number in range(calls)
    ]


def test_nothing_is_let_through_where_it_is_off() -> None:
    assert not any(drawn(0))
    assert not any(drawn(-3))


@pytest.mark.parametrize("percent", [1, 2, 5])
def test_the_share_is_what_was_asked_for(percent: int) -> None:
    assert sum(drawn(percent)) / 20_000 == pytest.approx(percent / 100, rel=0.2)


def test_the_share_is_capped_whatever_is_asked_for() -> None:
    assert drawn(100) == drawn(MOST_PERCENT)


def test_the_same_call_in_the_same_run_is_never_a_lottery() -> None:
    assert len(set(drawn(5, 500, run_id="run_7", arguments={"b": 1, "a": [2]}))) == 1
    assert drawn(5, 1, arguments={"b": 1, "a": 2}) == drawn(5, 1, arguments={"a": 2, "b": 1})


def test_another_version_draws_anew() -> None:
    assert drawn(5, 2_000) != drawn(5, 2_000, version=2)


@pytest.mark.parametrize("action", sorted(STRENGTH))
@pytest.mark.parametrize("category", ["safety", "privacy", "operational", "routing", "custom"])
def test_only_blocks_that_cost_little_are_ever_tried(action: str, category: str) -> None:
    may = action == "block" and category not in ("safety", "privacy")
    assert may_be_explored(action, category) is may
