"""What is wrong with policies that can be seen without a call: each finding with the line it is about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, product

from policies.as_code.reading import FiledPolicy, PolicyFile, Problem
from policies.meaning import Meaning, always_true, meaning, never_true, subsumes
from policies.meaning.reading import tree
from policies.meaning.tree import Name, every
from policies.rules import STRENGTH

COMPARED_LIMIT = 400
"""Policies about one tool that are compared with each other; of more, the first."""
MEANINGS_KEPT = 4_096


@dataclass(frozen=True)
class Said:
    """A policy with what its condition means: what linting and coverage compare."""

    name: str
    where: str
    condition: str
    action: str
    tool: str = ""
    agent: str = ""

    @property
    def meaning(self) -> Meaning:
        """Raises ConditionError for a condition that does not compile."""
        return _meaning(self.condition, self.tool, self.agent)

    def could_meet(self, other: Said) -> bool:
        """Whether an action can be about both."""
        return (not self.tool or not other.tool or self.tool == other.tool) and (
            not self.agent or not other.agent or self.agent == other.agent
        )


@lru_cache(MEANINGS_KEPT)
def _meaning(condition: str, tool: str, agent: str) -> Meaning:
    return meaning(condition, tool=tool, agent=agent)


@dataclass(frozen=True, slots=True)
class Clash:
    """Two policies of which one is not needed, or never has the last word."""

    kind: str
    """duplicate: the same in every way; conflict: the same calls, another action; redundant: the other blocks
    all that it blocks, at least as strictly; overruled: every call it is true of is stopped more strictly."""
    policy: Said
    other: Said

    def __str__(self) -> str:
        where = f"{self.other.name!r} ({self.other.where})"
        return {
            "duplicate": f"{self.policy.name!r} says the same as {where}.",
            "conflict": f"{self.policy.name!r} says {self.policy.action} to the very calls to which {where}"
            f" says {self.other.action}; the stricter one always wins.",
            "redundant": f"{self.policy.name!r} is not needed: {where} covers every call that it is true of.",
            "overruled": f"{self.policy.name!r} never has the last word: {where} says {self.other.action} to"
            f" every call to which it says {self.policy.action}.",
        }[self.kind]


def lint(files: Sequence[PolicyFile]) -> list[Problem]:
    """Findings about files that could be read, all files together: they would be in force together."""
    policies = [policy for file in files for policy in file.policies]
    return sorted([*_alone(policies), *_names(policies), *_together(policies), *_tests(files)])


def clashes(policies: Sequence[Said]) -> Iterator[Clash]:
    """Pairs of which one is not needed or never wins, each pair once: the later one is the one to look at."""
    heads: dict[str, list[int]] = {}
    for index, each in enumerate(policies):
        if len(same_tool := heads.setdefault(each.tool, [])) < COMPARED_LIMIT:
            same_tool.append(index)
    everywhere = heads.pop("", [])
    pairs = [*combinations(everywhere, 2)]
    for head in heads.values():
        pairs += [*combinations(head, 2), *product(head, everywhere)]
    for one, other in sorted((min(pair), max(pair)) for pair in pairs):
        if found := clash(policies[other], policies[one]):
            yield found


def clash(later: Said, first: Said) -> Clash | None:
    """Which of two policies is not needed or never wins, if one is shown to be."""
    if not first.could_meet(later):
        return None
    stricter = STRENGTH[later.action] - STRENGTH[first.action]
    is_covered = subsumes(first.meaning, later.meaning)
    covers = subsumes(later.meaning, first.meaning)
    if is_covered and covers:
        return Clash("conflict" if stricter else "duplicate", later, first)
    if is_covered and stricter <= 0:
        return Clash("overruled" if stricter else "redundant", later, first)
    if covers and stricter >= 0:
        return Clash("overruled" if stricter else "redundant", first, later)
    return None


def said(policy: FiledPolicy) -> Said:
    """A policy of a file, to be compared."""
    where = f"{policy.file}:{policy.line}"
    return Said(policy.name, where, policy.condition, policy.action, policy.tool, policy.agent)


def _alone(policies: Sequence[FiledPolicy]) -> Iterator[Problem]:
    for policy in policies:
        means = said(policy).meaning
        if never_true(means):
            text = f"{policy.name!r} can never be true: no call meets it."
            yield Problem(policy.file, policy.line, "never-true", text)
        elif always_true(meaning(policy.condition)):
            is_narrow = bool(policy.tool or policy.agent)
            text = (
                f"{policy.name!r} is true of every call{' that it is about' if is_narrow else ''}."
            )
            yield Problem(policy.file, policy.line, "always-true", text, is_error=not is_narrow)
        if means.yes is None:
            text = f"{policy.name!r} has too many alternatives to be compared with others."
            yield Problem(policy.file, policy.line, "not-compared", text, is_error=False)
        if Name("run.id") in every(tree(policy.condition)):
            text = f"{policy.name!r} is about single runs: a run's id is not used twice."
            yield Problem(policy.file, policy.line, "single-run", text, is_error=False)


def _names(policies: Sequence[FiledPolicy]) -> Iterator[Problem]:
    seen: dict[str, FiledPolicy] = {}
    for policy in policies:
        first = seen.setdefault(policy.name, policy)
        if first is not policy:
            text = f"{policy.name!r} is the name of another policy ({first.file}:{first.line})."
            yield Problem(policy.file, policy.line, "name-twice", text)


def _together(policies: Sequence[FiledPolicy]) -> Iterator[Problem]:
    lines = {f"{policy.file}:{policy.line}": policy for policy in policies}
    # What is never true is covered by everything: that says nothing more.
    possible = [each for each in map(said, policies) if not never_true(each.meaning)]
    for found in clashes(possible):
        policy = lines[found.policy.where]
        is_error = found.kind in ("duplicate", "conflict")
        yield Problem(policy.file, policy.line, found.kind, str(found), is_error)


def _tests(files: Sequence[PolicyFile]) -> Iterator[Problem]:
    for file in files:
        for policy in file.policies:
            if not any(case.expect != "allow" for case in policy.tests):
                text = f"{policy.name!r} has no test of a call that it stops."
                yield Problem(file.name, policy.line, "untested", text, is_error=False)
