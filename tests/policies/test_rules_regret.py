"""Regret: decay, who counts how often, and demotion."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.rules import Regret, counted, decayed, regret_rate, regret_score, should_demote

NOW = datetime(2025, 3, 10, 12, tzinfo=UTC)


def regret(severity: int = 10, *principals: str, days: float = 0) -> Regret:
    return Regret(severity, frozenset(principals or {"scout"}), NOW - timedelta(days=days))


def upheld(severity: int, *, days: float = 0) -> Regret:
    return regret(severity, "scout", "reviewer", days=days)


@given(st.integers(1, 10), st.integers(0, 60))
def test_the_decay_is_exact(severity: int, days: int) -> None:
    assert regret_score([upheld(severity, days=days)], NOW) == severity / 2 * 0.9**days


@given(st.floats(0, 5), st.floats(0, 100), st.floats(0, 100))
def test_decay_composes_over_time(weight: float, first: float, second: float) -> None:
    once = decayed(weight, timedelta(days=first + second))
    twice = decayed(decayed(weight, timedelta(days=first)), timedelta(days=second))
    assert twice == pytest.approx(once, rel=1e-6, abs=1e-12)


def test_a_report_from_the_future_weighs_no_more_than_a_fresh_one() -> None:
    assert regret_score([upheld(10, days=-2)], NOW) == 5.0


def test_an_agent_counts_once_a_day_with_its_heaviest_report() -> None:
    reports = [regret(2, days=0.01), regret(6, days=0.1), regret(4, days=0.2)]
    assert counted(reports) == [reports[1]]


def test_one_agent_comes_to_four_at_most() -> None:
    reports = [regret(10, days=day) for day in range(5)]
    assert regret_score(reports, NOW) == 4.0


@pytest.mark.parametrize(
    ("reports", "demoted"),
    [
        ([], False),
        ([regret(10)], False),
        ([regret(10, days=day) for day in range(7)], False),  # one agent alone, never
        ([regret(10), regret(2, "ranger")], True),  # 4.0 + 1.0
        ([regret(8), regret(1, "ranger")], False),
        ([regret(10, "reviewer", days=day) for day in range(7)], False),  # nor one person
        ([upheld(6), upheld(6)], True),  # an agent and a person behind each
        ([upheld(6)], False),
        ([upheld(6), regret(4)], True),
        ([upheld(10, days=0.1)], False),  # already below 5.0
        (
            [regret(1, days=day) for day in range(2)] + [regret(1, "ranger")],
            True,
        ),  # three in seven days
        ([regret(1, days=8), regret(1, days=1), regret(1, "ranger")], False),
        ([upheld(1), upheld(1), upheld(1)], True),
        ([regret(1, "reviewer", days=day) for day in range(3)], False),
    ],
)
def test_demotion_needs_weight_or_number_and_more_than_one_principal(
    reports: list[Regret], demoted: bool
) -> None:
    assert should_demote(reports, NOW) is demoted


regrets = st.lists(
    st.builds(
        regret,
        st.integers(1, 10),
        st.sampled_from(["scout", "ranger", "reviewer"]),
        days=st.floats(0, 20),
    ),
    max_size=8,
)


@given(regrets.flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))))
def test_the_order_of_reports_never_matters(pair: tuple[list[Regret], list[Regret]]) -> None:
    some, shuffled = pair
    assert regret_score(some, NOW) == regret_score(shuffled, NOW)
    assert should_demote(some, NOW) is should_demote(shuffled, NOW)


@given(st.lists(st.tuples(st.integers(1, 10), st.floats(0, 30)), max_size=60))
def test_nobody_alone_ever_demotes(reports: list[tuple[int, float]]) -> None:
    assert not should_demote([regret(severity, days=days) for severity, days in reports], NOW)


@given(st.lists(st.tuples(st.integers(1, 10), st.floats(0, 6.9)), min_size=2, max_size=2))
def test_the_third_counted_report_demotes_however_mild(two: list[tuple[int, float]]) -> None:
    by_one = [regret(severity, days=days) for severity, days in two]
    if len(counted(by_one)) == 2:
        assert should_demote([*by_one, regret(1, "ranger")], NOW)


@pytest.mark.parametrize(
    ("regrets", "preventions", "rate"), [(0, 0, None), (1, 3, 0.25), (2, 0, 1.0)]
)
def test_the_regret_rate_is_a_share_of_both(
    regrets: int, preventions: int, rate: float | None
) -> None:
    assert regret_rate(regrets, preventions) == rate
