"""An incident is recognised as a kind of failure, and two workers never make two patterns of one kind."""

from __future__ import annotations

from collections.abc import Callable
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import connection

from catalog import services
from catalog.models import Pattern, PatternMatch
from catalog.rules import keys
from catalog.services import NothingToMatch, match_incident, match_incidents
from governance.actors import COMMAND, Actor
from governance.database.tenancy import leave_tenant, tenant_scope
from governance.models import LedgerEntry, Tenant
from governance.refusals import Forbidden, Invalid
from incidents.models import Incident
from tests import factories

WORDS = " ".join(f"word{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(60))


def failures(messages: list[str], **details: Any) -> list[Incident]:
    """Incidents of these messages, without their loops."""
    agent = factories.agent()
    usual = {"error_type": "OperationalError", "tool": "sql_query", "source": "test"}
    return Incident.objects.bulk_create(
        Incident(agent=agent, message=message, **{**usual, **details}) for message in messages
    )


def failure(message: str, **details: Any) -> Incident:
    return failures([message], **details)[0]


def test_a_novel_incident_opens_a_new_pattern(acme: Tenant) -> None:
    match = match_incident(failure("no such column: custmer_id_7"))

    pattern = Pattern.objects.get()
    assert (match.pattern, match.band, match.is_new, match.confidence) == (
        pattern,
        "novel",
        True,
        0.0,
    )
    assert pattern.name == "OperationalError in sql_query: no such column: <id>"
    assert (pattern.error_type, pattern.tool, len(pattern.signature)) == (
        "OperationalError",
        "sql_query",
        64,
    )
    assert match.why == {"nearest": None, "placeholders": {"<id>": 1}, "occurrence": 1}


def test_the_same_failure_with_another_value_is_strong(acme: Tenant) -> None:
    first = match_incident(failure("no such column: custmer_id_7"))
    second = match_incident(failure("no such column: order_id_12"))

    assert second.pattern == first.pattern
    assert (second.band, second.confidence, second.is_new) == ("strong", 1.0, False)
    assert second.why["same_signature"] is True
    assert second.why["occurrence"] == 2


def test_the_same_message_of_another_tool_is_weak_and_joins(acme: Tenant) -> None:
    first = match_incident(failure("gift card balance is not enough", tool="update_flights"))
    second = match_incident(failure("gift card balance is not enough", tool="update_baggages"))

    assert second.pattern == first.pattern
    assert (second.band, second.confidence, second.is_new) == ("weak", 0.8, False)
    assert (second.why["same_tool"], second.why["same_error_type"]) == (False, True)
    assert second.why["occurrence"] == 2


def test_the_same_message_of_another_error_type_is_another_kind(acme: Tenant) -> None:
    first = match_incident(failure("the server went away"))
    second = match_incident(failure("the server went away", error_type="TimeoutError"))
    assert second.is_new
    assert second.pattern != first.pattern


def test_what_is_below_weak_says_what_came_nearest(acme: Tenant) -> None:
    first = match_incident(failure("session opened for user ann"))
    second = match_incident(failure("session closed for user ann"))

    assert second.is_new
    assert 0 < second.confidence < 0.60
    assert second.why["nearest"]["pattern_id"] == first.pattern_id
    assert second.why["nearest"]["words_only_here"] == ["closed"]


def test_why_is_told_in_lines_and_in_full(acme: Tenant) -> None:
    match_incident(failure("gift card balance is not enough", tool="pay"))
    joined = match_incident(failure("gift card balance is not enough", tool="book"))
    again = match_incident(failure("gift card balance is not enough", tool="book"))
    novel = match_incident(failure("gift card amount is not enough", tool="book"))

    assert services.told(joined)["words that agree"] == "gift card balance is not enough"
    assert services.told(novel) == {
        "words that agree": "gift card is not enough",
        "words only here": "amount",
        "words only there": "balance",
        "nearest other": f"{joined.pattern_id} ({100 * novel.confidence:.0f} %)",
    }
    # A signature that was known is stored shortly, and explained when somebody asks.
    assert "words_agreed" not in again.why
    full = services.explained(again)
    assert full["words_agreed"] == ["gift", "card", "balance", "is", "not", "enough"]
    assert (full["same_tool"], full["similarity"]) == (False, 0.8)
    assert services.explained(novel) == novel.why


def test_a_match_names_the_pattern_that_came_next(acme: Tenant) -> None:
    first = match_incident(failure("gift card balance is not enough", tool="pay"))
    match_incident(failure("gift card amount is not enough", tool="pay"))
    joined = match_incident(failure("gift card balance is not enough", tool="book"))
    assert joined.pattern_id == first.pattern_id
    other = joined.why["nearest_other"]
    assert (other["pattern_id"] != first.pattern_id, other["similarity"] < 0.6) == (True, True)
    # Also for whoever comes with the same signature later.
    again = match_incident(failure("gift card balance is not enough", tool="book"))
    assert services.explained(again)["nearest_other"] == other


@pytest.mark.parametrize(
    ("strong_above", "weak_from", "band"),
    [(0.75, 0.50, "strong"), (0.85, 0.60, "weak"), (0.95, 0.81, "novel")],
)
def test_a_pattern_is_joined_by_its_own_thresholds(
    acme: Tenant, strong_above: float, weak_from: float, band: str
) -> None:
    match_incident(failure("gift card balance is not enough", tool="update_flights"))
    Pattern.objects.update(strong_above=strong_above, weak_from=weak_from)
    match = match_incident(failure("gift card balance is not enough", tool="update_baggages"))
    assert (match.band, match.is_new) == (band, band == "novel")


def test_of_two_equally_like_the_older_is_joined(acme: Tenant) -> None:
    older = match_incident(failure("gift card balance is not enough", tool="one")).pattern
    Pattern.objects.update(weak_from=0.81)
    newer = match_incident(failure("gift card balance is not enough", tool="two")).pattern
    Pattern.objects.update(weak_from=0.60)
    assert older != newer
    assert match_incident(failure("gift card balance is not enough", tool="three")).pattern == older


def test_only_the_newest_patterns_under_a_key_are_compared(
    acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "MOST_PER_KEY", 1)
    monkeypatch.setattr(keys, "MOST_NEARBY", 1)
    match_incident(failure("gift card balance is not enough", tool="one"))
    match_incident(failure("gift card balance is not enough", error_type="Another"))
    assert match_incident(failure("gift card balance is not enough", tool="two")).is_new


def test_incidents_of_one_batch_see_one_another(acme: Tenant) -> None:
    incidents = failures(
        [
            "flight HAT101 is full",
            "flight HAT122 is full",
            "the server went away",
            "flight HAT103 is full",
        ]
    )
    incidents += failures(["flight HAT144 is full"], tool="book")

    matches = match_incidents(incidents)

    told = [
        (matches[each.id].band, matches[each.id].is_new, matches[each.id].why["occurrence"])
        for each in incidents
    ]
    assert told == [
        ("novel", True, 1),
        ("strong", False, 2),
        ("novel", True, 1),
        ("strong", False, 3),
        ("weak", False, 4),
    ]
    assert Pattern.objects.count() == 2


def test_matching_again_gives_the_same_match(acme: Tenant) -> None:
    incident = failure("the server went away")
    first = match_incident(incident)
    assert match_incident(incident) == first
    assert PatternMatch.objects.count() == 1


@pytest.mark.parametrize("nothing", ["", " \n\t", "\x1b[31m\x1b[0m"])
def test_an_incident_that_says_nothing_is_not_matched(acme: Tenant, nothing: str) -> None:
    mute, speaking = failures([nothing, "the server went away"], error_type=" ")
    assert match_incidents([mute, speaking]).keys() == {speaking.id}
    with pytest.raises(NothingToMatch):
        match_incident(mute)


def test_a_name_is_cut_to_what_its_column_holds(acme: Tenant) -> None:
    pattern = match_incident(failure("why " * 500, error_type="E" * 200, tool="t" * 200)).pattern
    assert len(pattern.name) <= 300


def test_patterns_of_another_tenant_are_not_there(acme: Tenant, umbra: Tenant) -> None:
    match_incident(failure("the server went away"))
    leave_tenant()
    with tenant_scope(umbra.id):
        assert match_incident(failure("the server went away")).is_new


def test_occurrences_are_counted_from_matches(acme: Tenant) -> None:
    matches = match_incidents(
        failures(["flight HAT101 is full", "flight HAT122 is full", "the server went away"])
    )
    often, once = Pattern.objects.with_occurrences().order_by("id")
    assert (often.occurrences, once.occurrences) == (2, 1)
    first = PatternMatch.objects.get(pk=next(iter(matches.values())).pk)
    assert often.first_seen == often.last_seen == first.created_at
    assert [each.seen for each in Pattern.objects.seen_up_to(1)] == [1, 1]


def test_a_pattern_nobody_met_was_never_seen(acme: Tenant) -> None:
    Pattern.objects.create(
        name="n", error_type="E", template="t", signature="0" * 64, signature_version=1
    )
    pattern = Pattern.objects.with_occurrences().get()
    assert (pattern.occurrences, pattern.first_seen, pattern.last_seen) == (0, None, None)


def test_a_person_trusts_a_recovery_once(acme: Tenant, rita: Actor) -> None:
    pattern = match_incident(failure("the server went away")).pattern
    services.set_auto_apply(pattern, on=True, actor=rita, reason="it always helped")
    services.set_auto_apply(pattern, on=True, actor=rita, reason="again")

    assert Pattern.objects.get().auto_apply_recovery is pattern.auto_apply_recovery is True
    entry = LedgerEntry.objects.get(kind="pattern.auto_apply_on")
    assert (entry.subject, entry.actor) == (pattern.id, str(rita))
    with pytest.raises(Forbidden):
        services.set_auto_apply(pattern, on=True, actor=COMMAND, reason="I am a command")
    with pytest.raises(Invalid):
        services.set_auto_apply(pattern, on=False, actor=rita, reason=" ")


def test_a_pattern_can_be_given_a_better_name(acme: Tenant, rita: Actor) -> None:
    pattern = match_incident(failure("the server went away")).pattern
    services.rename(pattern, "  Database\nrestarts ", actor=rita)

    assert Pattern.objects.get().name == "Database restarts"
    assert LedgerEntry.objects.filter(kind="pattern.renamed", subject=pattern.id).count() == 1
    for bad in ("", "  ", "x" * 301, "bell\x07"):
        with pytest.raises(Invalid):
            services.rename(pattern, bad, actor=rita)


def test_a_story_is_told_of_what_is_there(acme: Tenant) -> None:
    match = match_incident(failure("the server went away"))
    assert services.story(match.id) == {
        "id": match.id,
        "pattern_id": match.pattern_id,
        "confidence": 0.0,
        "band": "novel",
        "is_new": True,
    }
    told = services.pattern_story(match.pattern_id)
    assert told is not None
    assert told["occurrences"] == 1
    assert services.story("mat_none") is services.pattern_story("pat_none") is None


def at_once(tenant: Tenant, incidents: list[Incident], then: Callable[[Incident], object]) -> None:
    """Run ``then`` for each incident in a thread and a transaction of its own, all at the same moment."""
    ready = Barrier(len(incidents))

    def run(incident: Incident) -> None:
        try:
            with tenant_scope(tenant.id):
                # Every transaction is open, and has read, before anybody writes.
                PatternMatch.objects.exists()
                ready.wait(timeout=30)
                then(incident)
        finally:
            connection.close()

    threads = [Thread(target=run, args=(incident,)) for incident in incidents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("messages", "weak"),
    [
        ([f"flight HAT10{n} is full" for n in range(8)], 0),
        # Signatures that are all different but alike: here no unique key could help, only the lock does.
        (
            [
                f"{WORDS} {last}"
                for last in ("one", "two", "three", "four", "five", "six", "seven", "eight")
            ],
            7,
        ),
    ],
    ids=["equal", "alike"],
)
def test_eight_workers_at_once_make_one_pattern(messages: list[str], weak: int) -> None:
    tenant = factories.tenant("acme")
    with tenant_scope(tenant.id):
        incidents = failures(messages)

    at_once(tenant, incidents, match_incident)

    with tenant_scope(tenant.id):
        assert Pattern.objects.count() == 1
        assert PatternMatch.objects.count() == 8
        assert PatternMatch.objects.filter(is_new=True, band="novel").count() == 1
        assert PatternMatch.objects.filter(band="weak").count() == weak
