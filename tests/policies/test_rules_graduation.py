"""The three gates: only real evidence opens them, and graduation can be lost."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from policies.rules import Evidence, gates

NOW = datetime(2025, 3, 10, tzinfo=UTC)
PROVEN = Evidence(
    preventions=6,
    incidents=4,
    regrets=1,
    demotions=1,
    timeline_views=1,
    last_prevention_at=NOW - timedelta(days=1),
)


def passed(evidence: Evidence) -> list[bool]:
    return [gate.passed for gate in gates(evidence, NOW).gates]


@pytest.mark.parametrize(
    ("evidence", "expected", "status"),
    [
        (Evidence(), [False, False, False], "ALPHA (0/3 gates)"),
        (Evidence(preventions=1), [True, False, False], "ALPHA (1/3 gates)"),
        (Evidence(preventions=1, incidents=1), [True, False, False], "ALPHA (1/3 gates)"),
        (Evidence(preventions=1, incidents=2), [False, False, False], "ALPHA (0/3 gates)"),
        (
            Evidence(demotions=1, regrets=3, preventions=7),
            [True, False, False],
            "ALPHA (1/3 gates)",
        ),
        (Evidence(demotions=1, regrets=2, preventions=7), [True, True, False], "ALPHA (2/3 gates)"),
        (Evidence(timeline_views=1), [False, False, True], "ALPHA (1/3 gates)"),
        (PROVEN, [True, True, True], "GRADUATED (3/3 gates)"),
    ],
)
def test_each_gate_opens_by_its_own_evidence(
    evidence: Evidence, expected: list[bool], status: str
) -> None:
    assert passed(evidence) == expected
    assert gates(evidence, NOW).status == status


def test_simulated_evidence_is_shown_and_opens_nothing() -> None:
    graduation = gates(
        Evidence(simulated_preventions=9, simulated_demotions=9, simulated_views=9), NOW
    )
    assert [(gate.passed, gate.evidence, gate.simulated) for gate in graduation.gates] == [
        (False, 0, 9)
    ] * 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"preventions": 2, "incidents": 5}, "prevention rate"),
        ({"regrets": 7}, "regret rate"),
        ({"last_prevention_at": NOW - timedelta(days=14)}, "14 days"),
    ],
)
def test_a_graduated_tenant_degrades(change: dict[str, object], reason: str) -> None:
    graduation = gates(replace(PROVEN, was_graduated=True, **change), NOW)  # type: ignore[arg-type]
    assert not graduation.is_graduated
    assert graduation.status.startswith("DEGRADED")
    assert not graduation.capabilities["automatic_activation"]
    assert reason in graduation.next_action


def test_the_bar_to_stay_is_lower_than_the_bar_to_enter() -> None:
    slipping = replace(PROVEN, preventions=4, incidents=6)
    assert not gates(slipping, NOW).is_graduated
    assert gates(replace(slipping, was_graduated=True), NOW).is_graduated


def test_what_never_graduated_does_not_degrade() -> None:
    assert gates(Evidence(incidents=9), NOW).degraded_because == ()


def test_the_next_action_is_the_first_closed_gate() -> None:
    graduation = gates(Evidence(preventions=1), NOW)
    assert graduation.next_action == graduation.gates[1].description
    assert graduation.capabilities["prevents_recurrence"]
