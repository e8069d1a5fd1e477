"""What the pages show, read once for the page and again for its live stream."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from .. import ledger
from ..models import Checkpoint, LoopEvent, LoopTrace, Settings
from ..models.story import MILESTONES
from ..story import hooks
from ..story.progress import progress, stages
from ..story.timeline import newest_trace, timeline
from . import links
from .people import names_of
from .rows import Row, named, row

HOURS = 24
MOST_LOOPS = 12
MOST_PREVENTIONS = 6
MOST_WAITING = 5
MOST_QUEUE = 200

RECORDS = ("match", "pattern", "recovery", "policy", "adjustment")


@dataclass(frozen=True, slots=True)
class Question:
    """One checkpoint in the queue, and the others that ask the same thing."""

    checkpoint: Checkpoint
    requested_by: str
    alike: int = 0


def loops() -> list[Row]:
    """The newest loops."""
    return [row(trace) for trace in LoopTrace.objects.order_by("-id")[:MOST_LOOPS]]


def preventions() -> QuerySet[LoopEvent]:
    """The latest preventions."""
    return (
        LoopEvent.objects.select_related("trace")
        .filter(type="prevention")
        .order_by("-created_at")[:MOST_PREVENTIONS]
    )


def waiting() -> list[Question]:
    """The questions to look at first."""
    return queue()[:MOST_WAITING]


def graduation() -> dict[str, Any]:
    """How far the tenant has graduated."""
    return hooks.graduation()


def settings() -> Settings:
    """What the tenant decided about its own governance."""
    return Settings.objects.get()


def story(incident_id: str) -> dict[str, Any]:
    """Everything that the story of an incident shows. Raises NoStory."""
    trace = newest_trace(incident_id)
    found = progress(trace)
    told = timeline(incident_id)
    narrative = told["narrative"]
    names = names_of(decision["by"] for decision in narrative["human_decisions"])
    return {
        "trace": trace,
        "progress": found,
        "stages": stages(trace),
        "records": _records(found["details"]),
        "reasons": hooks.reasons(found["details"].get("match_id")),
        "narrative": narrative,
        "decisions": [{**each, "by": names[each["by"]]} for each in narrative["human_decisions"]],
        "summary": told["summary"],
        "events": named(told["timeline"]),
        "asked": list(
            trace.checkpoints.filter(state=Checkpoint.State.PENDING).order_by("priority", "id")
        ),
    }


def events(type: str, *, milestones: bool) -> QuerySet[LoopEvent]:
    """The tenant's events, or those of one type, or milestones only."""
    found = LoopEvent.objects.select_related("trace")
    if type:
        return found.filter(type=type)
    return found.filter(type__in=MILESTONES) if milestones else found


def queue() -> list[Question]:
    """What waits for people, most urgent first; of those that ask the same only the first, with their number."""
    groups: Mapping[str, list[Checkpoint]] = defaultdict(list)
    for checkpoint in _pending()[:MOST_QUEUE]:
        groups[likeness(checkpoint)].append(checkpoint)
    first = [group[0] for group in groups.values()]
    names = names_of(checkpoint.requested_by for checkpoint in first)
    return [
        Question(group[0], names[group[0].requested_by], len(group) - 1)
        for group in groups.values()
    ]


def alike(checkpoint: Checkpoint) -> list[Checkpoint]:
    """The other pending checkpoints that ask the same."""
    mine = likeness(checkpoint)
    pending = _pending().filter(type=checkpoint.type).exclude(pk=checkpoint.pk)[:MOST_QUEUE]
    return [other for other in pending if likeness(other) == mine]


def likeness(checkpoint: Checkpoint) -> str:
    """What makes two questions the same: the kind of failure and what would be done about it.

    A question that names no pattern is like no other.
    """
    shown = checkpoint.shown if isinstance(checkpoint.shown, dict) else {}
    pattern = shown.get("pattern_id") or shown.get("pattern")
    if not pattern:
        return str(checkpoint.id)
    what = {name: shown.get(name) for name in ("action", "kind", "params", "condition", "tool")}
    alike: str = ledger.digest({"type": checkpoint.type, "pattern": pattern, "what": what})
    return alike


def _pending() -> QuerySet[Checkpoint]:
    found = Checkpoint.objects.select_related("trace").filter(state=Checkpoint.State.PENDING)
    return found.order_by("priority", "id")


def _records(details: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = [(kind, hooks.record(kind, details.get(f"{kind}_id"))) for kind in RECORDS]
    return [
        {
            "kind": kind,
            "name": record.get("name", ""),
            "state": record.get("state") or record.get("mode") or record.get("band") or "",
            "url": links.page_url(record["id"]),
        }
        for kind, record in found
        if record
    ]
