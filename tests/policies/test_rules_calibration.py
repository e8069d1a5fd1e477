"""How sure a match must be, in tables: what is learned from outcomes, when it is held, and what is plotted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.rules import Judged, Thresholds, bins, calibrated, has_jumped

NOW = datetime(2025, 3, 10, tzinfo=UTC)
USUAL = Thresholds(0.85, 0.60)


def judged(*runs: tuple[float, bool, int]) -> list[Judged]:
    """``(confidence, right, number)`` one after another, a minute apart."""
    flat = [(confidence, right) for confidence, right, number in runs for _ in range(number)]
    return [
        Judged(confidence, right, NOW + timedelta(minutes=at))
        for at, (confidence, right) in enumerate(flat)
    ]


@pytest.mark.parametrize(
    ("outcomes", "strong", "weak"),
    [
        (judged((0.75, True, 9)), 0.85, 0.60),  # fewer than ten
        (judged((0.75, True, 10)), 0.75 - 0.01, 0.60),  # not lower than what was observed
        (judged((0.75, True, 9), (0.75, False, 1)), 0.74, 0.60),  # 90 % are enough
        (judged((0.75, True, 8), (0.75, False, 2)), 0.95, 0.60),
        (judged((0.88, False, 5), (0.93, True, 10)), 0.88, 0.70),
        (judged((0.62, False, 8), (0.68, True, 8), (0.9, True, 4)), 0.70, 0.63),
        (judged((0.62, False, 9), (0.68, True, 8)), 0.85, 0.63),
        (judged((0.62, False, 20)), 0.85, 0.70),
        (judged((0.97, False, 20)), 0.95, 0.70),
    ],
)
def test_thresholds_follow_what_was_right(
    outcomes: list[Judged], strong: float, weak: float
) -> None:
    found = calibrated(outcomes, USUAL)
    assert (round(found.strong, 2), round(found.weak, 2)) == (round(strong, 2), weak)


@given(
    st.lists(st.tuples(st.floats(0.5, 0.999), st.booleans(), st.just(1)), min_size=10, max_size=60)
)
def test_thresholds_stay_in_their_bounds_and_in_order(runs: list[tuple[float, bool, int]]) -> None:
    found = calibrated(judged(*runs), USUAL)
    assert 0.50 <= found.weak <= 0.70 <= found.strong <= 0.95
    assert calibrated(judged(*runs), USUAL) == found


def test_a_jump_of_the_error_is_noticed_and_a_steady_one_is_none() -> None:
    good, bad = judged((0.9, True, 20)), judged((0.9, True, 20), (0.9, False, 10))
    assert not has_jumped(good)
    assert has_jumped(bad)
    assert not has_jumped(judged((0.9, True, 5), (0.9, False, 5)))  # nothing to compare with
    mixed = [(0.8, at % 3 == 0, 1) for at in range(60)]
    assert not has_jumped(judged(*mixed))


def test_the_plot_shows_what_was_predicted_beside_what_was_confirmed() -> None:
    found = bins(judged((0.61, True, 3), (0.61, False, 1), (0.97, True, 5)))
    assert [(each.start, each.count, each.confirmed) for each in found] == [
        (0.60, 4, 0.75),
        (0.95, 5, 1.0),
    ]
    assert all(each.low <= each.confirmed <= each.high for each in found)
