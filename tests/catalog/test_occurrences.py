"""When a kind of failure occurred, whom it hit, and whether it came back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from catalog.models import Pattern, PatternMatch
from catalog.rules.occurrences import Move, Regression, by_day, first_moment, regression
from catalog.services import affected_by, match_incidents, occurrences, per_day
from governance.actors import Actor
from governance.ids import first_id, made_at, new_id
from governance.models import Tenant
from incidents import services as incidents
from incidents.models import Incident
from tests import factories

from .test_match import failure, failures

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def at(minute: int) -> datetime:
    return NOON + timedelta(minutes=minute)


def came(*minutes: int) -> list[tuple[str, datetime]]:
    """Incidents named a, b, c…, each when it came."""
    return [(chr(97 + place), at(minute)) for place, minute in enumerate(minutes)]


RESOLVED = {"a": [Move(at(2), is_resolved=True)]}
REOPENED_BEFORE = {"a": [Move(at(2), is_resolved=True), Move(at(3), is_resolved=False)]}
REOPENED_AFTER = {"a": [Move(at(2), is_resolved=True), Move(at(9), is_resolved=False)]}


@pytest.mark.parametrize(
    ("occurred", "moves", "expected"),
    [
        ([], {}, None),
        (came(0), RESOLVED, None),
        (came(0, 5), {}, None),
        (came(0, 5), RESOLVED, Regression(at(2), at(5), is_open=True)),
        # It came while the one before was still open: nobody had settled it.
        (came(0, 1), RESOLVED, None),
        (came(0, 5), REOPENED_BEFORE, None),
        (came(0, 5), REOPENED_AFTER, Regression(at(2), at(5), is_open=True)),
        # Only the newest had to be resolved: b was not.
        (came(0, 1, 5), RESOLVED, None),
        # The latest return counts, and it was settled since.
        (
            came(0, 5, 8),
            {**RESOLVED, "b": [Move(at(6), is_resolved=True)], "c": [Move(at(9), is_resolved=True)]},
            Regression(at(6), at(8), is_open=False),
        ),
        # Others of it since change nothing about when it came back.
        (came(0, 5, 6, 7), RESOLVED, Regression(at(2), at(5), is_open=True)),
    ],
)  # fmt: skip
def test_a_failure_came_back_when_its_newest_incident_had_been_resolved(
    occurred: list[tuple[str, datetime]], moves: dict[str, list[Move]], expected: Regression | None
) -> None:
    assert regression(occurred, moves) == expected


def test_days_are_counted_by_utc_and_empty_ones_too() -> None:
    moments = [NOON, NOON - timedelta(days=2), datetime(2026, 3, 8, 0, 0, tzinfo=UTC)]
    found = by_day(moments, days=4, now=NOON)
    assert [(each.day.day, each.count) for each in found] == [(7, 0), (8, 2), (9, 0), (10, 1)]
    assert first_moment(1, NOON) == datetime(2026, 3, 10, tzinfo=UTC)


def occurred_at(incident: Incident, pattern: Pattern, moment: datetime) -> PatternMatch:
    """A match of that moment: its id says so too."""
    return PatternMatch.objects.create(
        id=f"{first_id('mat', moment)[:-6]}{new_id('mat')[-6:]}",
        incident=incident,
        pattern=pattern,
        confidence=1.0,
        band="strong",
        why={"occurrence": 2},
        created_at=moment,
    )


def test_occurrences_fall_on_their_days_and_no_earlier_row_is_read(acme: Tenant) -> None:
    match_incidents([failure("first of all")])
    pattern = Pattern.objects.get()
    now = timezone.now()
    for each, days in zip(failures(["x"] * 4), (1, 1, 6, 40), strict=True):
        occurred_at(each, pattern, now - timedelta(days=days))
    week = per_day(pattern, 7, now)
    assert [each.count for each in week.days] == [1, 0, 0, 0, 0, 2, 1]
    assert (week.total, week.is_cut) == (4, False)
    assert per_day(pattern, 90, now).total == 5


def test_more_than_are_counted_are_said_to_be_cut(
    acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    match_incidents(failures(["no such column: order_id_1"] * 4))
    pattern = Pattern.objects.get()
    monkeypatch.setattr(occurrences, "COUNTED", 3)
    monkeypatch.setattr(occurrences, "LOOKED_AT", 3)
    found = per_day(pattern, 7, timezone.now())
    assert (found.total, found.is_cut) == (3, True)
    assert affected_by(pattern).is_cut


def test_whom_it_hit_is_counted_without_rehearsals_and_by_two_statements(
    acme: Tenant, django_assert_num_queries: Callable[[int], Any]
) -> None:
    match_incidents(failures(["no such column: order_id_1", "no such column: order_id_2"]))
    match_incidents([failure("no such column: order_id_3", tool="sql_query", simulated=True)])
    other = Incident.objects.create(
        agent=factories.agent("otto"),
        message="no such column: order_id_4",
        error_type="OperationalError",
        tool="sql_query",
        source="test",
    )
    match_incidents([other])
    pattern = Pattern.objects.get()
    with django_assert_num_queries(2):
        found = affected_by(pattern)
    assert found.agents == (("scout", 2), ("otto", 1))
    assert found.tools == (("sql_query", 3),)
    assert (found.runs, found.regression, found.is_cut) == (0, None, False)


def test_a_resolved_failure_that_comes_again_is_a_regression_until_it_is_resolved_again(
    acme: Tenant, rita: Actor
) -> None:
    first = failure("no such column: order_id_1")
    match_incidents([first])
    pattern = Pattern.objects.get()
    incidents.resolve(first, actor=rita, reason="The column is there now.")
    assert affected_by(pattern).regression is None
    again = failure("no such column: order_id_2")
    match_incidents([again])
    back = affected_by(pattern).regression
    assert back is not None
    assert back.is_open
    assert back.came_back_at == made_at(again.id)
    assert timedelta(0) <= back.after < timedelta(minutes=1)
    incidents.resolve(again, actor=rita, reason="Now it is.")
    settled = affected_by(pattern).regression
    assert settled is not None
    assert not settled.is_open
    incidents.reopen(again, actor=rita, reason="It is not.")
    opened = affected_by(pattern).regression
    assert opened is not None
    assert opened.is_open


def test_an_id_says_when_it_was_made() -> None:
    moment = datetime(2026, 3, 10, 12, 0, 0, 123_000, tzinfo=UTC)
    assert made_at(first_id("inc", moment)) == moment
    with pytest.raises(ValueError, match="no id"):
        made_at("inc_nothing")
