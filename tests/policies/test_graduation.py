"""Graduation: only what really happened opens a gate."""

from __future__ import annotations

from typing import Any

import pytest

from governance.actors import Actor
from governance.database.tenancy import current_tenant, leave_tenant, tenant_scope
from governance.models import LedgerEntry, Tenant, User
from incidents.services import Opened
from policies.models import Demotion, Policy, Prevention, TimelineView
from policies.services import graduation, prevention
from policies.tasks import re_evaluate_graduation
from tests import factories

from .guarding import ask, learned


@pytest.fixture
def origin(acme: Tenant) -> Opened:
    return factories.report()


@pytest.fixture
def rule(origin: Opened) -> Policy:
    return learned(origin.incident, origin.trace.id)


def gates() -> dict[str, bool]:
    return {key: gate["passed"] for key, gate in graduation.status()["gates"].items()}


def demote(rule: Policy, *, simulated: bool = False) -> None:
    Demotion.objects.create(
        policy=rule, version=rule.version, score=5.0, reports=2, reason="Harm.", simulated=simulated
    )


def graduate(origin: Opened, rule: Policy, user: User) -> None:
    ask()
    demote(rule)
    graduation.note_timeline_view(user, origin.incident.id)


def test_a_new_tenant_has_everything_before_it(acme: Tenant) -> None:
    status = graduation.status()
    assert (status["status"], status["is_graduated"]) == ("ALPHA (0/3 gates)", False)
    assert status["next_action"] == status["gates"]["gate1_prevention"]["description"]
    assert status["capabilities"]["automatic_activation"] is False
    assert (status["prevention_stats"]["rate"], status["regret_stats"]["rate"]) == (None, None)


def test_a_real_prevention_opens_the_first_gate(rule: Policy) -> None:
    ask()
    status = graduation.status()
    assert status["status"] == "ALPHA (1/3 gates)"
    assert status["gates"]["gate1_prevention"]["evidence"] == 1
    assert status["prevention_stats"]["rate"] == 1.0
    assert gates() == {"gate1_prevention": True, "gate2_rollback": False, "gate3_console": False}


def test_a_real_demotion_opens_the_second_gate(rule: Policy) -> None:
    demote(rule)
    assert gates()["gate2_rollback"]


def test_who_opens_a_timeline_with_a_prevention_opens_the_third_gate_once(
    origin: Opened, rule: Policy, reviewer: User
) -> None:
    assert graduation.note_timeline_view(reviewer, origin.incident.id) is None
    ask()
    assert graduation.note_timeline_view(reviewer, origin.incident.id) is not None
    assert graduation.note_timeline_view(reviewer, origin.incident.id) is None
    assert TimelineView.objects.count() == 1
    assert gates()["gate3_console"]


def test_the_timeline_of_another_incident_shows_no_prevention(rule: Policy, reviewer: User) -> None:
    ask()
    assert graduation.note_timeline_view(reviewer, factories.incident("something else").id) is None
    assert not TimelineView.objects.exists()


def test_simulated_evidence_is_counted_apart_and_opens_nothing(
    origin: Opened, rule: Policy, reviewer: User, rita: Actor
) -> None:
    assert rule.pattern is not None
    prevention.simulate_prevention(
        rule, pattern=rule.pattern, incident=origin.incident, confidence=1.0, actor=rita
    )
    demote(rule, simulated=True)
    graduation.simulate_timeline_view(origin.incident, user=reviewer, actor=rita)
    assert graduation.note_timeline_view(reviewer, origin.incident.id) is None
    status = graduation.status()
    assert status["status"] == "ALPHA (0/3 gates)"
    assert [gate["simulated"] for gate in status["gates"].values()] == [1, 1, 1]
    assert [gate["evidence"] for gate in status["gates"].values()] == [0, 0, 0]


def test_three_gates_graduate_and_unlock_automatic_activation(
    origin: Opened, rule: Policy, reviewer: User
) -> None:
    graduate(origin, rule, reviewer)
    status = graduation.status()
    assert (status["status"], status["is_graduated"]) == ("GRADUATED (3/3 gates)", True)
    assert status["capabilities"]["automatic_activation"]
    assert graduation.is_graduated()


def miss(rule: Policy, number: int) -> None:
    """Failures that the policy in force did not stop."""
    for each in range(number):
        incident = factories.incident(f"shape {each}")
        incident.matches.create(
            incident=incident, pattern=rule.pattern, confidence=0.9, band="strong"
        )


def test_the_bar_to_stay_is_lower_than_the_bar_to_enter(
    origin: Opened, rule: Policy, reviewer: User
) -> None:
    graduate(origin, rule, reviewer)
    miss(rule, 2)
    assert not gates()["gate1_prevention"]
    assert graduation.is_graduated()
    miss(rule, 1)
    status = graduation.status()
    assert (status["is_graduated"], status["status"]) == (False, "DEGRADED (2/3 gates)")
    assert status["degraded_because"] == ["prevention rate 25% is below 30%"]


def test_re_evaluation_remembers_each_change_once(
    origin: Opened, rule: Policy, reviewer: User, rita: Any
) -> None:
    graduate(origin, rule, reviewer)
    graduation.re_evaluate(actor=rita)
    assert kinds() == [graduation.GRADUATED]
    miss(rule, 3)
    graduation.re_evaluate(actor=rita)
    graduation.re_evaluate(actor=rita)
    assert kinds() == [graduation.GRADUATED, graduation.DEGRADED]


def kinds() -> list[str]:
    entries = LedgerEntry.objects.filter(subject=current_tenant(), kind__startswith="graduation.")
    return list(entries.order_by("id").values_list("kind", flat=True))


def test_the_task_judges_every_tenant_by_its_own_evidence(
    origin: Opened, rule: Policy, acme: Tenant, umbra: Tenant
) -> None:
    ask()
    demote(rule)
    TimelineView.objects.create(
        incident=origin.incident, user=factories.member(acme, "rita", "reviewer")
    )
    leave_tenant()
    re_evaluate_graduation()
    with tenant_scope(acme.id):
        assert kinds() == [graduation.GRADUATED]
    with tenant_scope(umbra.id):
        assert kinds() == []
        assert not Prevention.objects.exists()
        assert graduation.status()["status"] == "ALPHA (0/3 gates)"
