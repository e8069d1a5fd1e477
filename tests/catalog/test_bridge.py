"""The first bridge: from an incident to what kind of failure it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from catalog import bridge, services
from catalog.models import Pattern, PatternMatch
from catalog.services import matching, recognition
from governance.actors import LOOP, Actor
from governance.ids import new_id
from governance.loop.bridges import GoOn, Outcome, Stop, Work
from governance.models import Tenant
from incidents.models import Incident

from .test_match import failure, failures


def work(incident: Incident) -> Work:
    """The loop's first step of an incident."""
    return Work(
        new_id("stp"), incident.tenant_id, new_id("trc"), incident.id, "pattern_matched", {}
    )


def land(*incidents: Incident) -> list[Outcome]:
    works = [work(incident) for incident in incidents]
    outcomes = bridge.land(works)
    return [outcomes[each.step_id] for each in works]


def test_a_new_failure_goes_on_as_a_new_pattern(acme: Tenant) -> None:
    [outcome] = land(failure("no such column: order_id_7"))

    match = PatternMatch.objects.get()
    assert outcome == GoOn(
        "A new kind of failure: OperationalError in sql_query: no such column: <id>",
        subject=match.id,
        facts={
            "match_id": match.id,
            "pattern_id": match.pattern_id,
            "band": "novel",
            "confidence": 0.0,
            "is_new": True,
        },
    )


def test_a_known_failure_says_how_sure_and_how_often(acme: Tenant) -> None:
    land(*failures(["no such column: order_id_7"] * 3))
    [outcome] = land(failure("no such column: order_id_9"))
    assert isinstance(outcome, GoOn)
    assert (
        outcome.headline
        == "Recognised: OperationalError in sql_query: no such column: <id> (100 %, seen 4 times)"
    )
    assert outcome.facts["band"] == "strong"
    assert outcome.failure_state == ""


def test_nothing_comes_of_what_a_person_silenced_until_it_is_heeded(acme: Tenant) -> None:
    land(failure("flight HAT101 is full"))
    pattern = Pattern.objects.get()
    anna = Actor("user", "7", "Anna")
    services.silence(pattern, how="expected", actor=anna, reason="Flights are full in summer.")
    [outcome] = land(silenced := failure("flight HAT102 is full"))
    assert isinstance(outcome, Stop)
    assert (outcome.failure_state, outcome.facts["pattern_id"]) == ("match_silenced", pattern.id)
    assert outcome.headline.startswith("A person said that this is expected: nothing comes of it.")

    services.heed(pattern, actor=anna, reason="Not in winter.")
    # Its stage run again, as a person can.
    [outcome] = land(silenced)
    assert isinstance(outcome, GoOn)


def test_a_weak_match_goes_on_and_says_that_it_is_weak(acme: Tenant) -> None:
    land(failure("gift card balance is not enough"))
    [outcome] = land(failure("gift card balance is not enough", tool="book"))
    assert isinstance(outcome, GoOn)
    assert outcome.failure_state == "match_low_confidence"
    assert (outcome.facts["band"], outcome.facts["is_new"]) == ("weak", False)
    assert outcome.headline.startswith("Looks like: ")
    assert outcome.headline.endswith(" (80 %, seen 2 times)")


def test_an_incident_that_says_nothing_stops_its_own_loop_only(acme: Tenant) -> None:
    mute, speaking = failures(["", "the server went away"], error_type="")
    stopped, went_on = land(mute, speaking)
    assert isinstance(stopped, Stop)
    assert stopped.failure_state == "match_failed"
    assert isinstance(went_on, GoOn)
    assert not PatternMatch.objects.filter(incident=mute).exists()


def test_landing_again_finds_the_match(acme: Tenant) -> None:
    incident = failure("the server went away")
    assert land(incident) == land(incident)
    # A second loop of the same incident in one batch, too.
    assert land(incident, incident)[0] == land(incident)[0]
    assert (Pattern.objects.count(), PatternMatch.objects.count()) == (1, 1)


def test_a_headline_shows_its_end_whatever_the_name(acme: Tenant) -> None:
    details: dict[str, Any] = {"error_type": "E" * 200, "tool": "t" * 200}
    land(failure("boom and gone", **details))
    [outcome] = land(failure("boom and gone", **details))
    assert isinstance(outcome, GoOn)
    assert len(outcome.headline) <= 300
    assert outcome.headline.endswith("… (100 %, seen 2 times)")


def test_occurrences_are_counted_no_further_than_it_costs(
    acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "SEEN_MOST", 3)
    monkeypatch.setattr(recognition, "SEEN_MOST", 3)
    monkeypatch.setattr(bridge, "SEEN_MOST", 3)
    land(*failures(["the server went away"] * 4))
    [outcome] = land(failure("the server went away"))
    assert isinstance(outcome, GoOn)
    assert outcome.headline.endswith("seen 3 times or more)")


def test_forty_known_failures_take_four_queries(
    acme: Tenant, django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    kinds = [
        "flight {} is full",
        "no such column: {}",
        "user {} not found",
        "timed out after {} ms",
    ]
    land(*failures([kind.format("a_1") for kind in kinds]))
    incidents = failures([kinds[n % 4].format(f"b_{n}") for n in range(40)])
    with django_assert_max_num_queries(4):
        outcomes = land(*incidents)
    assert {outcome.facts["band"] for outcome in outcomes if isinstance(outcome, GoOn)} == {
        "strong"
    }


def test_new_failures_take_no_query_each(
    acme: Tenant, django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    incidents = failures([f"{chr(97 + n) * 5} is wrong with {chr(97 + n) * 4}" for n in range(20)])
    # Patterns, their signatures, the keys of the index and the matches are a statement each.
    with django_assert_max_num_queries(10):
        land(*incidents)
    assert Pattern.objects.count() == 20


def test_reverting_leaves_the_evidence(acme: Tenant) -> None:
    incident = failure("the server went away")
    land(incident)
    bridge.undo(incident.id, new_id("trc"), LOOP, "a mistake")
    assert PatternMatch.objects.filter(incident=incident).count() == 1
