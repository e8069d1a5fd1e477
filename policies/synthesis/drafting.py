"""Rules from failures: draft a condition, broaden it for another cause, narrow it after harm."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from heapq import nlargest
from itertools import islice
from typing import Self

from policies.conditions import (
    Answer,
    Condition,
    ConditionError,
    Facts,
    activation,
    compile_condition,
)
from policies.synthesis.calls import Backtest, Call, Draft, Form, TooThin, identity
from policies.synthesis.culprits import Culprits
from policies.synthesis.literals import literal
from policies.synthesis.memory import of_tool, remember
from policies.synthesis.messages import Message
from policies.synthesis.search import Search
from policies.synthesis.suspicions import Suspicion

BACKTEST_LIMIT = 10_000
"""Latest stored good calls that a condition is tried on."""
EVIDENCE_LIMIT = 3
ASKED_OF_CEL = 300
"""Good calls that the real CEL is asked about, of those that a comparison finds likely to be blocked."""
ALSO_ASKED = 30
"""Latest good calls that it is asked about in any case."""
TIMES_IN_A_RUN = 3
"""How often a call may have to fail in one run before it is blocked there; it went well after fewer."""
FINDINGS_TRIED = 5
"""General conditions put to the real CEL before the exact arguments are remembered instead."""


def draft(
    cause: Call, failures: Sequence[Call], successes: Sequence[Call], failed: int = 0
) -> Draft | TooThin:
    """The most general supported condition that blocks the cause and no stored good call.

    `failures` are known failing calls of the cause's tool in its pattern and `successes` good calls, latest
    first; calls of other tools are ignored. `failed` counts the tool's failing calls of any pattern. First what the
    error itself blames (see `culprits`), then what several failures share (see `search`; of a message that blames
    something, only whole values, because it knows better than we do which words of a text mattered), otherwise the
    arguments are remembered: they, and what is blamed in this run alone. Deterministic. TooThin when even those have
    been seen to succeed, or cannot be written as a condition.
    """
    if (fault := _fault(cause)) is not None:
        return TooThin(f"The call holds {fault}, which no condition can compare.")
    trial = _Trial.of(cause, failures, successes)
    return trial.for_whom(_of_anybody(trial, failed))


def _of_anybody(trial: "_Trial", failed: int) -> Draft | TooThin:
    """A condition whoever calls."""
    culprits = Culprits(trial.cause, trial.failed, trial.good)
    in_run: list[Suspicion] = []
    for suspicion in culprits.suspicions():
        if suspicion.in_run:
            in_run.append(suspicion)
        elif isinstance(tried := trial.of_suspicion(suspicion), Draft):
            return tried
    for condition, explanation in _wordings(trial, failed, are_whole=culprits.is_told):
        if isinstance(tried := trial.of_condition(condition, Form.GENERAL, explanation), Draft):
            return tried
    return _remembered(trial, in_run)


def _remembered(trial: "_Trial", in_run: Sequence[Suspicion]) -> Draft | TooThin:
    """The arguments themselves, and in the run of the cause what its error blames."""
    cause = trial.cause
    remembered = remember(cause, trial.good)
    for suspicion in in_run:
        if isinstance(tried := trial.in_this_run(suspicion, remembered), Draft):
            return tried
    if isinstance(remembered, TooThin):
        return remembered
    condition, form = remembered
    exact = trial.exactly(condition, form, _remembering(cause, form))
    if isinstance(exact, Draft) or form is not Form.EXACT:
        return exact
    return trial.again(condition, exact)


def generalise(cause: Call, failures: Sequence[Call], successes: Sequence[Call]) -> Draft | None:
    """A condition for a failure that was only remembered, now that more good calls show what is usual; None without."""
    if _fault(cause) is not None:
        return None
    trial = _Trial.of(cause, failures, successes)
    found = Culprits(cause, trial.failed, trial.good).everywhere()
    tried = (trial.for_whom(trial.of_suspicion(suspicion)) for suspicion in found)
    return next((one for one in tried if isinstance(one, Draft)), None)


def broaden(
    existing: str,
    cause: Call,
    failures: Sequence[Call],
    successes: Sequence[Call],
    failed: int = 0,
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
    fresh = draft(cause, failures, successes, failed)
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
    existing: str,
    cause: Call,
    failures: Sequence[Call],
    successes: Sequence[Call],
    failed: int = 0,
) -> Draft | TooThin:
    """A condition in place of one that rejected a good call, which `successes` now holds.

    It is drafted anew from the failures that `existing` covers, so it is never known to block more.
    TooThin when no condition tells the cause from that good call. Raises ConditionError when
    `existing` does not compile.
    """
    old = compile_condition(existing)
    behind = [call for call in failures if _answer(old, call) is Answer.YES]
    return draft(cause, behind, successes, failed)


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

    def of_condition(
        self,
        source: str,
        form: Form,
        explanation: str,
        *,
        likely: Sequence[Call] | None = None,
        tried_again: int = 0,
    ) -> Draft | TooThin:
        """Put it to the real CEL. An error counts as a rejection, as it does where a guard fails closed.

        ``likely`` are the good calls that are asked about, where all others are known to pass by a comparison;
        ``tried_again``: the cause is taken as if it had failed so often in its run already.
        """
        try:
            condition = compile_condition(source)
        except ConditionError as error:
            return TooThin(error.message)
        cause = self.cause
        if tried_again:
            cause = replace(cause, history=replace(cause.history, same_call_failures=tried_again))
        if _answer(condition, cause) is not Answer.YES:
            return TooThin("The condition does not block the call that caused it.")
        asked = self.good if likely is None else likely
        rejected = sum(1 for call in asked if _answer(condition, call) is not Answer.NO)
        if rejected:
            return TooThin(f"The condition would block {rejected} of {len(self.good)} good calls.")
        covers = sum(1 for one in self._failed if condition.matches(one).answer is Answer.YES)
        backtest = Backtest(sample=len(self.good), false_rejections=rejected)
        return Draft(source, explanation, form, covers, backtest, self._nearest_good())

    def of_suspicion(self, suspicion: Suspicion) -> Draft | TooThin:
        """A condition that reaches everywhere; it was compared with every good call, and CEL is asked about the likeliest."""
        tool = self.cause.tool
        source = " && ".join([of_tool(tool), *(term.source for term in suspicion.terms)])
        when = f" when {suspicion.sentence}" if suspicion.terms else ", whatever its arguments"
        explanation = f"Blocks {tool}{when}: {suspicion.why}, and none of {len(self.good)} good calls was such."
        likely = [call for call in self.good if all(one in call.text for one in suspicion.needles)]
        return self.of_condition(source, Form.GENERAL, explanation, likely=self._some(likely))

    def exactly(self, source: str, form: Form, explanation: str) -> Draft | TooThin:
        """A condition for the cause's own arguments, all of them."""
        likely = self._equal if form is Form.EXACT else None
        return self.of_condition(source, form, explanation, likely=likely)

    def for_whom(self, drafted: Draft | TooThin) -> Draft | TooThin:
        """What was refused to the cause's agent is kept from that agent alone, where others are known to use the tool."""
        agent = self.cause.agent
        is_refused = bool(agent) and Message.of(self.cause.error).is_about_rights
        if isinstance(drafted, TooThin) or not is_refused:
            return drafted
        if all(call.agent == agent for call in self.good):
            return drafted
        return self.of_condition(
            f"({drafted.condition}) && agent.id == {literal(agent)}",
            drafted.form,
            f"{drafted.explanation} Only this agent: others may.",
        )

    @cached_property
    def _failed(self) -> list[Facts]:
        """The failing calls as conditions see them: each that is tried is put to all of them."""
        return [_facts(call) for call in self.failed]

    @cached_property
    def _equal(self) -> list[Call]:
        """Good calls with the cause's arguments, and some others."""
        return self._some([call for call in self.good if call.arguments == self.cause.arguments])

    def _some(self, likely: list[Call]) -> list[Call]:
        return [*likely[:ASKED_OF_CEL], *self.good[:ALSO_ASKED]]

    def in_this_run(
        self, suspicion: Suspicion, remembered: tuple[str, Form] | TooThin
    ) -> Draft | TooThin:
        """The remembered arguments anywhere, and what the error blames in the run of the cause."""
        cause = self.cause
        if not cause.run:
            return TooThin("Its run is not known.")
        here = f"agent.id == {literal(cause.agent)} && run.id == {literal(cause.run)}"
        general = " && ".join([here, *(term.source for term in suspicion.terms)])
        explanation = (
            f"Blocks {cause.tool} in this run when {suspicion.sentence}, because {suspicion.why}"
        )
        likely = [
            call
            for call in self.good
            if (call.run == cause.run and call.agent == cause.agent)
            or call.arguments == cause.arguments
        ]
        if not isinstance(remembered, TooThin):
            # Outside the run only these arguments: what is missing here may be there elsewhere.
            exact = remembered[0].removeprefix(f"{of_tool(cause.tool)} && ")
            both = self.of_condition(
                f"{of_tool(cause.tool)} && (({exact}) || ({general}))",
                Form.IN_RUN,
                f"{explanation}; in other runs with the very arguments that failed.",
                likely=self._some(likely) if remembered[1] is Form.EXACT else None,
            )
            if isinstance(both, Draft):
                return both
        source = f"{of_tool(cause.tool)} && {general}"
        return self.of_condition(source, Form.IN_RUN, f"{explanation}.", likely=self._some(likely))

    def again(self, remembered: str, otherwise: TooThin) -> Draft | TooThin:
        """The remembered arguments once they have failed in a run: elsewhere they went well, so they may in the next."""
        for times in range(1, TIMES_IN_A_RUN + 1):
            condition = f"{remembered} && history.same_call_failures >= {times}"
            explanation = (
                f"Blocks {self.cause.tool} with the very arguments that failed once they have failed"
                f" {times} times in the same run: in other runs they went well."
            )
            tried = self.of_condition(
                condition, Form.AGAIN, explanation, likely=self._equal, tried_again=times
            )
            if isinstance(tried, Draft):
                return tried
        return otherwise

    def _nearest_good(self) -> tuple[Call, ...]:
        """The good calls that agree with the cause in most arguments."""
        wanted = {(name, identity(value)) for name, value in self.cause.arguments.items()}

        def agreement(call: Call) -> int:
            return sum(
                1 for name, value in call.arguments.items() if (name, identity(value)) in wanted
            )

        return tuple(nlargest(EVIDENCE_LIMIT, self.good[:ASKED_OF_CEL], key=agreement))


