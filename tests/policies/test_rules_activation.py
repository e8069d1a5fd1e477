"""From draft to active: confidence, confirmations, permission."""

import pytest

from governance.rules import wilson_lower
from policies.rules import (
    confirmations,
    is_confirmed,
    is_low_confidence,
    is_witnessed,
    may_activate,
    needs_redraft,
    policy_confidence,
)


@pytest.mark.parametrize(
    ("would_blocks", "failures", "expected"),
    [
        (0, 0, 0.7),
        (4, 0, 0.7),
        (5, 5, wilson_lower(5, 5)),
        (5, 0, 0.0),
        (40, 38, wilson_lower(38, 40)),
    ],
)
def test_confidence_is_the_recoverys_until_five_outcomes(
    would_blocks: int, failures: int, expected: float
) -> None:
    assert policy_confidence(0.7, would_blocks, failures) == expected


@pytest.mark.parametrize(("confidence", "is_low"), [(0.59, True), (0.60, False), (0.9, False)])
def test_confidence_below_point_six_is_low(confidence: float, is_low: bool) -> None:
    assert is_low_confidence(confidence) is is_low


@pytest.mark.parametrize(
    ("state", "false_rejections", "needed"),
    [("shadow", 1, True), ("shadow", 0, False), ("active", 1, False), ("draft", 2, False)],
)
def test_a_shadow_policy_with_a_false_rejection_is_redrafted(
    state: str, false_rejections: int, needed: bool
) -> None:
    assert needs_redraft(state, false_rejections) is needed


@pytest.mark.parametrize(
    ("incidents", "vouching", "count"),
    [
        ([], False, 1),
        (["inc_1"], False, 1),
        (["inc_2", "inc_2"], False, 2),
        (["inc_2", "inc_3"], False, 3),
        (["inc_2"], True, 3),
    ],
)
def test_confirmations_are_distinct_incidents_and_at_most_one_reviewer(
    incidents: list[str], vouching: bool, count: int
) -> None:
    assert confirmations("inc_1", incidents, is_reviewer_vouching=vouching) == count
    assert is_confirmed(count) is (count >= 3)


@pytest.mark.parametrize(
    ("state", "approved", "allows", "unlocked", "confidence", "given", "automatic"),
    [
        ("pending", True, False, False, 0.1, True, False),
        ("pending", False, True, True, 0.85, True, True),
        ("pending", False, True, True, 0.8499, False, False),
        ("pending", False, True, False, 0.99, False, False),
        ("pending", False, False, True, 0.99, False, False),
        ("shadow", True, True, True, 0.99, False, False),
        ("retired", True, True, True, 0.99, False, False),
    ],
)
def test_a_policy_is_activated_by_a_person_or_by_all_three_conditions(
    state: str,
    approved: bool,
    allows: bool,
    unlocked: bool,
    confidence: float,
    given: bool,
    automatic: bool,
) -> None:
    permission = may_activate(
        state=state,
        is_approved=approved,
        tenant_allows_automatic=allows,
        is_unlocked=unlocked,
        confidence=confidence,
        witnesses=2,
    )
    assert (permission.is_given, permission.is_automatic) == (given, automatic)
    assert permission.reason


def test_one_agent_alone_never_activates_by_itself() -> None:
    permission = may_activate(
        state="pending",
        is_approved=False,
        tenant_allows_automatic=True,
        is_unlocked=True,
        confidence=1.0,
        witnesses=1,
    )
    assert not permission.is_given
    assert "one agent alone" in permission.reason
    assert is_witnessed(1, 3) is False
    assert is_witnessed(2, 3) is True
    assert is_witnessed(1, 1) is True  # a tenant that wants one confirmation has said so
    assert is_witnessed(0, 0) is False
