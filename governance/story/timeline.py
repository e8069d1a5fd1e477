"""The timeline of one incident: everything that happened because of it, in order."""

from __future__ import annotations

from typing import Any

from ..models import LoopEvent, LoopTrace
from . import places
from .narrative import narrative

MOST_EVENTS = 500


class NoStory(LookupError):
    """There is no such incident in this tenant."""


def newest_trace(incident_id: str) -> LoopTrace:
    """The loop of an incident that counts, of its latest generation. Raises NoStory."""
    trace = LoopTrace.objects.filter(incident_id=incident_id).order_by("-generation").first()
    if trace is None:
        raise NoStory(incident_id)
    return trace


def events_of(incident_id: str) -> list[LoopEvent]:
    """The events of all generations of an incident's loop: the first ones and the latest, 500 at most."""
    events = LoopEvent.objects.filter(trace__incident_id=incident_id)
    first = list(events.order_by("seq")[: MOST_EVENTS // 2])
    if len(first) < MOST_EVENTS // 2:
        return first
    latest = list(events.filter(seq__gt=first[-1].seq).order_by("-seq")[: MOST_EVENTS // 2])
    return first + latest[::-1]


def timeline(incident_id: str, gesture: str = "") -> dict[str, Any]:
    """The timeline, its summary and the narrative, in the words of the API. Raises NoStory.

    With a ``gesture`` only the events that it caused are listed; summary and narrative are of the whole story.
    """
    trace = newest_trace(incident_id)
    events = events_of(incident_id)
    types = {event.type for event in events if not event.simulated}
    return {
        "incident_id": incident_id,
        "timeline": [entry(event) for event in events if gesture in ("", event.gesture)],
        "summary": {
            "event_count": LoopEvent.objects.filter(trace__incident_id=incident_id).count(),
            "has_prevention": "prevention" in types,
            # A failed, a policy was born of it, and B was prevented: all on one page.
            "is_learning_proof": {"incident_created", "policy_born", "prevention"} <= types,
        },
        "narrative": narrative(trace, events),
    }


def entry(event: LoopEvent) -> dict[str, Any]:
    """One event in the words of the API."""
    return {
        "id": event.id,
        "place": places.shown(event.tenant_id, event.seq),
        "type": event.type,
        "stage": event.stage or None,
        "timestamp": event.created_at,
        "headline": event.headline,
        "is_milestone": event.is_milestone,
        "subject": event.subject or None,
        "actor": event.actor,
        "gesture": event.gesture or None,
        "simulated": event.simulated,
        "details": event.details,
    }
