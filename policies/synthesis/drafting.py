"""Rules from failures: draft a condition, broaden it for another cause, narrow it after harm."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import islice
from typing import Self

from policies.conditions import Answer, Condition, ConditionError, activation, compile_condition
from policies.synthesis.calls import Backtest, Call, Draft, Form, TooThin, identity
from policies.synthesis.literals import literal
from policies.synthesis.memory import of_tool, remember
from policies.synthesis.search import Search

BACKTEST_LIMIT = 10_000
"""Latest stored good calls that a condition is tried on."""
EVIDENCE_LIMIT = 3
FINDINGS_TRIED = 5
"""General conditions put to the real CEL before the exact arguments are remembered instead."""


def draft(cause: Call, failures: Sequence[Call], successes: Sequence[Call]) -> Draft | TooThin:
    """The most general supported condition that blocks the cause and no stored good call.

    `failures` are the known failing calls of the cause's pattern and `successes` good calls, latest
    first; calls of other tools are ignored. A condition wider than the cause's own arguments needs
    support (see `search`), otherwise the arguments are remembered. Deterministic. TooThin when even
    those have been seen to succeed, or cannot be written as a condition.
    """
    if (fault := _fault(cause)) is not None:
        return TooThin(f"The call holds {fault}, which no condition can compare.")
    trial = _Trial.of(cause, failures, successes)
    for condition, explanation in _wordings(trial):
        if isinstance(tried := trial.of_condition(condition, Form.GENERAL, explanation), Draft):
            return tried
    remembered = remember(cause, trial.good)
    if isinstance(remembered, TooThin):
        return remembered
    condition, form = remembered
    return trial.of_condition(condition, form, _remembering(cause, form))


def broaden(
    existing: str, cause: Call, failures: Sequence[Call], successes: Sequence[Call]
) -> Draft | TooThin:
    """A condition for the cause as well as for what `existing` blocks.

    That is a general one when it covers every known failure that `existing` covers, otherwise
    either of both. TooThin when a good call would be blocked, or it would be too long. Raises
    ConditionError when `existing` does not compile.
    """
    old = compile_condition(existing)
    trial = _Trial.of(cause, failures, successes)
    if _answer(old, cause) is Answer.YES:
        return trial.of_condition(existing, Form.GENERAL, "The policy blocks this call already.")
    fresh = draft(cause, failures, successes)
    if isinstance(fresh, TooThin):
        return fresh
    new = compile_condition(fresh.condition)
    blocked = [call for call in trial.failed if _answer(old, call) is Answer.YES]
    if (
        fresh.form is Form.GENERAL
        and blocked
        and all(_answer(new, call) is Answer.YES for call in blocked)
    ):
        return fresh
    explanation = f"{fresh.explanation} It also blocks what the policy blocked before."
    return trial.of_condition(f"({existing}) || ({fresh.condition})", fresh.form, explanation)


def narrow(
    existing: str, cause: Call, failures: Sequence[Call], successes: Sequence[Call]
) -> Draft | TooThin:
    """A condition in place of one that rejected a good call, which `successes` now holds.

    It is drafted anew from the failures that `existing` covers, so it is never known to block more.
    TooThin when no condition tells the cause from that good call. Raises ConditionError when
    `existing` does not compile.
    """
    old = compile_condition(existing)
    return draft(cause, [call for call in failures if _answer(old, call) is Answer.YES], successes)


@dataclass(frozen=True)
class _Trial:
    """What a condition for one cause is tried on."""

    cause: Call
    failed: list[Call]
    """The cause and the other failing calls of its tool."""
    good: list[Call]

    @classmethod
    def of(cls, cause: Call, failures: Sequence[Call], successes: Sequence[Call]) -> Self:
        failed = [call for call in failures if call.tool == cause.tool and _fault(call) is None]
        if cause not in failed:
            failed.insert(0, cause)
        good = [call for call in successes if call.tool == cause.tool]
        return cls(cause, failed, good[:BACKTEST_LIMIT])

    def of_condition(self, source: str, form: Form, explanation: str) -> Draft | TooThin:
        """Put it to the real CEL. An error counts as a rejection, as it does where a guard fails closed."""
        try:
            condition = compile_condition(source)
        except ConditionError as error:
            return TooThin(error.message)
        if _answer(condition, self.cause) is not Answer.YES:
            return TooThin("The condition does not block the call that caused it.")
        rejected = sum(1 for call in self.good if _answer(condition, call) is not Answer.NO)
        if rejected:
            return TooThin(f"The condition would block {rejected} of {len(self.good)} good calls.")
        covers = sum(1 for call in self.failed if _answer(condition, call) is Answer.YES)
        backtest = Backtest(sample=len(self.good), false_rejections=rejected)
        return Draft(source, explanation, form, covers, backtest, self._nearest_good())

    def _nearest_good(self) -> tuple[Call, ...]:
        """The good calls that agree with the cause in most arguments."""
        wanted = {(name, identity(value)) for name, value in self.cause.arguments.items()}

        def agreement(call: Call) -> int:
            return sum(
                1 for name, value in call.arguments.items() if (name, identity(value)) in wanted
            )

        return tuple(nlargest(EVIDENCE_LIMIT, self.good, key=agreement))


def _fault(call: Call) -> str | None:
    """What in this call no condition can hold."""
    try:
        literal([call.tool, call.arguments])
    except ValueError as error:
        return str(error)
    return None


def _answer(condition: Condition, call: Call) -> Answer:
    facts = activation(
        action={"kind": call.kind, "tool": call.tool},
        arguments=call.arguments,
        context={},
        agent={"id": ""},
        run={"id": call.run_id, "step": 0},
    )
    return condition.matches(facts).answer


def _wordings(trial: _Trial) -> Iterator[tuple[str, str]]:
    """General conditions with their explanations, best first."""
    tool = trial.cause.tool
    for finding in islice(Search(trial.cause, trial.failed, trial.good).findings(), FINDINGS_TRIED):
        explanation = (
            f"Blocks {tool} when {finding.sentence}: so it was in {finding.covers} failing calls "
            f"and in none of {len(trial.good)} good ones."
        )
        yield f"{of_tool(tool)} && {finding.source}", explanation


def _remembering(cause: Call, form: Form) -> str:
    how = "all of them" if form is Form.EXACT else "as far as a condition can hold them"
    return f"Blocks {cause.tool} with the very arguments that failed, {how}."