def _fault(call: Call) -> str | None:
    """What in this call no condition can hold."""
    try:
        literal([call.tool, call.arguments])
    except ValueError as error:
        return str(error)
    return None


def _answer(condition: Condition, call: Call) -> Answer:
    return condition.matches(_facts(call)).answer


def _facts(call: Call) -> Facts:
    return activation(
        action={"kind": call.kind, "tool": call.tool},
        arguments=call.arguments,
        context={},
        agent={"id": call.agent},
        run={"id": call.run or call.run_id, "step": 0},
        history=call.history,
    )


def _wordings(trial: _Trial, failed: int, *, are_whole: bool) -> Iterator[tuple[str, str]]:
    """General conditions with their explanations, best first."""
    tool = trial.cause.tool
    search = Search(trial.cause, trial.failed, trial.good, failed, are_whole=are_whole)
    for finding in islice(search.findings(), FINDINGS_TRIED):
        explanation = (
            f"Blocks {tool} when {finding.sentence}: so it was in {finding.covers} failing calls "
            f"and in none of {len(trial.good)} good ones."
        )
        yield f"{of_tool(tool)} && {finding.source}", explanation


def _remembering(cause: Call, form: Form) -> str:
    how = "all of them" if form is Form.EXACT else "as far as a condition can hold them"
    return f"Blocks {cause.tool} with the very arguments that failed, {how}."
