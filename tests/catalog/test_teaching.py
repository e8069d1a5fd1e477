"""People teach how failures are grouped, and later failures obey: merge, split, move, rename, silence, undo."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from catalog import services
from catalog.models import Pattern, PatternMatch, PatternSignature, Teaching
from catalog.rules import SIGNATURE_VERSION
from catalog.services import match_incident
from governance.actors import Actor
from governance.models import LedgerEntry, LoopEvent, Tenant
from governance.refusals import Conflict, Forbidden, Invalid
from incidents.models import Incident
from tests import factories

from .test_match import failure
from .test_signatures import outdate

ANNA = Actor("user", "7", "Anna")
SAID: dict[str, Any] = {"actor": ANNA, "reason": "I know this system."}


def seen(message: str, **details: Any) -> PatternMatch:
    """A failure that was reported and recognised."""
    return match_incident(factories.incident(message, **details))


def pattern_of(message: str, **details: Any) -> str:
    """Which kind of failure the next such failure is."""
    return str(seen(message, **details).pattern_id)


@pytest.fixture
def two(acme: Tenant) -> tuple[Pattern, Pattern]:
    """Two patterns that say the same in words that nothing compares."""
    full = seen("flight HAT101 is full").pattern
    seats = seen("no seats are left on the aircraft 17").pattern
    assert full != seats
    return full, seats


class TestMerge:
    def test_the_next_ten_of_either_join_it(self, two: tuple[Pattern, Pattern]) -> None:
        full, seats = two
        services.merge(seats, into=full, **SAID)

        matches = [seen(f"no seats are left on the aircraft {10 + n}") for n in range(10)]
        matches += [seen(f"flight HAT{100 + n} is full") for n in range(10)]

        assert {match.pattern_id for match in matches} == {full.id}
        assert {match.band for match in matches} == {"strong"}
        counted = Pattern.objects.with_occurrences().get(pk=full.pk)
        assert (counted.occurrences, matches[9].why["occurrence"]) == (22, 12)

    def test_what_is_only_like_the_merged_one_joins_too(self, two: tuple[Pattern, Pattern]) -> None:
        full, seats = two
        services.merge(seats, into=full, **SAID)
        alike = seen("no seats are left on the aircraft 17", tool="book")
        assert (alike.pattern_id, alike.band, alike.confidence) == (full.id, "weak", 0.8)

    def test_it_holds_after_signing_again(self, two: tuple[Pattern, Pattern]) -> None:
        full, seats = two
        services.merge(seats, into=full, **SAID)
        outdate()
        services.renew_some()
        assert pattern_of("no seats are left on the aircraft 99") == full.id

    def test_a_merge_of_a_merge_is_one_kind(self, two: tuple[Pattern, Pattern]) -> None:
        full, seats = two
        third = seen("overbooked").pattern
        first = services.merge(seats, into=full, **SAID)
        second = services.merge(full, into=third, **SAID)
        assert pattern_of("no seats are left on the aircraft 5") == third.id

        with pytest.raises(Conflict, match="undo that first"):
            services.undo(first, **SAID)
        services.undo(second, **SAID)
        assert pattern_of("no seats are left on the aircraft 6") == full.id
        services.undo(first, **SAID)
        assert pattern_of("no seats are left on the aircraft 7") == seats.id
        assert not Pattern.objects.exclude(root=None).exists()

    def test_what_was_merged_is_found_where_it_is_now(self, two: tuple[Pattern, Pattern]) -> None:
        full, seats = two
        services.merge(seats, into=full, **SAID)
        for again in (
            lambda: services.merge(seats, into=full, **SAID),
            lambda: services.merge(full, into=seats, **SAID),
        ):
            with pytest.raises(Conflict, match=full.id):
                again()
        with pytest.raises(Invalid):
            services.merge(full, into=full, **SAID)

    def test_the_ledger_and_a_record_say_who_and_why(self, two: tuple[Pattern, Pattern]) -> None:
        full, seats = two
        teaching = services.merge(seats, into=full, **SAID)
        assert (teaching.kind, teaching.pattern_id, teaching.other_id, teaching.actor) == (
            "merged",
            full.id,
            seats.id,
            "user:7",
        )
        assert LedgerEntry.objects.filter(kind="pattern.merged", subject=full.id).count() == 1

    def test_only_a_person_with_a_reason(self, two: tuple[Pattern, Pattern]) -> None:
        full, seats = two
        with pytest.raises(Forbidden):
            services.merge(seats, into=full, actor=factories.SCOUT, reason="because")
        with pytest.raises(Invalid):
            services.merge(seats, into=full, actor=ANNA, reason=" ")
        assert not Teaching.objects.exists()


@pytest.fixture
def statuses(acme: Tenant) -> tuple[Pattern, list[Incident], list[Incident]]:
    """One pattern whose failures differ in a number that its signature masks: six of shop 404, four of shop 500."""
    missing = [seen(f"order {70 + n}: shop 404").incident for n in range(6)]
    broken = [seen(f"order {80 + n}: shop 500").incident for n in range(4)]
    pattern = Pattern.objects.get()
    return pattern, missing, broken


class TestSplit:
    def test_none_crosses_back_though_they_are_signed_alike(
        self, statuses: tuple[Pattern, list[Incident], list[Incident]]
    ) -> None:
        pattern, _, broken = statuses
        teaching = services.split(
            pattern, incidents=[each.id for each in broken], name="The shop is down", **SAID
        )
        new = teaching.pattern
        assert (new.name, teaching.other_id) == ("The shop is down", pattern.id)

        assert {pattern_of(f"order {n}: shop 500") for n in range(10)} == {new.id}
        assert {pattern_of(f"order {n}: shop 404") for n in range(10)} == {pattern.id}
        assert pattern_of("order 7: shop 410") == pattern.id
        counted = Pattern.objects.with_occurrences()
        assert counted.get(pk=new.pk).occurrences == 14
        assert counted.get(pk=pattern.pk).occurrences == 17

    def test_none_crosses_back_after_signing_again(
        self, statuses: tuple[Pattern, list[Incident], list[Incident]]
    ) -> None:
        pattern, _, broken = statuses
        new = services.split(pattern, incidents=[each.id for each in broken], **SAID).pattern
        outdate()
        while services.renew_some():
            pass
        assert {pattern_of(f"order {n}: shop 500") for n in range(5)} == {new.id}
        assert {pattern_of(f"order {n}: shop 404") for n in range(5)} == {pattern.id}

    def test_what_a_better_signature_signs_alike_stays_apart(self, acme: Tenant) -> None:
        """As if the version before had not masked the number: two signatures then, one now."""
        one = [seen(f"order {70 + n}: shop 404") for n in range(3)]
        pattern = one[0].pattern
        other = Pattern.objects.create(
            name="other",
            error_type="OperationalError",
            template="x",
            signature="x" * 64,
            signature_version=1,
        )
        two = [factories.incident(f"order {80 + n}: shop 500") for n in range(3)]
        for incident in two:
            PatternMatch.objects.create(
                incident=incident, pattern=other, confidence=1.0, band="strong"
            )
        PatternSignature.objects.update(version=SIGNATURE_VERSION - 1, hash="y" * 64)
        PatternSignature.objects.create(
            pattern=other,
            incident=two[0],
            hash="z" * 64,
            version=SIGNATURE_VERSION - 1,
            confidence=1.0,
            is_taught=True,
        )
        assert services.renew_some() == 2
        assert {pattern_of(f"order {n}: shop 500") for n in range(3)} == {other.id}
        assert {pattern_of(f"order {n}: shop 404") for n in range(3)} == {pattern.id}

    def test_failures_of_a_signature_of_their_own_take_it_along(self, acme: Tenant) -> None:
        kept = seen("Failed password for root from 10.0.0.1")
        gone = seen("Failed password for alice from 10.0.0.2")
        assert kept.pattern_id == gone.pattern_id
        new = services.split(kept.pattern, incidents=[gone.incident_id], **SAID).pattern
        assert pattern_of("Failed password for alice from 10.0.0.9") == new.id
        assert pattern_of("Failed password for root from 10.0.0.9") == kept.pattern_id

    def test_the_story_tells_it_and_the_first_match_stays(
        self, statuses: tuple[Pattern, list[Incident], list[Incident]]
    ) -> None:
        pattern, _, broken = statuses
        new = services.split(pattern, incidents=[each.id for each in broken], **SAID).pattern
        told = LoopEvent.objects.filter(type="match_corrected", trace__incident_id=broken[0].id)
        assert told.get().actor == "user:7"
        matches = PatternMatch.objects.filter(incident=broken[0]).order_by("id")
        assert [match.pattern_id for match in matches] == [pattern.id, new.id]
        assert services.matches_of([broken[0].id])[broken[0].id].pattern_id == new.id

    def test_what_nothing_tells_apart_is_refused_and_named(self, acme: Tenant) -> None:
        matches = [seen("shop 500 is down") for _ in range(3)]
        with pytest.raises(Conflict, match=matches[0].incident_id):
            services.split(matches[0].pattern, incidents=[matches[0].incident_id], **SAID)
        assert PatternMatch.objects.count() == 3
        assert Pattern.objects.count() == 1

    @pytest.mark.parametrize("which", ["none", "all", "foreign", "unknown", "too many"])
    def test_incidents_that_cannot_be_split_off(
        self, statuses: tuple[Pattern, list[Incident], list[Incident]], which: str
    ) -> None:
        pattern, missing, broken = statuses
        everything = [each.id for each in (*missing, *broken)]
        wanted = {
            "none": [],
            "all": everything,
            "foreign": [seen("something else entirely").incident_id],
            "unknown": ["inc_00000000000000000000000000"],
            "too many": everything * 21,
        }[which]
        if which == "too many":
            wanted = [f"inc_{n:026d}" for n in range(201)]
        with pytest.raises(Invalid) as refused:
            services.split(pattern, incidents=wanted, **SAID)
        assert refused.value.extra["field"] == "incidents"

    def test_undone_it_is_one_kind_again(
        self, statuses: tuple[Pattern, list[Incident], list[Incident]]
    ) -> None:
        pattern, _, broken = statuses
        teaching = services.split(pattern, incidents=[each.id for each in broken], **SAID)
        services.undo(teaching, **SAID)
        assert pattern_of("order 9: shop 500") == pattern.id
        assert Pattern.objects.with_occurrences().get(pk=pattern.pk).occurrences == 11
        with pytest.raises(Conflict):
            services.undo(teaching, **SAID)

    def test_a_second_split_of_what_is_signed_alike(
        self, statuses: tuple[Pattern, list[Incident], list[Incident]]
    ) -> None:
        pattern, _, broken = statuses
        gone = [seen(f"order {90 + n}: shop 410").incident for n in range(3)]
        first = services.split(pattern, incidents=[each.id for each in broken], **SAID).pattern
        second = services.split(pattern, incidents=[each.id for each in gone], **SAID).pattern
        assert pattern_of("order 1: shop 500") == first.id
        assert pattern_of("order 1: shop 410") == second.id
        assert pattern_of("order 1: shop 404") == pattern.id


class TestMove:
    def test_later_ones_that_say_the_same_follow(self, two: tuple[Pattern, Pattern]) -> None:
        full, seats = two
        wrong = seen("no seats are left on the aircraft 17", tool="book")
        assert wrong.pattern_id == seats.id
        services.move(full, incidents=[wrong.incident_id], **SAID)
        assert pattern_of("no seats are left on the aircraft 44", tool="book") == full.id
        assert pattern_of("no seats are left on the aircraft 44") == seats.id

    def test_what_nothing_tells_apart_is_moved_and_nothing_is_learned(
        self, two: tuple[Pattern, Pattern]
    ) -> None:
        full, seats = two
        again = seen("no seats are left on the aircraft 17")
        teaching = services.move(full, incidents=[again.incident_id], **SAID)
        assert teaching.facts["alike"] == [again.incident_id]
        assert services.matches_of([again.incident_id])[again.incident_id].pattern_id == full.id
        assert pattern_of("no seats are left on the aircraft 17") == seats.id

    def test_undone_they_are_back(self, two: tuple[Pattern, Pattern]) -> None:
        full, seats = two
        wrong = seen("no seats are left on the aircraft 17", tool="book")
        teaching = services.move(full, incidents=[wrong.incident_id], **SAID)
        services.undo(teaching, **SAID)
        assert services.matches_of([wrong.incident_id])[wrong.incident_id].pattern_id == seats.id
        assert pattern_of("no seats are left on the aircraft 33", tool="book") == seats.id
        assert PatternMatch.objects.filter(incident=wrong.incident_id).count() == 3

    def test_where_it_is_already(self, two: tuple[Pattern, Pattern]) -> None:
        incident = PatternMatch.objects.filter(pattern=two[0]).get().incident_id
        with pytest.raises(Invalid, match=incident):
            services.move(two[0], incidents=[incident], **SAID)


class TestSilence:
    def test_what_it_silences_is_counted(self, two: tuple[Pattern, Pattern]) -> None:
        full, _ = two
        services.silence(full, how="expected", **SAID)
        for n in range(3):
            seen(f"flight HAT{100 + n} is full")
        assert services.count_silenced(full) == 3
        assert services.silenced_of([full.id]) == {full.id: "expected"}

    def test_it_ends_by_itself_and_says_what_it_silenced(
        self, two: tuple[Pattern, Pattern]
    ) -> None:
        full, _ = two
        services.silence(full, how="ignored", until=timezone.now() + timedelta(hours=1), **SAID)
        seen("flight HAT111 is full")
        # Ids tell milliseconds apart and no less.
        ends = timezone.now() + timedelta(milliseconds=1)
        Pattern.objects.filter(pk=full.pk).update(silenced_until=ends)
        full.refresh_from_db()
        while timezone.now() < ends + timedelta(milliseconds=1):
            pass
        seen("flight HAT112 is full")
        assert services.silenced_of([full.id]) == {}
        assert services.count_silenced(full) == 1

    @pytest.mark.parametrize(
        ("how", "days", "field"),
        [
            ("quiet", 1, "how"),
            ("ignored", None, "until"),
            ("ignored", -1, "until"),
            ("expected", 91, "until"),
        ],
    )
    def test_what_cannot_be(
        self, two: tuple[Pattern, Pattern], how: str, days: int | None, field: str
    ) -> None:
        until = None if days is None else timezone.now() + timedelta(days=days)
        with pytest.raises(Invalid) as refused:
            services.silence(two[0], how=how, until=until, **SAID)
        assert refused.value.extra["field"] == field

    def test_heeded_and_undone(self, two: tuple[Pattern, Pattern]) -> None:
        full, _ = two
        services.silence(full, how="expected", **SAID)
        heeded = services.heed(full, **SAID)
        assert services.silenced_of([full.id]) == {}
        with pytest.raises(Conflict):
            services.heed(full, **SAID)
        services.undo(heeded, **SAID)
        assert services.silenced_of([full.id]) == {full.id: "expected"}


def test_a_name_is_taken_back(two: tuple[Pattern, Pattern]) -> None:
    full, _ = two
    before = full.name
    services.rename(full, "Booked out", actor=ANNA)
    teaching = Teaching.objects.get(kind="renamed")
    services.rename(full, "Full", actor=ANNA)
    with pytest.raises(Conflict, match="changed again"):
        services.undo(teaching, **SAID)
    services.undo(Teaching.objects.filter(kind="renamed").latest("id"), **SAID)
    services.undo(teaching, **SAID)
    full.refresh_from_db()
    assert full.name == before


def test_unbooked_failure_has_no_pattern_to_move(acme: Tenant) -> None:
    pattern = seen("flight HAT101 is full").pattern
    unmatched = failure("not matched yet")
    with pytest.raises(Invalid, match=unmatched.id):
        services.move(pattern, incidents=[unmatched.id], **SAID)
