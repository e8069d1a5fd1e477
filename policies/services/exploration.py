"""Measured exploration: a policy in force is tried on a small share of what it would block, and judged by the outcome."""

from __future__ import annotations

from dataclasses import replace

from governance.actors import Actor
from governance.models import Run
from governance.modes.current import Modes
from policies import rules
from policies.models import Decision, Policy, Regret

from . import evidence, regret
from .ruling import DENIED, LONGEST_REASON, Action, Ruling

GOOD_SEVERITY = 5
"""Of a call that went well though the policy would have blocked it: weight 2.5, by the agent that reported it."""


def let_through(said: Ruling, action: Action, run: Run, modes: Modes) -> Ruling:
    """The ruling, or an allowance in its place where this call belongs to the share that is tried.

    Only where exactly one policy denies, by recognising the call: the outcome must speak about that one and no
    other. Never in a mode that holds, never in a rehearsal.
    """
    percent = modes.settings.exploration_percent
    if not percent or said.verdict not in DENIED or said.mode or run.simulated:
        return said
    if modes.bypass is not None or modes.degraded is not None:
        return said
    denying = [rule for rule in said.matched if rule.action in DENIED]
    if len(denying) != 1 or denying[0] not in said.recognised:
        return said
    [tried] = denying
    if not rules.may_be_explored(tried.action, tried.category) or not rules.is_let_through(
        policy_id=tried.id,
        version=tried.version,
        run_id=run.id,
        tool=action.tool,
        arguments=action.arguments,
        percent=percent,
    ):
        return said
    others = [rules.Verdict(rule.action, rule.id) for rule in said.matched if rule is not tried]
    milder = rules.strictest(others)
    return replace(
        said,
        verdict=milder.action if milder else Decision.Verdict.ALLOW,
        mode=Decision.Mode.EXPLORED,
        would_be=said.verdict,
        retryable=False,
        reason=f"Let through to see whether {tried.name!r} is right: {percent} % of what it would block are."[
            :LONGEST_REASON
        ],
        would=[*said.would, tried],
    )


def regret_success(decision: Decision, *, actor: Actor) -> None:
    """A call that was let through went well: that speaks against the policy that would have blocked it.

    It is a regret by whoever reported the outcome, so it counts like any other report of theirs: once a day, and
    never enough alone.
    """
    tried = {one["id"] for one in decision.policies if one["action"] == decision.would_be}
    for policy in Policy.objects.filter(id__in=tried, state=Policy.State.ACTIVE):
        regret.report(
            policy,
            severity=GOOD_SEVERITY,
            type=Regret.Type.EXPLORATION,
            description="Let through to be measured, and it went well.",
            decision=decision,
            actor=actor,
        )
        evidence.measure([policy])
