"""Harm that a policy did, and when it costs the policy its force."""

from __future__ import annotations

from typing import Any

import pytest

from governance import checkpoints
from governance.actors import Actor
from governance.models import LedgerEntry, LoopEvent, Tenant
from governance.refusals import Invalid
from policies.models import Decision, Policy, Regret
from policies.services import confirmations, policy_set, regret
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


def test_a_disaster_reported_by_a_person_demotes_at_once(policy: Policy, rita: Actor) -> None:
    regret.report(policy, severity=10, actor=rita)

    assert policy.state == "shadow"


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
    regret.report(policy, severity=10, actor=rita, simulated=True)

    policy.refresh_from_db()
    assert policy.state == "active"
    assert regret.score(policy) == 0
    assert told(policy, "demotion").get().simulated is True
    assert told(policy, "regret").get().simulated is True


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
    regret.report(policy, severity=8, actor=SCOUT)
    assert policy.state == "shadow"


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
