"""What a person is shown before approving, what a policy did, and where its story is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from governance.actors import Actor
from governance.database.tenancy import leave_tenant
from governance.models import Checkpoint, Tenant
from governance.refusals import Invalid
from incidents.services import Opened
from policies.models import Outcome, Policy
from policies.services import guard, life, rates, record, regret, touched, versions
from tests import factories
from tests.factories import SCOUT
from tests.policies import living

from .guarding import ask, decided, learned, policy

RANGER = Actor("service", "acc_ranger", "ranger")


def carried_out(query: str, *, ok: bool, agent: str = "scout") -> None:
    made = decided(arguments={"query": query}, agent_name=agent, run_name=f"run-{agent}")
    assert made.verdict == "allow"
    failure: dict[str, Any] = (
        {} if ok else {"error_type": "OperationalError", "error_message": "no"}
    )
    guard.report_outcome(made, ok=ok, actor=SCOUT, **failure)


def test_the_blast_radius_is_what_it_would_have_touched(acme: Tenant) -> None:
    drop = policy("no drops", state="draft", condition='arguments.query.contains("DROP")')
    assert touched.blast_radius(drop)["said"] == "No such call was carried out in 30 days."
    for agent in ("scout", "ranger"):
        carried_out("DROP TABLE a", ok=agent == "scout", agent=agent)
        carried_out("SELECT 1", ok=True, agent=agent)

    found = touched.blast_radius(drop)

    assert found["said"] == (
        "Would have touched 2 calls of 2 agents in 30 days, of 4 that were carried out."
    )
    assert (found["went_well"], found["failed"], found["looked_at"]) == (1, 1, 4)


def test_the_blast_radius_of_one_agents_policy_is_of_that_agent(acme: Tenant) -> None:
    carried_out("DROP TABLE a", ok=True, agent="scout")
    carried_out("DROP TABLE b", ok=True, agent="ranger")
    drop = policy(
        state="draft",
        condition='arguments.query.contains("DROP")',
        scope_type="agent",
        scope_id="ranger",
    )
    assert touched.blast_radius(drop)["calls"] == 1


def test_a_condition_that_cannot_tell_is_counted_as_the_guard_would(acme: Tenant) -> None:
    carried_out("SELECT 1", ok=True)
    unsure = policy(state="draft", condition="arguments.nothing == 1")
    assert touched.blast_radius(unsure)["calls"] == 1
    unsure.failure_mode = Policy.FailureMode.FAIL_OPEN
    assert touched.blast_radius(unsure)["calls"] == 0


def test_the_question_shows_shadow_blast_radius_and_backtest(acme: Tenant) -> None:
    waiting = living.confirmed(living.pattern())
    shown = Checkpoint.objects.get(subject=waiting.id).shown
    assert shown["in_shadow"]["would_have_blocked"] == 0
    assert shown["blast_radius"] == "No such call was carried out in 30 days."
    assert shown["touched"]["looked_at"] == 0
    assert "changes" not in shown  # a first version
    assert (shown["confirmations"], shown["confirmations_needed"]) == (3, 3)


def test_the_question_after_a_demotion_shows_what_changed_since_it_was_approved(
    acme: Tenant, rita: Actor
) -> None:
    rule = living.active(living.pattern(), rita)
    regret.report(rule, severity=8, actor=SCOUT)
    regret.report(rule, severity=8, actor=RANGER)
    wider = life.Wording(f"{rule.condition} || false", "wider", {})
    life.reword(rule, wider, actor=rita, reason="Broadened for a test.")
    for _ in range(3):
        living.fail(rule.pattern)
    rule.refresh_from_db()

    shown = Checkpoint.objects.get(subject=rule.id, state="pending").shown

    assert (shown["version"], shown["changes"]["since_version"]) == (3, 1)
    assert "+ || false" in shown["changes"]["changed"]


def test_a_version_that_never_was_is_refused_by_name(acme: Tenant, rita: Actor) -> None:
    rule = living.born(living.pattern())
    with pytest.raises(Invalid) as refused:
        versions.compare(rule, 1, 9)
    assert refused.value.extra["field"] == "to"


@pytest.fixture
def origin(acme: Tenant) -> Opened:
    return factories.report()


def test_the_record_says_what_was_born_of_what_and_blocked_what(origin: Opened) -> None:
    rule = learned(origin.incident, origin.trace.id)
    rule.evidence.create(kind="origin", version=1, incident=origin.incident, actor="system:loop")
    blocked = [str(ask(run_name=f"run-{number}").decision_id) for number in range(4)]

    found = record.record_of(rule)

    assert found["born_from"]["incident_id"] == origin.incident.id
    assert found["preventions"]["count"] == 4
    assert found["said"].endswith(f"blocked {', '.join(blocked[:0:-1])} and 1 more.")
    assert found["rates"]["prevention_rate"] == 1.0


def test_rates_are_counted_by_policy_and_by_pattern(origin: Opened) -> None:
    rule = learned(origin.incident, origin.trace.id)
    ask()
    missed = factories.incident("another shape", occurred_at=timezone.now())
    missed.matches.create(incident=missed, pattern=rule.pattern, confidence=0.9, band="strong")
    regret.report(rule, severity=2, actor=SCOUT)

    now = timezone.now()
    [of_policy], [of_pattern] = rates.by_policy(now), rates.by_pattern(now)

    assert of_policy.id == rule.id
    assert of_pattern.id == rule.pattern_id
    for line in (of_policy.rates, of_pattern.rates, rates.of_policy(rule, now)):
        assert (line.preventions, line.incidents, line.regrets) == (1, 1, 1)


def test_one_agent_that_floods_reports_counts_once_a_day_in_the_rate(origin: Opened) -> None:
    rule = learned(origin.incident, origin.trace.id)
    for _ in range(20):
        regret.report(rule, severity=1, actor=SCOUT)
    assert rates.of_tenant(timezone.now()).regrets == 1


def test_a_persons_own_policy_has_a_story_though_it_has_no_trace(acme: Tenant, rita: Actor) -> None:
    otto = Actor("user", str(factories.member(acme, "otto", "operator").pk), "otto")
    rule = living.manual(otto, category="custom", condition="true")
    life.submit(rule, actor=otto)
    life.activate(rule, actor=rita, reason="Try it.")
    ask()
    regret.report(rule, severity=8, actor=SCOUT)
    regret.report(rule, severity=8, actor=RANGER)

    told = [(one.type, one.actor) for one in record.story_of(rule)]

    types = [type for type, _ in told]
    assert types.index("draft") < types.index("active") < types.index("regret")
    assert types.index("regret") < types.index("demotion")
    assert ("active", str(rita)) in told
    assert [one.verdict for one in record.refusals_of(rule)] == ["block"]
    assert record.record_of(rule)["born_from"] is None


def test_the_record_its_story_and_its_versions_over_http(
    acme: Tenant, umbra: Tenant, rita: Actor, api: Callable[..., APIClient]
) -> None:
    rule = living.active(living.pattern(), rita)
    life.suspend(rule, actor=rita, reason="For a while.")
    client = api(factories.agent_token(acme))
    leave_tenant()
    outsider = api(factories.person_token(umbra, factories.member(umbra, "uwe", "admin")))
    for name in ("record", "story", "diff"):
        answer = client.get(f"/api/v1/policies/{rule.id}/{name}")
        assert answer.status_code == 200, answer.json()
        assert outsider.get(f"/api/v1/policies/{rule.id}/{name}").status_code == 404
    assert client.get(f"/api/v1/policies/{rule.id}/diff").json()["is_same"] is True
    bad: Any = client.get(f"/api/v1/policies/{rule.id}/diff?from=7")
    assert bad.status_code == 400
    assert client.get("/api/v1/integration/rates?by=pattern").json()["by"] == "pattern"
    assert client.get("/api/v1/integration/rates?by=moon").status_code == 400


def test_outcomes_of_denied_actions_are_refused_by_the_database_too(acme: Tenant) -> None:
    policy()
    made = decided()
    with (
        pytest.raises(IntegrityError, match="what was denied has no outcome"),
        transaction.atomic(),
    ):
        Outcome.objects.create(decision=made, agent=made.agent, ok=True)
