"""Harm that a policy did, and when it costs the policy its force."""

from __future__ import annotations

from typing import Any

import pytest

from governance import checkpoints
from governance.actors import Actor
from governance.models import LedgerEntry, LoopEvent, Tenant
from governance.refusals import Conflict, Forbidden, Invalid
from policies.models import Decision, Demotion, Policy, Regret
from policies.services import confirmations, policy_set, regret
from tests import factories
from tests.policies import living

SCOUT = Actor("service", "acc_scout", "scout")
RANGER = Actor("service", "acc_ranger", "ranger")


@pytest.fixture
def policy(acme: Tenant, rita: Actor) -> Policy:
    return living.active(living.pattern(), rita)


def denied(policy: Policy) -> Decision:
    call = living.decision(living.WRONG)
    return Decision.objects.create(
        agent=call.agent,
        run=call.run,
        kind="tool_call",
        tool=call.tool,
        arguments=call.arguments,
        verdict="block",
        policies=[
            {"id": policy.id, "name": policy.name, "action": "block", "version": policy.version}
        ],
    )


def told(policy: Policy, type: str) -> Any:
    return LoopEvent.objects.filter(trace_id=policy.trace_id, type=type)


def test_one_agent_alone_never_demotes(policy: Policy) -> None:
    for _ in range(5):
        regret.report(policy, severity=10, actor=SCOUT)

    policy.refresh_from_db()
    assert policy.state == "active"
    assert regret.score(policy) == pytest.approx(4.0, abs=0.01)
    assert told(policy, "regret").count() == 5


def test_a_second_agent_demotes_for_the_next_decision_anywhere(policy: Policy) -> None:
    before = policy_set.revision()
    regret.report(policy, severity=8, actor=SCOUT)

    regret.report(policy, severity=8, actor=RANGER)

    assert (policy.state, policy.version, confirmations(policy)) == ("shadow", 2, 0)
    assert policy_set.revision() > before
    demotion = told(policy, "demotion").get()
    assert (demotion.simulated, demotion.actor) == (False, "system:guard")
    assert LedgerEntry.objects.filter(subject=policy.id, kind="policy.shadow").count() == 2


def test_one_person_alone_never_demotes_either(policy: Policy, rita: Actor) -> None:
    for _ in range(5):
        regret.report(policy, severity=10, actor=rita)
    assert policy.state == "active"

    regret.report(policy, severity=2, actor=SCOUT)

    assert policy.state == "shadow"
    demotion = Demotion.objects.get()
    assert (demotion.version, demotion.principals) == (1, sorted([str(SCOUT), str(rita)]))


def test_three_reports_in_a_week_demote_however_mild(policy: Policy, rita: Actor) -> None:
    for actor in (SCOUT, RANGER):
        regret.report(policy, severity=1, actor=actor)
    assert policy.state == "active"

    regret.report(policy, severity=1, actor=rita)

    assert policy.state == "shadow"


def test_regrets_about_a_policy_that_is_not_in_force_are_kept_and_change_nothing(
    acme: Tenant, rita: Actor
) -> None:
    policy = living.born(living.pattern())

    regret.report(policy, severity=10, actor=rita)

    assert (policy.state, Regret.objects.count()) == ("shadow", 1)


def test_simulated_harm_is_told_as_such_and_changes_nothing(policy: Policy, rita: Actor) -> None:
    for actor in (rita, SCOUT):
        regret.report(policy, severity=10, actor=actor, simulated=True)

    policy.refresh_from_db()
    assert policy.state == "active"
    assert regret.score(policy) == 0
    assert told(policy, "demotion").get().simulated is True
    assert all(event.simulated for event in told(policy, "regret"))
    assert Demotion.objects.get().simulated is True


def test_an_upheld_appeal_is_a_regret_by_the_reviewer(policy: Policy, rita: Actor) -> None:
    decision = denied(policy)
    appeal = checkpoints.ask(
        "appeal",
        subject=decision.id,
        title="Appeal",
        shown={"decision": decision.id},
        requested_by=SCOUT,
    )

    checkpoints.decide(
        appeal, approve=True, actor=rita, digest=appeal.digest, reason="It was harmless."
    )

    kept = Regret.objects.get()
    assert (kept.policy_id, kept.decision_id, kept.type) == (
        policy.id,
        decision.id,
        "appeal_upheld",
    )
    assert (kept.reporter, kept.agent) == (str(rita), decision.agent)
    assert kept.appellant == str(SCOUT)
    regret.report(policy, severity=8, actor=SCOUT)
    assert policy.state == "shadow"


def test_two_upheld_appeals_of_one_agent_demote_for_a_person_agreed_with_each(
    policy: Policy, rita: Actor
) -> None:
    for _ in range(2):
        decision = denied(policy)
        appeal = checkpoints.ask(
            "appeal", subject=decision.id, title="Appeal", shown={}, requested_by=SCOUT
        )
        checkpoints.decide(
            appeal, approve=True, actor=rita, digest=appeal.digest, reason="It was harmless."
        )

    policy.refresh_from_db()
    assert policy.state == "shadow"
    assert Demotion.objects.get().principals == sorted([str(SCOUT), str(rita)])


def test_a_person_may_overrule_a_refusal_once_and_it_is_a_regret(
    policy: Policy, rita: Actor
) -> None:
    decision = denied(policy)
    with pytest.raises(Forbidden):
        regret.overrule(decision, actor=SCOUT, reason="Let me.")
    with pytest.raises(Invalid):
        regret.overrule(decision, actor=rita, reason=" ")

    [kept] = regret.overrule(decision, actor=rita, reason="I did it by hand.")

    assert (kept.type, kept.severity, kept.decision_id) == ("override", 6, decision.id)
    with pytest.raises(Conflict):
        regret.overrule(decision, actor=rita, reason="Again.")
    with pytest.raises(Conflict):
        regret.overrule(living.decision({}), actor=rita, reason="It was allowed.")


def test_an_appeal_that_waits_is_decided_and_not_passed_over(policy: Policy, rita: Actor) -> None:
    decision = denied(policy)
    checkpoints.ask("appeal", subject=decision.id, title="Appeal", shown={}, requested_by=SCOUT)

    with pytest.raises(Conflict):
        regret.overrule(decision, actor=rita, reason="It was harmless.")


def test_an_incident_that_a_policy_caused_is_regretted_once(policy: Policy, rita: Actor) -> None:
    incident = factories.incident("the order was never sent")
    caused: dict[str, Any] = {"severity": 7, "type": "caused_incident", "incident": incident}
    assert regret.report(policy, actor=SCOUT, **caused).incident == incident

    with pytest.raises(Conflict):
        regret.report(policy, actor=rita, **caused)
    with pytest.raises(Invalid):
        regret.report(policy, severity=7, incident=incident, actor=rita)


def test_a_rejected_appeal_is_nothing(policy: Policy, rita: Actor) -> None:
    decision = denied(policy)
    appeal = checkpoints.ask(
        "appeal", subject=decision.id, title="Appeal", shown={}, requested_by=SCOUT
    )

    checkpoints.decide(appeal, approve=False, actor=rita, digest=appeal.digest, reason="No.")

    assert not Regret.objects.exists()


def test_a_regret_about_a_decision_is_about_a_policy_of_that_decision(policy: Policy) -> None:
    with pytest.raises(Invalid) as refused:
        regret.report(policy, severity=5, decision=living.decision({}), actor=SCOUT)
    assert refused.value.extra["field"] == "decision_id"
