"""What one transaction of the loop writes down: steps, traces, events and ledger entries, by two statements.

A transaction may carry loops through several stages; everything is noted as it happens and written at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .. import ledger, redaction
from ..actors import LOOP
from ..database.trips import one_trip
from ..ids import new_id
from ..models import LoopStep, LoopTrace
from ..story import live
from . import queue
from .bridges import Ask, GoOn, Outcome, Stop, Told, Wait, Work, stage_after


@dataclass(slots=True)
class Record:
    """The notes of one transaction about loops of one tenant, all of them fenced under ``token``."""

    token: str
    tenant_id: str
    landed: int = 0
    _steps: list[dict[str, Any]] = field(default_factory=list)
    _traces: dict[str, dict[str, Any]] = field(default_factory=dict)
    _events: list[dict[str, Any]] = field(default_factory=list)
    _landings: dict[str, list[tuple[Work, Outcome]]] = field(default_factory=dict)
    _failures: list[ledger.Entry] = field(default_factory=list)
    _begun: dict[str, Work] = field(default_factory=dict)
    _asking: list[Work] = field(default_factory=list)

    def note(self, work: Work, outcome: Outcome) -> Work | None:
        """Keep what came of one step; the step that follows and may be landed next, None where there is none."""
        self.landed += 1
        facts = {**work.facts, **outcome.facts}
        self._tell(work, _story(work, outcome))
        self._landings.setdefault(work.trace_id, []).append((work, outcome))
        match outcome:
            case GoOn():
                return self._go_on(work, outcome, facts)
            case Wait():
                self._end(work, LoopStep.State.WAITING, LoopTrace.State.WAITING, outcome, facts)
                self._steps[-1]["waits_for"] = outcome.waits_for
            case Stop():
                self._end(work, LoopStep.State.FAILED, LoopTrace.State.STOPPED, outcome, facts)
            case Ask():
                facts["ask"] = {"request": outcome.request, "seconds": outcome.seconds}
                self._step(work, LoopStep.State.RUNNING, facts)
                self._steps[-1]["lease"] = outcome.seconds + queue.LEASE_SECONDS
                self._trace(work, LoopTrace.State.RUNNING)
                self._asking.append(replace(work, facts=facts, answer=None))
        return None

    def note_failure(
        self, work: Work, failures: int, most: int, cause: str, wait: float, *, counts: bool
    ) -> None:
        """Keep that a step failed: it is ready again in ``wait`` seconds, or dead with the ``most``-th that counts."""
        is_dead = counts and failures >= most
        kind = "dead" if is_dead else "failed"
        if is_dead:
            headline = f"Gave up after {failures} tries: {cause}"
        elif counts:
            headline = f"Try {failures} of {most} failed: {cause}"
        else:
            headline = f"Will be tried again: {cause}"
        details = {"stage": work.stage, "error": cause, "failures": failures}
        self._tell(work, [Told(kind, headline, "", details)])
        facts = {"stage": work.stage, "cause": cause}
        self._failures.append(
            ledger.Entry(f"loop.{kind}", work.trace_id, LOOP, facts=facts, gesture=work.gesture)
        )
        self._step(work, LoopStep.State.DEAD if is_dead else LoopStep.State.READY, work.facts)
        self._steps[-1] |= {"failures": failures, "available": wait, "error": cause}
        self._trace(work, LoopTrace.State.DEAD if is_dead else LoopTrace.State.RUNNING)

    def write(self) -> list[Work]:
        """Write all of it; the steps that this process goes on with in a transaction of their own."""
        left = [replace(work, kept={}) for work in (*self._begun.values(), *self._asking)]
        for work in list(self._begun.values()):
            self._step(work, LoopStep.State.RUNNING, work.facts)
        with one_trip():
            queue.finish(self.token, self._steps, list(self._traces.values()), self._events)
            ledger.append_all([*map(_entry, self._landings.values()), *self._failures])
        live.publish_after_commit(self.tenant_id, sorted({told["trace"] for told in self._events}))
        return left

    def _go_on(self, work: Work, outcome: GoOn, facts: dict[str, Any]) -> Work | None:
        self._step(work, LoopStep.State.DONE, facts)
        self._steps[-1]["failure_state"] = outcome.failure_state
        following = stage_after(work.stage)
        self._trace(
            work, LoopTrace.State.RUNNING if following else LoopTrace.State.COMPLETE, work.stage
        )
        if following is None:
            return None
        follower = replace(
            work,
            step_id=new_id("stp"),
            stage=following,
            facts=facts,
            attempts=1,
            answer=None,
            kept={**work.kept, **{type(each): each for each in outcome.hands_on}},
        )
        self._begun[follower.step_id] = follower
        return follower

    def _end(
        self, work: Work, state: str, trace_state: str, outcome: Wait | Stop, facts: dict[str, Any]
    ) -> None:
        self._step(work, state, facts)
        self._steps[-1]["failure_state"] = outcome.failure_state
        self._trace(work, trace_state, failure_state=outcome.failure_state)

    def _step(self, work: Work, state: str, output: dict[str, Any]) -> None:
        """A row of ``queue.finish``; a step that began in this very transaction is not in the database yet."""
        is_new = self._begun.pop(work.step_id, None) is not None
        self._steps.append(
            {
                "id": work.step_id,
                "tenant": self.tenant_id,
                "trace": work.trace_id,
                "stage": work.stage,
                "is_new": is_new,
                "state": state,
                "attempts": work.attempts,
                "failures": 0,
                "waits_for": "",
                "failure_state": "",
                "error": "",
                "output": output,
                "gesture": work.gesture,
                "lease": queue.LEASE_SECONDS,
                "available": 0.0,
            }
        )

    def _trace(self, work: Work, state: str, stage: str = "", failure_state: str = "") -> None:
        """Where the loop stands now; ``stage`` is the one that it has just finished."""
        before = self._traces.get(work.trace_id, {})
        self._traces[work.trace_id] = {
            "id": work.trace_id,
            "tenant": self.tenant_id,
            "state": state,
            "stage": stage or before.get("stage", ""),
            "failure_state": failure_state,
        }

    def _tell(self, work: Work, story: Iterable[Told]) -> None:
        self._events += [
            {
                "id": new_id("evt"),
                "tenant": self.tenant_id,
                "trace": told.trace_id or work.trace_id,
                "type": told.type,
                "stage": work.stage,
                "headline": redaction.text(told.headline)[:300],
                "subject": told.subject,
                "actor": str(LOOP),
                "gesture": work.gesture,
                "details": redaction.texts(told.details),
            }
            for told in story
        ]


def _story(work: Work, outcome: Outcome) -> Iterable[Told]:
    """The events of an outcome: the bridge's own first, then the stage's."""
    yield from outcome.events
    match outcome:
        case GoOn():
            yield Told(work.stage, outcome.headline, outcome.subject, _public(outcome))
        case Wait():
            yield Told("waiting", outcome.headline, outcome.subject, _public(outcome))
        case Stop():
            yield Told("stopped", outcome.headline, outcome.subject, _public(outcome))
        case Ask(headline=headline) if headline:
            yield Told("asked", headline, "", _public(outcome))


def _public(outcome: Outcome) -> dict[str, Any]:
    failure_state = getattr(outcome, "failure_state", "")
    return {**outcome.facts, **({"failure_state": failure_state} if failure_state else {})}


def _entry(landings: Sequence[tuple[Work, Outcome]]) -> ledger.Entry:
    """One loop's part in this transaction: its kind says how far the loop came, ``stages`` what came of each."""
    work, _ = landings[-1]
    return ledger.Entry(
        f"loop.{work.stage}",
        work.trace_id,
        LOOP,
        facts={
            "incident": work.incident_id,
            "stages": [_landed(work.stage, outcome) for work, outcome in landings],
        },
        gesture=work.gesture,
    )


def _landed(stage: str, outcome: Outcome) -> dict[str, Any]:
    said: dict[str, Any] = {"stage": stage, "outcome": type(outcome).__name__.lower()}
    if subject := getattr(outcome, "subject", ""):
        said["subject"] = subject
    if failure_state := getattr(outcome, "failure_state", ""):
        said["failure_state"] = str(failure_state)
    return said
