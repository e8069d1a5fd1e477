"""The calls written beside policies, put to the guard's own judgement. Needs no database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from policies.as_code.reading import Case, FiledPolicy, PolicyFile
from policies.rules import History
from policies.services.ruleset import EVERY, Rule
from policies.services.ruling import Action, judge


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one case: the verdict, and the policies that gave it."""

    file: str
    case: Case
    verdict: str
    policies: tuple[str, ...]

    @property
    def is_passed(self) -> bool:
        return self.verdict == self.case.expect

    def __str__(self) -> str:
        name = self.case.name or f"{self.case.tool or self.case.kind} {dict(self.case.arguments)}"
        if self.is_passed:
            return f"{self.file}:{self.case.line}: ok: {name[:120]}"
        by = f" by {', '.join(map(repr, self.policies))}" if self.policies else ""
        return (
            f"{self.file}:{self.case.line}: failed: {name[:120]}: expected {self.case.expect},"
            f" got {self.verdict}{by}"
        )


def tried(files: Sequence[PolicyFile], *, default_verdict: str = "allow") -> list[Tried]:
    """All cases of all files, each asked about all policies of all files, as they would be in force together."""
    rules = rules_of([policy for file in files for policy in file.policies])
    return [
        _tried(file.name, case, rules, default_verdict) for file in files for case in file.cases
    ]


def rules_of(policies: Iterable[FiledPolicy]) -> list[Rule]:
    """The policies as the guard would have them in force."""
    return [
        Rule(
            id=f"{number:06}",
            name=policy.name,
            action=policy.action,
            version=1,
            is_active=True,
            is_simulated=False,
            fails_open=policy.failure_mode == "fail_open",
            tool=policy.tool,
            agent=policy.agent,
            source=policy.condition,
            explanation="",
            pattern_id=None,
            trace_id=None,
            incident_id=None,
            bind_at=policy.bind_at,
        )
        for number, policy in enumerate(policies)
    ]


def about(rules: Iterable[Rule], tool: str, agent: str) -> list[Rule]:
    """Those that are asked about an action, as the guard chooses them."""
    return [rule for rule in rules if rule.tool in (EVERY, tool) and rule.agent in (EVERY, agent)]


def _tried(file: str, case: Case, rules: Sequence[Rule], default_verdict: str) -> Tried:
    action = Action(
        case.agent, case.run, case.step, case.kind, case.tool, case.arguments, case.context
    )
    ruling = judge(
        action,
        about(rules, case.tool, case.agent),
        default_verdict=default_verdict,
        history=History(**case.history),
    )
    return Tried(file, case, ruling.verdict, tuple(rule.name for rule in ruling.matched))
