"""The stored calls that conditions are tried on: what failed, and what went well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

from django.db.models import QuerySet

from catalog import services as catalog
from catalog.models import PatternMatch
from governance.database.compiled import compiled
from incidents.models import Incident
from policies.conditions import Answer, Condition, ConditionError, activation, compile_condition
from policies.models import Decision, Policy
from policies.rules import FIRST, History
from policies.synthesis import Backtest, Call, Draft
from policies.synthesis.drafting import BACKTEST_LIMIT

from . import history, known
from .acted import ACTED, Acted, answers

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
        return Call(
            incident.tool,
            incident.arguments,
            incident.run_id or "",
            kind,
            error=incident.message,
            run=incident.run.name if incident.run else "",
            agent=incident.agent.name,
        )

    @property
    def call_in_its_run(self) -> Call | None:
        """The call with what its run had done before; one statement more."""
        return self.call and replace(self.call, history=self._history or FIRST)

    @cached_property
    def _history(self) -> History | None:
        """What the run had done when the guard decided about it; None where it was not asked."""
        if self.decision is None:
            return None
        return history.before([self.decision.id])[self.decision.id]

    def facts(self, condition: Condition) -> Any:
        """The call as this condition sees it, converted once for all of them."""
        return self._facts_in_its_run if condition.asks_of_history else self._facts

    @cached_property
    def _facts(self) -> Any:
        return self._as_facts(None)

    @cached_property
    def _facts_in_its_run(self) -> Any:
        return self._as_facts(self._history)

    def _as_facts(self, before: History | None) -> Any:
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
            history=before,
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
    decided = {keys[decision.id]: decision for decision in (_decided(list(keys)) if keys else ())}
    return {each: Seen(incident, decided.get(each)) for each, incident in incidents.items()}


@compiled
def _decided(ids: Sequence[str]) -> QuerySet[Decision]:
    return Decision.objects.filter(id__any=ids).order_by()


def call_of(decision: Decision) -> Call:
    """A decided action as synthesis reads it."""
    before = history.before([decision.id])[decision.id]
    return Call(
        decision.tool,
        decision.arguments,
        decision.run_id,
        decision.kind,
        before,
        run=decision.run.name,
        agent=decision.agent.name,
        decision=decision.id,
    )


def blocks(condition: str, decision: Decision) -> bool:
    """Whether a stored condition says yes to a decided action. One that no longer compiles says nothing."""
    try:
        [answer] = answers(compile_condition(condition), [Acted.of(decision)])
    except ConditionError:
        return False
    return answer is Answer.YES


class Asked(Protocol):
    """What a policy is asked by."""

    @property
    def tool(self) -> str: ...
    @property
    def scope_type(self) -> str: ...
    @property
    def scope_id(self) -> str: ...
    @property
    def condition(self) -> str: ...


def would_block(policy: Asked, seen: Seen) -> bool:
    """Whether a policy, wherever it is in its life, is about this incident's call and its condition is true."""
    if seen.call is None or policy.tool not in ("", seen.incident.tool):
        return False
    if policy.scope_type == Policy.Scope.AGENT and policy.scope_id != seen.incident.agent.name:
        return False
    try:
        condition = compile_condition(policy.condition)
    except ConditionError:
        return False
    return condition.matches(seen.facts(condition)).answer is Answer.YES


@dataclass
class Stored:
    """Known calls of a tool, each list read once however many policies are drafted from it."""

    _failures: dict[tuple[str, str], list[Call]] = field(default_factory=dict)
    _successes: dict[str, list[Call]] = field(default_factory=dict)
    _failed: dict[str, int] = field(default_factory=dict)

    def failed(self, tool: str) -> int:
        """How many calls of a tool failed, whatever the pattern, while those of `good` went well."""
        if tool not in self._failed:
            self._failed[tool] = known.failed_calls(tool)
        return self._failed[tool]

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

    def good(self, tool: str) -> list[Call]:
        """Calls of a tool that went well, latest first, without their histories."""
        if tool not in self._successes:
            self._successes[tool] = known.good_calls(tool)
        return self._successes[tool]

    def successes(self, cause: Call) -> list[Call]:
        """Calls of the cause's tool that went well, latest first; those equal to it with what their runs had done."""
        good = self.good(cause.tool)
        equal = {call.decision for call in good if call.arguments == cause.arguments}
        if not equal:
            return good
        histories = history.before(equal)
        return [
            replace(call, history=histories.get(call.decision, FIRST))
            if call.decision in equal
            else call
            for call in good
        ]


def _failures(pattern_id: str, tool: str) -> list[Call]:
    return [
        Call(tool, arguments, run_id or "", error=message, run=run or "", agent=agent)
        for arguments, run_id, message, run, agent in _failed(catalog.family_of([pattern_id]), tool)
    ]


@compiled
def _failed(patterns: Sequence[str], tool: str) -> QuerySet[PatternMatch, tuple[Any, ...]]:
    matches = PatternMatch.objects.standing().filter(
        pattern__any=patterns,
        incident__tool=tool,
        incident__arguments__isnull=False,
        incident__simulated=False,
    )
    called = ("arguments", "run_id", "message", "run__name", "agent__name")
    latest = matches.order_by("-id")[:FAILURES_LIMIT]
    return latest.values_list(*(f"incident__{each}" for each in called))


def backtest(condition: Condition, tool: str) -> Backtest:
    """A condition tried on the latest stored good calls of a tool, of every tool where it is empty.

    An error counts as a rejection, as it does where the guard fails closed.
    """
    outcomes = known.good().filter(tool=tool) if tool else known.good()
    good = outcomes.order_by("-id").values_list(*ACTED)[:BACKTEST_LIMIT]
    said = answers(condition, [Acted(*row) for row in good])
    return Backtest(len(said), sum(1 for answer in said if answer is not Answer.NO))


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
