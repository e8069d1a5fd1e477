"""The guard: an agent asks before it acts, and reports after. Every answer is a record.

``decide`` runs in its caller's transaction: the record, what it counts as and the ledger's entry are written together
or not at all. Where the database does not answer, the caller gets its error, which the API turns into a refusal.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from governance import identity, ledger, redaction
from governance.actors import Actor
from governance.database.compiled import ask, compiled
from governance.database.inserts import insert
from governance.database.trips import one_trip
from governance.models import Agent, Checkpoint, Run, Settings
from governance.modes import current
from governance.modes.current import Modes
from policies.models import Decision, LetPass, WouldBlock
from policies.rules import FIRST, History, digest_of
from recovery.services import asking_for

from . import binding, exploration, history, policy_set, prevention, ruleset
from .appeals import appeal
from .instead import allowed_instead
from .outcomes import report_outcome
from .policy_set import Standing
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
    allowed_instead: list[dict[str, Any]]


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
    standing, modes, known, directives = _asked_for(action)
    agent = known.agent if known else identity.see_agent(action.agent, actor=actor)
    rules = _rules_for(agent, standing, modes)
    run = known or _first_seen(action, agent, rules, modes)
    is_new_run = known is None or known.refused
    if run.refused and modes.may_begin(agent):
        identity.begin_after_all(run, policy_set=_begun_under(rules))
    ruling = _rule_on(action, run, rules, modes, is_new_run=is_new_run)
    ruling = exploration.let_through(ruling, action, run, modes)
    with one_trip():
        decision = _record(action, run, ruling, rules, modes, actor)
    if ruling.is_denied_anyway and rules is not None:
        blockers = [
            rule for rule in ruling.matched if rule in ruling.recognised and rule.action in DENIED
        ]
        prevention.record(decision, blockers, rules)
    return _answer(decision.id, action, run.agent, ruling, rules, modes.settings, directives)


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
    standing, modes, known, directives = _asked_for(action)
    is_new_run = known is None or known.refused
    run = known or _imagined(action, modes.settings)
    rules = _rules_for(run.agent, standing, modes)
    ruling = _rule_on(action, run, rules, modes, is_new_run=is_new_run)
    return _answer(None, action, run.agent, ruling, rules, modes.settings, directives)


def _asked_for(action: Action) -> tuple[Standing, Modes, Run | None, list[dict[str, Any]]]:
    """What every decision rests on, on one trip to the database."""
    standing, modes, runs, directives = ask(
        policy_set.asking(),
        current.asking(),
        # The run and its agent in one: nearly every decision is one of many in its run.
        _runs.ready(action.agent, action.run),
        asking_for(action.tool),
    )
    return standing, modes, next(iter(runs), None), directives


def _imagined(action: Action, settings: Settings) -> Run:
    """A run that nobody has heard of, of an agent that may be known."""
    agent = Agent.objects.filter(name=action.agent).first()
    if agent is None and settings.strict_agents:
        raise identity.UnknownAgent(
            f"No agent is registered as {action.agent!r}, and this tenant is strict."
        )
    return Run(agent=agent or Agent(name=action.agent), name=action.run)


def _rules_for(agent: Agent, standing: Standing, modes: Modes) -> Ruleset | None:
    """The policies; None where nobody asks them, or they cannot be read (the log says so)."""
    # Before anything else is read: what was stopped stays so where no policy can be read.
    if modes.stop_of(agent) is not None:
        return None
    try:
        return ruleset.current(standing)
    except PoliciesUnavailable:
        log.exception("no policies: everything is denied")
        return None


def _rule_on(
    action: Action, run: Run, rules: Ruleset | None, modes: Modes, *, is_new_run: bool
) -> Ruling:
    if (why := modes.stop_of(run.agent)) is not None:
        return stopped(run.agent.name, why)
    if rules is None:
        return under(unavailable(), modes, is_new_run=is_new_run)
    about = [
        rule
        for rule in rules.facing(
            action.alone, tool=action.tool, agent=action.agent, kind=action.kind
        )
        # A rehearsal's policies are only for rehearsals.
        if run.simulated or not rule.is_simulated
    ]
    about = binding.bound(about, run, is_new_run=is_new_run)
    said = judge(
        action,
        about,
        default_verdict=modes.settings.default_verdict,
        history=_history(action, run, about, is_new_run=is_new_run),
    )
    return under(said, modes, is_new_run=is_new_run)


def _history(
    action: Action, run: Run, about: Iterable[Rule], *, is_new_run: bool
) -> History | None:
    """What the run has done so far, counted only where a condition asks for it."""
    asked = frozenset[str]().union(*(rule.asks_of_history for rule in about))
    if not asked:
        return None
    if is_new_run:
        return FIRST
    return history.of_next_call(run, action.tool, action.arguments, asked=asked)


@compiled
def _runs(agent: str, name: str) -> QuerySet[Run]:
    """None or one."""
    return Run.objects.select_related("agent").filter(agent__name=agent, name=name).order_by()


def _first_seen(action: Action, agent: Agent, rules: Ruleset | None, modes: Modes) -> Run:
    run = identity.begin_run(
        agent,
        action.run,
        policy_set=_begun_under(rules),
        refused=not modes.may_begin(agent),
    )
    run.agent = agent
    return run


def _begun_under(rules: Ruleset | None) -> str:
    """How a run remembers the set that it began under; empty where that could not be read."""
    return "" if rules is None else str(rules.standing.revision)


def _record(
    action: Action, run: Run, ruling: Ruling, rules: Ruleset | None, modes: Modes, actor: Actor
) -> Decision:
    under_set = Standing(0, "") if rules is None else rules.standing
    decision = Decision(
        agent=run.agent,
        run=run,
        step=action.step,
        kind=action.kind,
        tool=action.tool,
        arguments=action.arguments,
        call=digest_of(action.arguments),
        context=action.context,
        verdict=ruling.verdict,
        mode=ruling.mode,
        would_be=ruling.would_be,
        policies=[_told(rule) for rule in ruling.matched],
        would_block=[_told(rule) for rule in ruling.would],
        reason=ruling.reason,
        policy_set=under_set.revision,
        policy_set_hash=under_set.hash,
        simulated=run.simulated,
    )
    insert([decision])
    # What happens only because nobody governs is no evidence about how the policies govern.
    if ruling.would and not ruling.is_overridden:
        WouldBlock.objects.bulk_create(
            WouldBlock(
                policy_id=rule.id, version=rule.version, decision=decision, simulated=run.simulated
            )
            for rule in ruling.would
        )
    if ruling.failed_open:
        insert(
            [
                LetPass(
                    policy_id=rule.id,
                    version=rule.version,
                    decision=decision,
                    fault=redaction.text(fault)[:300],
                    simulated=run.simulated,
                )
                for rule, fault in ruling.failed_open
            ]
        )
    facts: dict[str, Any] = {
        "revision": under_set.revision,
        "policy_set": under_set.hash,
        "policies": [rule.id for rule in ruling.matched],
    }
    if ruling.failed_open:
        facts["failed_open"] = [rule.id for rule, _ in ruling.failed_open]
    if ruling.mode:
        facts |= {"mode": ruling.mode, "would_be": ruling.would_be}
    if modes.bypass and ruling.mode == Decision.Mode.BYPASS:
        facts["bypass"] = modes.bypass.id
    ledger.append(f"decision.{ruling.verdict}", decision.id, actor=actor, **facts)
    return decision


def _told(rule: Rule) -> dict[str, Any]:
    return {"id": rule.id, "name": rule.name, "action": rule.action, "version": rule.version}


def _answer(
    decision_id: str | None,
    action: Action,
    agent: Agent,
    ruling: Ruling,
    rules: Ruleset | None,
    settings: Settings,
    directives: list[dict[str, Any]],
) -> Answer:
    return Answer(
        decision_id=decision_id,
        verdict=ruling.verdict,
        mode=ruling.mode or None,
        would_be=ruling.would_be or None,
        reason=ruling.reason,
        retryable=ruling.retryable,
        may_appeal=ruling.is_denied_anyway and settings.asks(Checkpoint.Type.APPEAL),
        policies=[_told(rule) for rule in ruling.matched],
        would_block=[_told(rule) for rule in ruling.would],
        directives=directives,
        allowed_instead=_instead(action, agent, ruling, rules, settings),
    )


def _instead(
    action: Action, agent: Agent, ruling: Ruling, rules: Ruleset | None, settings: Settings
) -> list[dict[str, Any]]:
    """What would get a denied action through; nothing where a mode or the default denies it, whatever it is."""
    if rules is None or not ruling.is_denied or ruling.mode or settings.default_verdict in DENIED:
        return []
    denied_by = [rule for rule in ruling.recognised if rule.action in DENIED]
    about = rules.about(action.tool, action.agent)
    return allowed_instead(action, denied_by, about, agent_id=agent.id)
