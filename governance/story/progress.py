"""Where a loop is."""

from __future__ import annotations

from typing import Any

from ..models import LoopStep, LoopTrace, Stage

# What people follow. The last step of a loop, loop_complete, only closes the story.
STAGES = (
    Stage.INCIDENT_CREATED,
    Stage.PATTERN_MATCHED,
    Stage.RECOVERY_SUGGESTED,
    Stage.POLICY_GENERATED,
    Stage.ROUTING_ADJUSTED,
)


def progress(trace: LoopTrace) -> dict[str, Any]:
    """The loop's progress, in the words of the API."""
    steps = list(trace.steps.all())
    done = _completed(steps)
    return {
        "incident_id": trace.incident_id,
        "trace_id": trace.id,
        "generation": trace.generation,
        "current_stage": trace.stage,
        "stages_completed": done,
        "total_stages": len(STAGES),
        "completion_pct": round(100 * len(done) / len(STAGES)),
        "state": trace.state,
        "failure_state": trace.failure_state or None,
        "is_complete": trace.state == LoopTrace.State.COMPLETE,
        "details": details(steps),
        "started_at": trace.started_at,
        "ended_at": trace.ended_at,
    }


def stages(trace: LoopTrace) -> list[dict[str, Any]]:
    """Every stage in order, also those that are still to come (state ``pending``)."""
    steps = {step.stage: step for step in trace.steps.all()}
    told = {
        event.stage: event.headline
        for event in trace.events.filter(stage__in=[*STAGES, Stage.LOOP_COMPLETE])
    }
    rows = [
        {
            **_PENDING,
            "stage": STAGES[0],
            "state": LoopStep.State.DONE,
            "finished_at": trace.started_at,
        },
        *(_stage(stage, steps.get(stage)) for stage in STAGES[1:]),
    ]
    return [{**row, "headline": told.get(row["stage"], "")} for row in rows]


def details(steps: list[LoopStep]) -> dict[str, Any]:
    """What the bridges found so far, ids mostly: the facts of the step that came furthest."""
    order = {stage: place for place, stage in enumerate(Stage.values)}
    furthest = max(steps, key=lambda step: order[step.stage], default=None)
    return (
        {name: value for name, value in furthest.output.items() if name != "ask"}
        if furthest
        else {}
    )


def _completed(steps: list[LoopStep]) -> list[str]:
    done = {step.stage for step in steps if step.state == LoopStep.State.DONE} | {
        Stage.INCIDENT_CREATED
    }
    return [stage.value for stage in STAGES if stage in done]


_PENDING: dict[str, Any] = {
    "step_id": None,
    "state": "pending",
    "failure_state": None,
    "waits_for": None,
    "attempts": 0,
    "error": None,
    "finished_at": None,
    "can_retry": False,
}


def _stage(stage: str, step: LoopStep | None) -> dict[str, Any]:
    if step is None:
        return {**_PENDING, "stage": stage}
    return {
        "stage": stage,
        "step_id": step.id,
        "state": step.state,
        "failure_state": step.failure_state or None,
        "waits_for": step.waits_for or None,
        "attempts": step.attempts,
        "error": step.error or None,
        "finished_at": step.finished_at,
        "can_retry": step.state in (LoopStep.State.FAILED, LoopStep.State.DEAD),
    }
