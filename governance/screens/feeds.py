"""What an open page follows: read what is new, answer with the fragments that changed.

A fragment is the page's own, and its root has an id: the browser replaces the element of that id, or puts a new
one where its ``data-into`` says. Sending one twice therefore changes nothing, which is what makes replay simple.
Everything here is synchronous and runs inside the tenant's scope.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db.models import Max, QuerySet
from django.db.models.functions import Now
from django.template.loader import render_to_string

from ..database.tenancy import required_tenant
from ..models import LoopEvent, LoopTrace, Membership
from ..story import places
from ..story.stats import stats
from . import boards
from .context import waiting_count
from .people import rights_of
from .rows import row, told
from .standing import mark_of, standing

LOOK_BACK_SECONDS = 5.0
"""Numbers are given when an event is written and seen when it commits: an earlier number may appear later."""

MOST_STORY = 500
MOST_TENANT = 60
COSTLY_SECONDS = 5.0
"""Figures over a whole day are counted anew at most this often for one open page."""


@dataclass
class Seen:
    """What one open page has been sent."""

    after: int
    most: int = MOST_TENANT
    floor: int | None = None
    sent: set[int] = field(default_factory=set)
    marks: deque[tuple[float, int]] = field(default_factory=deque)
    digests: dict[str, int] = field(default_factory=dict)
    counted_at: float = 0.0
    owes_counts: bool = False

    def fresh(self, events: QuerySet[LoopEvent]) -> list[LoopEvent]:
        """The events not sent yet, oldest first; of a burst only the newest ``most``."""
        if self.floor is None:
            self.floor = self._committed(events)
        found = list(
            events.select_related("trace").filter(seq__gt=self.floor).order_by("-seq")[: self.most]
        )
        new = [event for event in reversed(found) if event.seq not in self.sent]
        self.sent = {event.seq for event in found}
        self.after = max([self.after, *self.sent])
        self._raise_floor()
        return new

    def changed(self, name: str, html: str) -> bool:
        """Whether a fragment differs from what was last sent under this name."""
        known = self.digests.get(name)
        self.digests[name] = hash(html)
        return known != self.digests[name]

    def _committed(self, events: QuerySet[LoopEvent]) -> int:
        """The last number below which nothing can appear any more, as far as this page goes."""
        old = events.filter(
            seq__lte=self.after, created_at__lt=Now() - timedelta(seconds=LOOK_BACK_SECONDS)
        )
        return old.order_by("-seq").values_list("seq", flat=True).first() or 0

    def _raise_floor(self) -> None:
        now = time.monotonic()
        self.marks.append((now, self.after))
        while self.marks and now - self.marks[0][0] > LOOK_BACK_SECONDS:
            self.floor = self.marks.popleft()[1]


Read = Callable[[Seen, Membership], list[str]]


def newest_seq() -> int:
    """The number of the tenant's newest event: where a page that was just rendered goes on from."""
    return LoopEvent.objects.aggregate(last=Max("seq"))["last"] or 0


def newest_place() -> str:
    """The same in the form in which the page may say it."""
    return places.shown(required_tenant(), newest_seq())


def story(incident_id: str) -> Read:
    """Follow one incident: its progress, its narrative, its events."""

    def read(seen: Seen, membership: Membership) -> list[str]:
        seen.most = MOST_STORY
        new = seen.fresh(LoopEvent.objects.filter(trace__incident_id=incident_id))
        if not new:
            return []
        board = {**boards.story(incident_id), **_viewer(membership)}
        return [
            *(_draw("_event", event=event, into="events", place="end") for event in told(new)),
            _draw("_progress", **board),
            _draw("_narrative", **board),
            _draw("_reasons", **board),
        ]

    return read


def dashboard(seen: Seen, membership: Membership) -> list[str]:
    """Follow the tenant: its loops, what waits for people, what was prevented, the day's figures."""
    new = seen.fresh(LoopEvent.objects.all())
    fragments = [
        *_loops(new, into="loops"),
        *(
            _draw("_prevention", event=event, into="preventions", place="start")
            for event in told(event for event in new if event.type == "prevention")
        ),
    ]
    if new:
        fragments += _changed(seen, membership, "_waiting", waiting=boards.waiting())
        fragments += _badge(seen)
    return fragments + _counts(seen, membership, moved=bool(new))


def loops(seen: Seen, membership: Membership) -> list[str]:
    """Follow the loops that a list shows; those it does not show stay out of it."""
    new = seen.fresh(LoopEvent.objects.all())
    return [*_loops(new, into=""), *(_badge(seen) if new else [])]


def timeline(type: str, *, milestones: bool) -> Read:
    """Follow every event, or those of one type, or milestones only."""

    def read(seen: Seen, membership: Membership) -> list[str]:
        new = seen.fresh(boards.events(type, milestones=milestones))
        rows = [
            _draw("_event", event=event, into="events", place="start", across=True)
            for event in told(new)
        ]
        return [*rows, *(_badge(seen) if new else [])]

    return read


def checkpoints(seen: Seen, membership: Membership) -> list[str]:
    """Follow the queue of checkpoints."""
    if not seen.fresh(LoopEvent.objects.all()):
        return []
    return [*_changed(seen, membership, "_queue", queue=boards.queue()), *_badge(seen)]


def state(seen: Seen, membership: Membership) -> list[str]:
    """What every open page follows: the product's state."""
    return _changed(seen, membership, "_state", standing=standing(membership))


def operations(seen: Seen, membership: Membership) -> list[str]:
    """Follow the modes: ``seen.after`` is the mark of what the page shows, for there are no events to count."""
    found = standing(membership)
    mark = mark_of(found["product"])
    if mark == seen.after:
        return []
    seen.after = mark
    me = f"user:{membership.user_id}"
    return [_draw("_modes", standing=found, me=me, **_viewer(membership))]


def nothing(seen: Seen, membership: Membership) -> list[str]:
    """A page that follows the product's state and nothing else."""
    return []


def _loops(events: Iterable[LoopEvent], *, into: str) -> list[str]:
    traces = {event.trace_id: event.trace for event in events}
    return [
        _draw("_loop", row=row(trace), into=into, place="start")
        for trace in _newest_of(traces.values())
    ]


def _newest_of(traces: Iterable[LoopTrace]) -> list[LoopTrace]:
    return sorted(traces, key=lambda trace: trace.id)


def _counts(seen: Seen, membership: Membership, *, moved: bool) -> list[str]:
    seen.owes_counts = seen.owes_counts or moved
    now = time.monotonic()
    if not seen.owes_counts or now - seen.counted_at < COSTLY_SECONDS:
        return []
    seen.counted_at, seen.owes_counts = now, False
    return [
        *_changed(seen, membership, "_counters", figures=stats(boards.HOURS)),
        *_changed(seen, membership, "_graduation", graduation=boards.graduation()),
    ]


def _badge(seen: Seen) -> list[str]:
    html = _draw("_badge", waiting_count=waiting_count())
    return [html] if seen.changed("_badge", html) else []


def _changed(seen: Seen, membership: Membership, name: str, **context: Any) -> list[str]:
    html = _draw(name, **context, **_viewer(membership))
    return [html] if seen.changed(name, html) else []


def _viewer(membership: Membership) -> dict[str, Any]:
    return {"membership": membership, "may": rights_of(membership)}


def _draw(name: str, **context: Any) -> str:
    return render_to_string(f"governance/{name}.html", context)
