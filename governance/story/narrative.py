"""The story in five sentences, for who has no time for the timeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..models import LoopEvent, LoopTrace, Stage

LEARNED = (
    "pattern_matched",
    "policy_generated",
    "policy_born",
    "policy_confirmed",
    "policy_redrafted",
)
CHANGED = (
    "recovery_applied",
    "policy_active",
    "routing_adjusted",
    "prevention",
    "demotion",
    "policy_retired",
    "recovery_rolled_back",
    "reverted",
)


def narrative(trace: LoopTrace, events: Sequence[LoopEvent]) -> dict[str, Any]:
    """{what_happened, what_we_learned, what_we_changed, confidence_summary, human_decisions}; texts are plain."""
    return {
        "what_happened": _what_happened(trace, events),
        "what_we_learned": _sentences(events, LEARNED)
        or "Nothing yet: the failure has not been understood.",
        "what_we_changed": _sentences(events, CHANGED) or "Nothing yet.",
        "confidence_summary": _confidence(events),
        "human_decisions": [
            {
                "headline": event.headline,
                "by": event.actor,
                "at": event.created_at,
                "reason": event.details.get("reason", ""),
            }
            for event in events
            if event.actor.startswith("user:")
        ],
    }


def _what_happened(trace: LoopTrace, events: Sequence[LoopEvent]) -> str:
    opened = next((event for event in events if event.type == Stage.INCIDENT_CREATED), None)
    details = opened.details if opened else {}
    who = f"Agent {details['agent']} failed" if details.get("agent") else "An agent failed"
    where = f" using {details['tool']}" if details.get("tool") else ""
    return f"{who}{where}: {trace.headline}. {_state(trace)}"


def _state(trace: LoopTrace) -> str:
    why = f" ({trace.failure_state.replace('_', ' ')})" if trace.failure_state else ""
    return {
        LoopTrace.State.RUNNING: "The loop is running.",
        LoopTrace.State.WAITING: f"The loop waits{why}.",
        LoopTrace.State.COMPLETE: "The loop is complete.",
        LoopTrace.State.STOPPED: f"The loop ended early{why}.",
        LoopTrace.State.DEAD: "The loop gave up: a step failed too often.",
        LoopTrace.State.REVERTED: "What the loop did was taken back.",
    }[LoopTrace.State(trace.state)]


def _sentences(events: Sequence[LoopEvent], types: tuple[str, ...]) -> str:
    """The headlines of these types as sentences, each once, repetitions counted."""
    counted: dict[str, int] = {}
    for event in events:
        if event.type in types:
            text = event.headline.rstrip(".")
            counted[text] = counted.get(text, 0) + 1
    return " ".join(
        f"{text}{f' ({count} times)' if count > 1 else ''}." for text, count in counted.items()
    )


def _confidence(events: Sequence[LoopEvent]) -> str:
    parts = []
    for event in events:
        confidence = event.details.get("confidence")
        if event.type == Stage.PATTERN_MATCHED and isinstance(confidence, int | float):
            parts.append(f"The match is {event.details.get('band', 'novel')} at {confidence:.0%}.")
        elif event.type in ("policy_born", "policy_active") and isinstance(confidence, int | float):
            parts.append(
                f"The policy's confidence was {confidence:.0%} when it was {event.type.split('_')[1]}."
            )
    return " ".join(parts) or "There is no figure yet."
