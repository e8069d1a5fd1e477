"""When weights may not be moved any more."""

from datetime import UTC, datetime, timedelta

import pytest

from routing.rules import Change, History, Reason, Verdict, governor, reversals

NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def ago(*minutes: int) -> list[datetime]:
    return [NOON - minute * MINUTE for minute in minutes]


def moves(*deltas: float) -> list[Change]:
    """One move a minute, the last one a minute ago."""
    return [Change(NOON - (len(deltas) - n) * MINUTE, delta) for n, delta in enumerate(deltas)]


@pytest.mark.parametrize(
    ("history", "reason"),
    [
        (History(), Reason.WITHIN_LIMITS),
        (History(agent=ago(1, 2, 3, 4)), Reason.WITHIN_LIMITS),
        (History(agent=ago(1, 2, 3, 4, 5)), Reason.AGENT_LIMIT),
        (History(agent=ago(1, 2, 3, 4, 60)), Reason.WITHIN_LIMITS),
        (History(tenant=ago(*range(1, 10))), Reason.WITHIN_LIMITS),
        (History(tenant=ago(*range(1, 11))), Reason.TENANT_LIMIT),
        (History(tenant=ago(*range(60, 90))), Reason.WITHIN_LIMITS),
        (History(agent=ago(1, 2, 3, 4, 5), tenant=ago(*range(1, 11))), Reason.TENANT_LIMIT),
        (History(weight=moves(-0.2, -0.2, -0.2, -0.2)), Reason.WITHIN_LIMITS),
        (History(weight=moves(-0.2, 0.2, -0.2)), Reason.OSCILLATION),
        (History(tenant_frozen_until=NOON + MINUTE), Reason.TENANT_FROZEN),
        (History(tenant_frozen_until=NOON), Reason.WITHIN_LIMITS),
        (History(weight_frozen_until=NOON + MINUTE), Reason.WEIGHT_FROZEN),
        (History(weight_frozen_until=NOON - MINUTE), Reason.WITHIN_LIMITS),
    ],
)
def test_the_governor_says_why(history: History, reason: Reason):
    verdict = governor(0.2, history, NOON)
    assert verdict.reason == reason
    assert verdict.is_allowed is (reason == Reason.WITHIN_LIMITS)
    assert verdict.explanation


def test_an_agent_may_be_adjusted_again_when_its_hour_has_room():
    verdict = governor(-0.1, History(agent=ago(50, 40, 30, 20, 10)), NOON)
    assert verdict.retry_at == NOON + 10 * MINUTE
    assert not verdict.freeze_tenant
    assert governor(-0.1, History(agent=ago(50, 40, 30, 20, 10)), NOON + 10 * MINUTE).is_allowed


def test_the_eleventh_adjustment_in_an_hour_freezes_the_tenant_for_a_quarter():
    verdict = governor(-0.1, History(tenant=ago(*range(1, 11))), NOON)
    assert verdict == Verdict(
        is_allowed=False,
        reason=Reason.TENANT_LIMIT,
        explanation=verdict.explanation,
        retry_at=NOON + 15 * MINUTE,
        freeze_tenant=True,
    )


@pytest.mark.parametrize(
    ("past", "delta", "is_allowed"),
    [
        ((-0.2, 0.2), -0.2, True),
        ((-0.2, 0.2, -0.2), 0.2, False),
        ((-0.2, 0.2, -0.2), -0.2, True),
        ((-0.2, 0.2, 0.0), -0.2, True),
    ],
)
def test_the_third_turn_within_an_hour_freezes_the_weight(
    past: tuple[float, ...], delta: float, is_allowed: bool
):
    verdict = governor(delta, History(weight=moves(*past)), NOON)
    assert verdict.is_allowed is is_allowed
    assert verdict.freeze_weight is not is_allowed


def test_turns_older_than_an_hour_are_forgotten():
    assert governor(0.2, History(weight=moves(-0.2, 0.2, -0.2)), NOON + 60 * MINUTE).is_allowed


def test_a_turn_is_a_move_against_the_one_before():
    assert reversals(moves(-0.1, -0.1, 0.2, 0.1, -0.1)) == ago(3, 1)
