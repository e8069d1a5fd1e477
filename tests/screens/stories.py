"""Loops in any state, written as they would stand, so that a page can be looked at without running them."""

from __future__ import annotations

from typing import Any

from governance import checkpoints
from governance.actors import LOOP
from governance.models import Checkpoint, LoopStep, LoopTrace, Stage
from governance.story.events import tell

from .. import factories

STAGES = list(Stage)


def loop(message: str = "no such column: custmer_id", *, done: int = 0, **stands: Any) -> LoopTrace:
    """A loop whose first ``done`` bridges are crossed; ``state`` and ``step`` say how it and the next one stand."""
    trace = factories.report(message, **stands.pop("incident", {})).trace
    LoopStep.objects.filter(trace=trace).delete()
    for stage in STAGES[1 : done + 1]:
        LoopStep.objects.create(trace=trace, stage=stage, state=LoopStep.State.DONE, attempts=1)
        tell(trace.id, stage, f"{stage} has come true", actor=LOOP, stage=stage)
    if step := stands.pop("step", ""):
        LoopStep.objects.create(
            trace=trace,
            stage=STAGES[done + 1],
            state=step,
            attempts=5,
            error=stands.pop("error", ""),
        )
    trace.stage, trace.state = STAGES[done], stands.pop("state", LoopTrace.State.RUNNING)
    trace.failure_state = stands.pop("failure_state", "")
    trace.save()
    return trace


def question(
    trace: LoopTrace, title: str = "Cap the amount at the fare", **shown: Any
) -> Checkpoint:
    """A question of the loop that waits for a person; nothing happens but the decision itself."""
    shown = {"pattern_id": "pat_payments", "kind": "parameter_cap", "tool": "take_payment", **shown}
    return checkpoints.ask(
        Checkpoint.Type.SIMULATE_ROUTING,
        subject=trace.incident_id,
        title=title,
        shown=shown,
        requested_by=LOOP,
        trace_id=trace.id,
    )
