"""The guard: an agent asks before it acts, and reports after. Every answer is a record.

``decide`` runs in its caller's transaction: the record, what it counts as and the ledger's entry are written together
or not at all. Where the database does not answer, the caller gets its error, which the API turns into a refusal.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from governance import identity, ledger
from governance.actors import Actor
from governance.models import Agent, Checkpoint, Run, Settings
from governance.modes.current import Modes, current
from policies.models import Decision, WouldBlock
from recovery.services import directives_for

from . import policy_set, prevention, ruleset
from .appeals import appeal
from .outcomes import report_outcome
from .ruleset import PoliciesUnavailable, Rule, Ruleset
from .ruling import DENIED, Action, Ruling, judge, unavailable
from .under_modes import stopped, under

log = logging.getLogger("antibody.guard")

__all__ = ["DENIED", "Answer", "appeal", "decide", "report_outcome", "simulate"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the agent is told. ``decision_id`` is None where nothing was decided (a simulation).

    ``mode`` is the mode that changed the verdict, and ``would_be`` the verdict without it: None where there is none,
    and where the policies were not asked.
    """

    decision_id: str | None
    verdict: str
    mode: str | None
    would_be: str | None
    reason: str
    retryable: bool
    may_appeal: bool
    policies: list[dict[str, Any]]
    would_block: list[dict[str, Any]]
    directives: list[dict[str, Any]]


def decide(
    *,
    agent_name: str,
    run_name: str,
    step: int | None,
    kind: str,
    tool: str,
    arguments: Mapping[str, Any],
    context: Mapping[str, Any],
    actor: Actor,
) -> Answer:
    """Answer an agent that is about to act, and record the answer.

    Agents and runs are known from first sight; UnknownAgent where the tenant is strict. Whatever is in doubt is
    denied: policies that cannot be read, a condition that cannot tell (unless that policy was set to fail open).
    The modes that hold have the last word.
    """
    action = Action(agent_name, run_name, step, kind, tool, arguments, context)
    revision, modes = policy_set.revision(), current()
    known = _known_run(action)
    is_new_run = known is None or known.refused
    run = known or _first_seen(action, revision, modes, actor)
    if run.refused and modes.may_begin(run.agent):
        identity.begin_after_all(run, policy_set=str(revision))
    rules, ruling = _rule_on(action, run, revision, modes, is_new_run=is_new_run)
    decision = _record(action, run, ruling, revision, modes, actor)
    if ruling.is_denied_anyway and rules is not None:
        blockers = [
            rule for rule in ruling.matched if rule in ruling.recognised and rule.action in DENIED
        ]
        prevention.record(decision, blockers, rules)
    return _answer(decision.id, action, run.agent, ruling, modes.settings)


def simulate(
    *,
    agent_name: str,
    run_name: str,
    step: int | None,
    kind: str,
    tool: str,
    arguments: Mapping[str, Any],
    context: Mapping[str, Any],
) -> Answer:
    """What ``decide`` would answer, without any effect: no record, no agent or run made known, nothing counted."""
    action = Action(agent_name, run_name, step, kind, tool, arguments, context)
    modes = current()
    known = _known_run(action)
    is_new_run = known is None or known.refused
    run = known or _imagined(action, modes.settings)
    _, ruling = _rule_on(action, run, policy_set.revision(), modes, is_new_run=is_new_run)
    return _answer(None, action, run.agent, ruling, modes.settings)


def _imagined(action: Action, settings: Settings) -> Run:
    """A run that nobody has heard of, of an agent that may be known."""
    agent = Agent.objects.filter(name=action.agent).first()
    if agent is None and settings.strict_agents:
        raise identity.UnknownAgent(
            f"No agent is registered as {action.agent!r}, and this tenant is strict."
        )
    return Run(agent=agent or Agent(name=action.agent), name=action.run)


def _rule_on(
    action: Action, run: Run, revision: int, modes: Modes, *, is_new_run: bool
) -> tuple[Ruleset | None, Ruling]:
    # Before anything else is read: what was stopped stays so where no policy can be read.
    if (why := modes.stop_of(run.agent)) is not None:
        return None, stopped(run.agent.name, why)
    try:
        rules = ruleset.current(revision)
    except PoliciesUnavailable:
        log.exception("no policies: everything is denied")
        return None, under(unavailable(), modes, is_new_run=is_new_run)
    about = [
        rule
        for rule in rules.about(action.tool, action.agent)
        # A rehearsal's policies are only for rehearsals.
        if run.simulated or not rule.is_simulated
    ]
    said = judge(action, about, default_verdict=modes.settings.default_verdict)
    return rules, under(said, modes, is_new_run=is_new_run)


def _known_run(action: Action) -> Run | None:
    """The run and its agent in one query: nearly every decision is one of many in its run."""
    return (
        Run.objects.select_related("agent")
        .filter(agent__name=action.agent, name=action.run)
        .first()
    )


def _first_seen(action: Action, revision: int, modes: Modes, actor: Actor) -> Run:
    agent = identity.see_agent(action.agent, actor=actor)
    run = identity.begin_run(
        agent, action.run, policy_set=str(revision), refused=not modes.may_begin(agent)
    )
    run.agent = agent
    return run


def _record(
    action: Action, run: Run, ruling: Ruling, revision: int, modes: Modes, actor: Actor
) -> Decision:
    decision = Decision.objects.create(
        agent=run.agent,
        run=run,
        step=action.step,
        kind=action.kind,
        tool=action.tool,
        arguments=action.arguments,
        context=action.context,
        verdict=ruling.verdict,
        mode=ruling.mode,
        would_be=ruling.would_be,
        policies=[_told(rule) for rule in ruling.matched],
        would_block=[_told(rule) for rule in ruling.would],
        reason=ruling.reason,
        policy_set=revision,
        simulated=run.simulated,
    )
    # What happens only because nobody governs is no evidence about how the policies govern.
    if ruling.would and not ruling.is_overridden:
        WouldBlock.objects.bulk_create(
            WouldBlock(
                policy_id=rule.id, version=rule.version, decision=decision, simulated=run.simulated
            )
            for rule in ruling.would
        )
    facts: dict[str, Any] = {"revision": revision, "policies": [rule.id for rule in ruling.matched]}
    if ruling.failed_open:
        facts["failed_open"] = [rule.id for rule in ruling.failed_open]
    if ruling.mode:
        facts |= {"mode": ruling.mode, "would_be": ruling.would_be}
    if modes.bypass and ruling.mode == Decision.Mode.BYPASS:
        facts["bypass"] = modes.bypass.id
    ledger.append(f"decision.{ruling.verdict}", decision.id, actor=actor, **facts)
    return decision


def _told(rule: Rule) -> dict[str, Any]:
    return {"id": rule.id, "name": rule.name, "action": rule.action, "version": rule.version}


def _answer(
    decision_id: str | None, action: Action, agent: Agent, ruling: Ruling, settings: Settings
) -> Answer:
    return Answer(
        decision_id=decision_id,
        verdict=ruling.verdict,
        mode=ruling.mode or None,
        would_be=ruling.would_be or None,
        reason=ruling.reason,
        retryable=ruling.retryable,
        may_appeal=ruling.is_denied_anyway
        and Checkpoint.Type.APPEAL not in settings.checkpoints_off,
        policies=[_told(rule) for rule in ruling.matched],
        would_block=[_told(rule) for rule in ruling.would],
        directives=directives_for(action.tool, agent),
    )
