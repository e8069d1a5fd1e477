"""Policies of a file tried on what the tenant has: its stored calls, and what is in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from policies.as_code.reading import FiledPolicy
from policies.conditions import Answer, compile_condition
from policies.meaning import meaning, same, subsumes
from policies.models import Decision, Outcome, Policy
from policies.rules import ALLOW, Verdict, strictest

from . import filing
from .acted import Acted, answers
from .ruling import DENIED

STORED_LIMIT = 5_000
"""Latest real decisions that files are tried on, unless another number is asked for."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The latest real decisions, newest first, and how those that have an outcome went."""

    decisions: Sequence[Decision]
    went_well: dict[str, bool]


def stored(limit: int = STORED_LIMIT) -> Stored:
    """The latest real decisions of the tenant; rehearsals are none."""
    found = Decision.objects.filter(simulated=False).select_related("agent", "run").order_by("-id")
    decisions = list(found[:limit])
    # What only a bypass let through is kept, and no evidence.
    outcomes = Outcome.objects.filter(simulated=False, overridden=False)
    if decisions:
        outcomes = outcomes.filter(decision_id__gte=decisions[-1].id)
    return Stored(decisions, dict(outcomes.values_list("decision_id", "ok")))


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a policy would have stopped of the stored calls: decisions by id, newest first."""

    policy: FiledPolicy
    failed: tuple[str, ...]
    good: tuple[str, ...]
    unknown: tuple[str, ...]
    """Denied then, or never reported."""


def backtest(policies: Sequence[FiledPolicy], known: Stored) -> list[Backtest]:
    """Each policy by itself. It meets a call where its condition is true, or cannot tell and fails closed."""
    tests = []
    for policy in policies:
        met = [decision.id for decision in _met(policy, known.decisions)]
        by_outcome = {
            wanted: tuple(each for each in met if known.went_well.get(each) is wanted)
            for wanted in (False, True, None)
        }
        tests.append(Backtest(policy, by_outcome[False], by_outcome[True], by_outcome[None]))
    return tests


def verdicts(
    policies: Sequence[FiledPolicy], known: Stored, *, default: str = ALLOW.action
) -> dict[str, str]:
    """What policies in force together would say to each stored call, by decision; modes are not asked."""
    said: dict[str, list[Verdict]] = {decision.id: [] for decision in known.decisions}
    for number, policy in enumerate(policies):
        for decision in _met(policy, known.decisions):
            said[decision.id].append(Verdict(policy.action, f"{number:06}"))
    strongest = {each: strictest(words) for each, words in said.items()}
    return {each: word.action if word else default for each, word in strongest.items()}


def _met(policy: FiledPolicy, decisions: Sequence[Decision]) -> list[Decision]:
    about = [
        decision
        for decision in decisions
        if policy.tool in ("", decision.tool) and policy.agent in ("", decision.agent.name)
    ]
    meets = {Answer.YES} if policy.failure_mode == "fail_open" else {Answer.YES, Answer.ERROR}
    asked = [Acted.of(decision) for decision in about]
    said = answers(compile_condition(policy.condition), asked)
    return [decision for decision, answer in zip(about, said, strict=True) if answer in meets]


# --- A file beside what is in force -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """A policy that the file and the tenant both have, by its name, and do not have alike."""

    policy: FiledPolicy
    id: str
    fields: dict[str, tuple[str, str]]
    """What it is in force, and in the file."""
    condition: str
    """How the file's condition stands to the one in force: same, wider, narrower, other."""


@dataclass(frozen=True, slots=True)
class Turned:
    """A stored call that would be answered otherwise."""

    decision: str
    tool: str
    in_force: str
    in_file: str
    went_well: bool | None

    @property
    def is_let_through(self) -> bool:
        return self.in_force in DENIED and self.in_file not in DENIED


@dataclass(frozen=True, slots=True)
class Difference:
    """A file beside what is in force."""

    added: tuple[FiledPolicy, ...]
    removed: tuple[tuple[str, str], ...]
    """Id and name."""
    changed: tuple[Change, ...]
    unchanged: int
    turned: tuple[Turned, ...]
    tried: int

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.removed or self.changed)


def difference(policies: Sequence[FiledPolicy], known: Stored, *, default: str) -> Difference:
    """What would be different if the file were in force, and nothing else. Policies are the same by their name."""
    in_force = filing.of_state(Policy.State.ACTIVE)
    beside = _beside(in_force)
    filed_names = {policy.name for policy in policies}
    added = tuple(policy for policy in policies if policy.name not in beside)
    pairs = [
        (policy, _nearest(policy, beside[policy.name]))
        for policy in policies
        if policy.name in beside
    ]
    kept = {other.id for _, other in pairs}
    removed = tuple(
        (policy.id, policy.name)
        for policy in in_force
        if policy.id not in kept or policy.name not in filed_names
    )
    changed = tuple(_change(policy, other) for policy, other in pairs if _differs(policy, other))
    now = [filing.as_filed(each) for each in in_force]
    was, would = verdicts(now, known, default=default), verdicts(policies, known, default=default)
    turned = tuple(
        Turned(each.id, each.tool, was[each.id], would[each.id], known.went_well.get(each.id))
        for each in known.decisions
        if was[each.id] != would[each.id]
    )
    unchanged = len(pairs) - len(changed)
    return Difference(added, removed, changed, unchanged, turned, len(known.decisions))


def _beside(policies: Sequence[Policy]) -> dict[str, list[Policy]]:
    by_name = sorted(policies, key=lambda policy: policy.name)
    return {name: list(group) for name, group in groupby(by_name, key=lambda policy: policy.name)}


def _nearest(policy: FiledPolicy, others: Sequence[Policy]) -> Policy:
    """Of several of one name the one with the same content, or the newest."""
    return max(others, key=lambda other: (not _differs(policy, other), other.id))


def _differs(policy: FiledPolicy, other: Policy) -> bool:
    return policy.content != filing.content_of(other)


def _change(policy: FiledPolicy, other: Policy) -> Change:
    now, then = filing.content_of(other), policy.content
    fields = {name: (now[name], then[name]) for name in then if now[name] != then[name]}
    return Change(policy, other.id, fields, _relation(now["condition"], then["condition"]))


def _relation(now: str, then: str) -> str:
    was, would_be = meaning(now), meaning(then)
    if same(was, would_be):
        return "same"
    if subsumes(would_be, was):
        return "wider"
    return "narrower" if subsumes(was, would_be) else "other"


def as_json(found: Difference) -> dict[str, Any]:
    """A difference for machines."""
    return {
        "added": [policy.name for policy in found.added],
        "removed": [{"id": id, "name": name} for id, name in found.removed],
        "changed": [
            {
                "id": each.id,
                "name": each.policy.name,
                "condition": each.condition,
                "fields": {
                    name: {"in_force": a, "in_file": b} for name, (a, b) in each.fields.items()
                },
            }
            for each in found.changed
        ],
        "unchanged": found.unchanged,
        "tried": found.tried,
        "turned": [
            {
                "decision": each.decision,
                "tool": each.tool,
                "in_force": each.in_force,
                "in_file": each.in_file,
                "went_well": each.went_well,
            }
            for each in found.turned
        ],
    }
