"""Patterns that learn how sure a match must be: from people and policies, frozen and reversible, over HTTP."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rest_framework.test import APIClient

from catalog.models import Pattern, PatternMatch
from catalog.services import match_incidents
from governance.actors import CLOCK, Actor
from governance.database.tenancy import leave_tenant
from governance.models import LedgerEntry, Tenant
from governance.refusals import Conflict, Forbidden, Invalid
from policies.models import Calibration, Evidence
from policies.services import calibrations
from tests import factories
from tests.factories import SCOUT
from tests.policies import living


@pytest.fixture
def pattern(acme: Tenant) -> Pattern:
    return living.pattern()


def matched(pattern: Pattern, confidence: float, number: int = 1) -> list[PatternMatch]:
    return [
        PatternMatch.objects.create(
            incident=factories.incident(f"shape {at} of {confidence}"),
            pattern=pattern,
            confidence=confidence,
            band="strong" if confidence > 0.85 else "weak",
        )
        for at in range(number)
    ]


def judged(pattern: Pattern, confidence: float, number: int, by: Actor, *, is_right: bool) -> None:
    for match in matched(pattern, confidence, number):
        calibrations.judge(match, is_right=is_right, actor=by)


def test_ten_outcomes_move_the_thresholds_and_the_matcher_follows(
    pattern: Pattern, rita: Actor
) -> None:
    judged(pattern, 0.75, 10, rita, is_right=True)

    kept = calibrations.weigh(pattern, actor=CLOCK)

    assert kept is not None
    pattern.refresh_from_db()
    assert (pattern.strong_above, pattern.weak_from) == (0.75 - 0.01, 0.6)
    assert (kept.kind, kept.outcomes, kept.right, kept.strong_before) == ("measured", 10, 10, 0.85)
    assert LedgerEntry.objects.filter(kind="pattern.thresholds", subject=pattern.id).exists()
    assert calibrations.weigh(pattern, actor=CLOCK) is None


def test_exact_matches_and_rehearsals_say_nothing(pattern: Pattern, rita: Actor) -> None:
    judged(pattern, 1.0, 12, rita, is_right=False)
    for match in matched(pattern, 0.9, 12):
        type(match.incident).objects.filter(pk=match.incident_id).update(simulated=True)
        calibrations.judge(match, is_right=False, actor=rita)
    assert calibrations.outcomes_of(pattern) == []
    assert calibrations.weigh(pattern, actor=CLOCK) is None


def test_a_policy_that_would_have_stopped_it_says_that_the_match_was_right(
    pattern: Pattern, rita: Actor
) -> None:
    policy = living.born(pattern)
    [match, other] = matched(pattern, 0.7, 2)
    Evidence.objects.create(
        policy=policy, version=1, kind="confirmation", incident=match.incident, actor="system:loop"
    )
    Evidence.objects.create(
        policy=policy, version=1, kind="origin", incident=other.incident, actor="system:loop"
    )
    assert [one.is_right for one in calibrations.outcomes_of(pattern) if one.confidence == 0.7] == [
        True
    ]
    # A person's word goes before it.
    calibrations.judge(match, is_right=False, actor=rita)
    assert [one.is_right for one in calibrations.outcomes_of(pattern) if one.confidence == 0.7] == [
        False
    ]


def test_where_people_disagree_nobody_knows(pattern: Pattern, acme: Tenant, rita: Actor) -> None:
    olga = Actor("user", str(factories.member(acme, "olga", "operator").pk), "olga")
    [match] = matched(pattern, 0.7)
    calibrations.judge(match, is_right=True, actor=rita)
    calibrations.judge(match, is_right=False, actor=olga)
    assert calibrations.outcomes_of(pattern) == []


def test_only_a_person_judges_and_only_once(pattern: Pattern, rita: Actor) -> None:
    [match] = matched(pattern, 0.7)
    with pytest.raises(Forbidden):
        calibrations.judge(match, is_right=True, actor=SCOUT)
    calibrations.judge(match, is_right=True, actor=rita)
    with pytest.raises(Conflict):
        calibrations.judge(match, is_right=False, actor=rita)


def test_what_opened_a_pattern_cannot_have_been_wrong(acme: Tenant, rita: Actor) -> None:
    incident = factories.incident("quite another failure")
    [match] = match_incidents([incident]).values()
    with pytest.raises(Invalid):
        calibrations.judge(match, is_right=False, actor=rita)


def test_frozen_nothing_moves_until_it_is_thawed(pattern: Pattern, rita: Actor) -> None:
    judged(pattern, 0.75, 10, rita, is_right=True)
    calibrations.freeze(pattern, actor=rita, reason="A migration is under way.")
    assert calibrations.weigh(pattern, actor=CLOCK) is None
    with pytest.raises(Conflict):
        calibrations.freeze(pattern, actor=rita, reason="Again.")

    calibrations.thaw(pattern, actor=rita, reason="It is over.")

    assert calibrations.weigh(pattern, actor=CLOCK) is not None


def test_what_was_learned_can_be_taken_back_and_stays_so(pattern: Pattern, rita: Actor) -> None:
    with pytest.raises(Conflict):
        calibrations.revert(pattern, actor=rita, reason="Nothing there.")
    judged(pattern, 0.75, 10, rita, is_right=True)
    calibrations.weigh(pattern, actor=CLOCK)

    calibrations.revert(pattern, actor=rita, reason="It joined what it should not.")

    pattern.refresh_from_db()
    assert pattern.strong_above == 0.85
    assert calibrations.weigh(pattern, actor=CLOCK) is None
    assert [one.kind for one in Calibration.objects.order_by("id")] == ["measured", "reverted"]


def test_while_the_error_jumps_it_is_held_and_that_is_told_once(
    pattern: Pattern, rita: Actor
) -> None:
    judged(pattern, 0.9, 12, rita, is_right=True)
    judged(pattern, 0.9, 10, rita, is_right=False)
    held = calibrations.weigh(pattern, actor=CLOCK)
    assert held is not None
    assert held.kind == "held"
    assert calibrations.weigh(pattern, actor=CLOCK) is None
    pattern.refresh_from_db()
    assert pattern.strong_above == 0.85


def test_the_hourly_task_weighs_what_was_judged_lately(pattern: Pattern, rita: Actor) -> None:
    judged(pattern, 0.75, 10, rita, is_right=True)
    assert calibrations.weigh_lately_judged(actor=CLOCK) == 1
    assert calibrations.weigh_lately_judged(actor=CLOCK) == 0


def test_over_http_people_judge_freeze_and_take_back(
    pattern: Pattern, acme: Tenant, umbra: Tenant, rita: Actor, api: Callable[..., APIClient]
) -> None:
    judged(pattern, 0.75, 9, rita, is_right=True)
    [match] = matched(pattern, 0.75)
    agent = api(factories.agent_token(acme))
    person = api(factories.person_token(acme, factories.member(acme, "paul", "reviewer")))
    leave_tenant()
    outsider = api(factories.person_token(umbra, factories.member(umbra, "uwe", "admin")))
    path = f"/api/v1/patterns/{pattern.id}/calibration"
    assert agent.get(path).json()["outcomes"] == 9
    assert outsider.get(path).status_code == 404
    body = {"incident_id": match.incident_id, "is_right": True}
    assert agent.post(f"{path}/judge", body).status_code == 403
    assert person.post(f"{path}/judge", body).json()["outcomes"] == 10
    assert person.post(f"{path}/weigh").json()["strong_above"] == 0.74
    assert person.post(f"{path}/revert", {"reason": "No."}).json()["is_frozen"] is True
    assert person.post(f"{path}/thaw", {"reason": "Yes."}).json()["is_frozen"] is False
    assert person.post(f"{path}/freeze", {"reason": ""}).status_code == 400
    [bin] = person.get(path).json()["bins"]
    assert (bin["count"], bin["confirmed"]) == (10, 1.0)
