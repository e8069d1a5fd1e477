"""Whether the recoveries of a template worked, as far as that is known by now."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from catalog.models import PatternMatch
from recovery.models import Recovery
from recovery.services import make_template
from recovery.services.grounds import Results, gather

from .cast import land, pattern, recovery_of, work

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
EARLY, HELPED, FAILED = Results(0, 0), Results(1, 1), Results(0, 1)


@pytest.mark.parametrize(
    ("applied_ago", "state", "came_back_after", "expected"),
    [
        (HOUR, "applied", None, EARLY),
        (DAY - HOUR, "applied", None, EARLY),
        (DAY + HOUR, "applied", None, HELPED),
        (2 * HOUR, "applied", HOUR, FAILED),
        (2 * DAY, "applied", DAY, FAILED),
        (2 * DAY, "applied", DAY + HOUR, HELPED),
        (2 * DAY, "applied", -HOUR, HELPED),
        (2 * HOUR, "rolled_back", None, FAILED),
        (4 * DAY, "rolled_back", None, FAILED),
    ],
)
def test_a_recovery_worked_when_a_day_passed_without_a_recurrence(
    acme, rita, applied_ago, state, came_back_after, expected
):
    known = pattern()
    make_template(
        known,
        name="Retry twice",
        kind="retry_policy",
        params={"max_attempts": 2, "backoff_ms": 100, "retry_on": ["OperationalError"]},
        declared_confidence=0.8,
        actor=rita,
    )
    first, again = work(known), work(known)
    land(first)
    applied_at = timezone.now() - applied_ago
    Recovery.objects.filter(pk=recovery_of(first).pk).update(
        state=state, applied_at=applied_at, created_at=applied_at
    )
    if came_back_after is not None:
        land(again)
        Recovery.objects.filter(pk=recovery_of(again).pk).update(
            created_at=applied_at + came_back_after
        )

    results = gather(list(PatternMatch.objects.filter(pattern=known))).results

    assert list(results.values()) == [expected]
