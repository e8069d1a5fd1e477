"""How a policy moves a weight, and how that fades."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routing.rules import (
    Adjusted,
    Candidate,
    adjustment_for,
    choose_route,
    effective,
    escalation,
    kpi_regressed,
    weight,
)

NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("action", "confidence", "adjustment"),
    [
        ("block", 1.0, ("confidence_penalty", -0.2)),
        ("block", 0.5, ("confidence_penalty", -0.1)),
        ("route_away", 1.0, ("route_block", -0.2)),
        ("escalate", 0.75, ("escalation_add", 0.15)),
        ("warn", 1.0, None),
        ("kill", 1.0, None),
        ("allow", 1.0, None),
    ],
)
def test_a_policys_action_decides_the_adjustment(
    action: str, confidence: float, adjustment: tuple[str, float] | None
):
    made = adjustment_for(action, confidence)
    if adjustment is None:
        assert made is None
    else:
        assert made is not None
        assert made[0] == adjustment[0]
        assert made[1] == pytest.approx(adjustment[1])


@pytest.mark.parametrize("confidence", [-0.1, 1.01, float("nan")])
def test_an_impossible_confidence_moves_nothing(confidence: float):
    with pytest.raises(ValueError, match=r"within 0\.\.1"):
        adjustment_for("block", confidence)


@pytest.mark.parametrize(
    ("age", "left"),
    [
        (-DAY, -0.2),
        (0 * DAY, -0.2),
        (3.5 * DAY, -0.1),
        (7 * DAY - timedelta(seconds=1), -0.2 / (7 * 86_400)),
        (7 * DAY, 0.0),
        (70 * DAY, 0.0),
    ],
)
def test_an_adjustment_fades_in_a_straight_line_to_nothing(age: timedelta, left: float):
    assert effective(-0.2, NOON, NOON + age) == pytest.approx(left, abs=1e-12)


def test_after_seven_days_the_weight_is_exactly_its_baseline():
    old = [Adjusted("confidence_penalty", -0.2, NOON), Adjusted("route_block", -0.07, NOON)]
    assert weight(0.83, old, NOON + 7 * DAY) == 0.83


def test_penalties_lower_the_weight_and_escalation_leaves_it_alone():
    made = [
        Adjusted("confidence_penalty", -0.2, NOON),
        Adjusted("route_block", -0.1, NOON),
        Adjusted("escalation_add", 0.2, NOON),
    ]
    assert weight(0.9, made, NOON) == pytest.approx(0.6)
    assert escalation(0.0, made, NOON) == pytest.approx(0.2)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # shared machines stall
@given(
    st.floats(0, 1),
    st.lists(st.floats(-1, 1)),
    st.integers(0, 8 * 86_400),
)
def test_a_weight_never_leaves_its_bounds(baseline: float, magnitudes: list[float], seconds: int):
    made = [Adjusted("confidence_penalty", magnitude, NOON) for magnitude in magnitudes]
    assert 0.0 <= weight(baseline, made, NOON + timedelta(seconds=seconds)) <= 1.0


@pytest.mark.parametrize(
    ("baseline", "successes", "outcomes", "regressed"),
    [
        (0.80, 14, 20, True),
        (0.80, 72, 100, True),
        (0.80, 73, 100, False),
        (0.80, 20, 20, False),
        (0.80, 0, 19, False),
        (0.50, 45, 100, True),
        (0.50, 46, 100, False),
        (0.0, 0, 50, False),
        (1.0, 0, 0, False),
    ],
)
def test_a_kpi_regresses_by_a_tenth_of_its_baseline_on_enough_outcomes(
    baseline: float, successes: int, outcomes: int, regressed: bool
):
    assert kpi_regressed(baseline, successes, outcomes) is regressed


def test_an_impossible_count_is_refused():
    with pytest.raises(ValueError, match="not a rate"):
        kpi_regressed(0.8, 21, 20)


@pytest.mark.parametrize(
    ("weights", "avoid", "chosen"),
    [
        ({"scout": 0.6, "ranger": 0.9}, set(), "ranger"),
        ({"scout": 0.6, "ranger": 0.9}, {"ranger"}, "scout"),
        ({"scout": 0.9, "ranger": 0.9}, set(), "ranger"),
        ({"ranger": 0.9, "scout": 0.9}, set(), "ranger"),
        ({"scout": 0.0}, set(), None),
        ({"scout": 0.9}, {"scout"}, None),
        ({}, set(), None),
    ],
)
def test_the_best_usable_route_is_chosen_and_ties_go_by_name(
    weights: dict[str, float], avoid: set[str], chosen: str | None
):
    route = choose_route([Candidate(name, weight) for name, weight in weights.items()], avoid)
    assert (route.name if route else None) == chosen
