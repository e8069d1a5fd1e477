"""What the guard thinks of one action, and how it says so. Reads nothing and writes nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from policies.conditions import Answer, Facts, activation
from policies.models import Decision
from policies.rules import History, Verdict, strictest

from .ruleset import Rule

log = logging.getLogger("antibody.guard")

DENIED = frozenset(Decision.Verdict) - Decision.YES
UNAVAILABLE = "governance_unavailable"
LONGEST_REASON = 500

_SAYS: Mapping[str, str] = {
    Decision.Verdict.WARN: "Allowed, with a warning from the policy {!r}.",
    Decision.Verdict.ROUTE_AWAY: "Not this way: the policy {!r} asks for another route.",
    Decision.Verdict.ESCALATE: "A person must look at this first, says the policy {!r}.",
    Decision.Verdict.BLOCK: "Blocked by the policy {!r}.",
    Decision.Verdict.KILL: "This run must end, says the policy {!r}.",
}


@dataclass(frozen=True)
class Action:
    """What an agent is about to do: ``kind`` as in Decision.Kind, ``step`` from 0 on or None."""

    agent: str
    run: str
    step: int | None
    kind: str
    tool: str
    arguments: Mapping[str, Any]
    context: Mapping[str, Any]

    @cached_property
    def alone(self) -> Facts:
        """Its facts without what its run had done before."""
        return self.facts()

    def facts(self, history: History | None = None) -> Facts:
        """What conditions are asked about, converted once for all of them; without a history its counters are missing."""
        return activation(
            action={"kind": self.kind, "tool": self.tool},
            arguments=self.arguments,
            context=self.context,
            agent={"id": self.agent},
            run={"id": self.run, "step": self.step},
            history=history,
        )


@dataclass(frozen=True, slots=True)
class Ruling:
    """The guard's mind about one action.

    ``matched`` are the policies in force that count as met, the deciding one first; ``recognised`` those of them whose
    condition said yes (the others could not tell and fail closed); ``would`` the watching ones that said yes;
    ``failed_open`` those in force that could not tell and let it pass, each with the reason. ``mode`` is the mode that
    changed the verdict, and ``would_be`` the verdict without it.
    """

    verdict: str
    reason: str = ""
    retryable: bool = False
    matched: Sequence[Rule] = ()
    recognised: Sequence[Rule] = ()
    would: Sequence[Rule] = ()
    failed_open: Sequence[tuple[Rule, str]] = ()
    mode: str = ""
    would_be: str = ""

    @property
    def is_denied(self) -> bool:
        return self.verdict in DENIED

    @property
    def is_denied_anyway(self) -> bool:
        """Whether it is denied, and would be without any mode: only then has a policy stopped something."""
        return self.is_denied and (not self.mode or self.would_be in DENIED)

    @property
    def is_overridden(self) -> bool:
        """Whether a mode lets through what would have been denied."""
        return not self.is_denied and self.would_be in DENIED and not self.is_explored

    @property
    def is_explored(self) -> bool:
        """Whether it is let through in order to measure the policy that would have blocked it."""
        return self.mode == Decision.Mode.EXPLORED


@dataclass(slots=True)
class _Heard:
    """What the conditions said."""

    recognised: list[Rule] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    failed_closed: list[Rule] = field(default_factory=list)
    failed_open: list[tuple[Rule, str]] = field(default_factory=list)
    would: list[Rule] = field(default_factory=list)


def unavailable() -> Ruling:
    """The answer where the policies cannot be read: on any doubt, no."""
    return Ruling(
        Decision.Verdict.BLOCK,
        f"{UNAVAILABLE}: the policies cannot be read just now. Try again.",
        retryable=True,
    )


def judge(
    action: Action,
    rules: Iterable[Rule],
    *,
    default_verdict: str,
    history: History | None = None,
) -> Ruling:
    """The strictest word of the active rules, or the tenant's default where they have none; the rest is noted.

    ``history`` may be left out where no rule asks for it.
    """
    facts = action.alone if history is None else action.facts(history)
    heard = _hear(facts, sorted(rules, key=lambda rule: rule.id))
    matched = [*heard.recognised, *heard.failed_closed]
    winner = strictest(Verdict(rule.action, rule.id) for rule in matched)
    if winner is None:
        return Ruling(
            default_verdict,
            _default(default_verdict),
            would=heard.would,
            failed_open=heard.failed_open,
        )
    matched.sort(key=lambda rule: (rule.id != winner.policy_id, rule.id))
    denying = [rule for rule in matched if rule.action in DENIED]
    return Ruling(
        verdict=winner.action,
        reason=_reason(matched[0], heard.faults.get(winner.policy_id, "")),
        retryable=bool(denying) and all(rule.is_broken for rule in denying),
        matched=matched,
        recognised=heard.recognised,
        would=heard.would,
        failed_open=heard.failed_open,
    )


def _hear(facts: Any, rules: Iterable[Rule]) -> _Heard:
    heard = _Heard()
    for rule in rules:
        match = rule.ask(facts)
        if match.answer is Answer.YES:
            (heard.recognised if rule.is_active else heard.would).append(rule)
        elif match.answer is Answer.ERROR and rule.is_active:
            if rule.fails_open:
                heard.failed_open.append((rule, match.text))
                log.warning(
                    "the policy %s could not tell and lets it pass: %s", rule.id, match.text
                )
            else:
                heard.failed_closed.append(rule)
                heard.faults[rule.id] = match.text
    return heard


def _default(verdict: str) -> str:
    if verdict not in DENIED:
        return ""
    return "No policy speaks of this action, and this tenant denies what no policy speaks of."


def _reason(rule: Rule, fault: str) -> str:
    says = _SAYS[rule.action].format(rule.name)
    if rule.is_broken:
        text = f"{UNAVAILABLE}: {says} Its condition cannot be read, so it counts as met: {fault}"
    elif fault:
        text = f"{says} Its condition could not be evaluated, so it counts as met: {fault}"
    else:
        text = f"{says} {rule.explanation}"
    return text.strip()[:LONGEST_REASON]
