"""The stored calls that conditions are tried on: what failed, and what went well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.db.models import QuerySet

from catalog.models import PatternMatch
from incidents.models import Incident
from policies.conditions import Answer, Condition, ConditionError, activation, compile_condition
from policies.models import Decision, Outcome, Policy
from policies.synthesis import Backtest, Call, Draft
from policies.synthesis.drafting import BACKTEST_LIMIT

GUARD_SOURCE = "guard"
"""The source of incidents that the guard opened; their source key is the decision's id."""
FAILURES_LIMIT = 200


@dataclass(frozen=True)
class Seen:
    """One incident, with the guard's decision about its call where there was one."""

    incident: Incident
    decision: Decision | None = None

    @property
    def call(self) -> Call | None:
        """What failed; None when it is not known, so that no condition can be asked about it."""
        incident = self.incident
        if not incident.tool or incident.arguments is None:
            return None
        kind = self.decision.kind if self.decision else Decision.Kind.TOOL_CALL
        return Call(incident.tool, incident.arguments, incident.run_id or "", kind)

    @cached_property
    def facts(self) -> Any:
        """The call as conditions see it, converted once for all of them."""
        incident, decision = self.incident, self.decision
        return activation(
            action={
                "kind": decision.kind if decision else Decision.Kind.TOOL_CALL,
                "tool": incident.tool,
            },
            arguments=incident.arguments or {},
            context=decision.context if decision else incident.context,
            agent={"id": incident.agent.name},
            run={
                "id": incident.run.name if incident.run else None,
                "step": decision.step if decision else None,
            },
        )


def see(wanted: Mapping[str, Incident | None]) -> dict[str, Seen]:
    """Incidents by id as conditions see them; those that are None are read, and what the guard knows of all of them."""
    incidents = {each: incident for each, incident in wanted.items() if incident is not None}
    if away := wanted.keys() - incidents.keys():
        incidents |= Incident.objects.select_related("agent", "run").in_bulk(away)
    keys = {
        one.source_key: one.id
        for one in incidents.values()
        if one.source == GUARD_SOURCE and one.source_key
    }
    decisions = Decision.objects.in_bulk(keys) if keys else {}
    decided = {keys[decision.id]: decision for decision in decisions.values()}
    return {each: Seen(incident, decided.get(each)) for each, incident in incidents.items()}


def facts_of(decision: Decision) -> Any:
    """A decided action as conditions see it."""
    return activation(
        action={"kind": decision.kind, "tool": decision.tool},
        arguments=decision.arguments,
        context=decision.context,
        agent={"id": decision.agent.name},
        run={"id": decision.run.name, "step": decision.step},
    )


def call_of(decision: Decision) -> Call:
    """A decided action as synthesis reads it."""
    return Call(decision.tool, decision.arguments, decision.run_id, decision.kind)


def blocks(condition: str, facts: Any) -> bool:
    """Whether a stored condition says yes. One that no longer compiles says nothing."""
    try:
        return compile_condition(condition).matches(facts).answer is Answer.YES
    except ConditionError:
        return False


def would_block(policy: Policy, seen: Seen) -> bool:
    """Whether a policy, wherever it is in its life, is about this incident's call and its condition is true."""
    if seen.call is None or policy.tool not in ("", seen.incident.tool):
        return False
    if policy.scope_type == Policy.Scope.AGENT and policy.scope_id != seen.incident.agent.name:
        return False
    return blocks(policy.condition, seen.facts)


@dataclass
class Stored:
    """Known calls of a tool, each list read once however many policies are drafted from it."""

    _failures: dict[tuple[str, str], list[Call]] = field(default_factory=dict)
    _successes: dict[str, list[Call]] = field(default_factory=dict)

    def failures(self, pattern_id: str, tool: str) -> list[Call]:
        """Failing calls of a pattern, latest first."""
        key = (pattern_id, tool)
        if key not in self._failures:
            self._failures[key] = _failures(pattern_id, tool)
        return self._failures[key]

    def same(self, pattern_id: str, seen: Seen) -> int:
        """How often the very same call is known to have failed in a pattern's way, this time included."""
        call = seen.call
        if call is None:
            return 0
        known = self.failures(pattern_id, call.tool)
        return sum(1 for failure in known if failure.arguments == call.arguments)

    def successes(self, tool: str) -> list[Call]:
        """Calls of a tool that went well, latest first."""
        if tool not in self._successes:
            self._successes[tool] = _successes(tool)
        return self._successes[tool]


def _failures(pattern_id: str, tool: str) -> list[Call]:
    matches = PatternMatch.objects.filter(
        pattern_id=pattern_id,
        incident__tool=tool,
        incident__arguments__isnull=False,
        incident__simulated=False,
    ).order_by("-id")[:FAILURES_LIMIT]
    return [
        Call(tool, arguments, run_id or "")
        for arguments, run_id in matches.values_list("incident__arguments", "incident__run_id")
    ]


def _successes(tool: str) -> list[Call]:
    outcomes = _good().filter(tool=tool).order_by("-id")
    rows = outcomes[:BACKTEST_LIMIT].values_list(
        "decision__arguments", "decision__run_id", "decision__kind"
    )
    return [Call(tool, arguments, run_id, kind) for arguments, run_id, kind in rows]


def _good() -> QuerySet[Outcome]:
    """Calls that went well and would have been allowed: what a bypass let through speaks for no exception."""
    return Outcome.objects.filter(ok=True, simulated=False, overridden=False)


def backtest(condition: Condition, tool: str) -> Backtest:
    """A condition tried on the latest stored good calls of a tool, of every tool where it is empty.

    An error counts as a rejection, as it does where the guard fails closed.
    """
    outcomes = _good().filter(tool=tool) if tool else _good()
    good = outcomes.select_related("decision__agent", "decision__run").order_by("-id")
    answers = [
        condition.matches(facts_of(outcome.decision)).answer for outcome in good[:BACKTEST_LIMIT]
    ]
    return Backtest(len(answers), sum(1 for answer in answers if answer is not Answer.NO))


def as_json(tried: Backtest, draft: Draft | None = None) -> dict[str, Any]:
    """A backtest as it is stored and shown: counts, Wilson's interval, and whether it is too thin to tell."""
    low, high = tried.interval
    shown: dict[str, Any] = {
        "sample": tried.sample,
        "false_rejections": tried.false_rejections,
        "interval": [round(low, 4), round(high, 4)],
        "evidence_too_thin": tried.is_thin,
    }
    return shown if draft is None else {**shown, "form": str(draft.form), "covers": draft.covers}


def distinct(calls: Iterable[tuple[str, Call]]) -> list[tuple[str, Call]]:
    """The first of each call, with what it was named by."""
    kept: list[tuple[str, Call]] = []
    for name, call in calls:
        if all(call.arguments != other.arguments or call.tool != other.tool for _, other in kept):
            kept.append((name, call))
    return kept
