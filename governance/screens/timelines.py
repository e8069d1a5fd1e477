"""Everything that happened, across incidents."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from ..models import LoopEvent
from . import boards, feeds
from .pages import is_htmx, page
from .paging import newest
from .rows import told

TYPES = [
    "incident_created",
    "pattern_matched",
    "recovery_suggested",
    "recovery_applied",
    "recovery_rejected",
    "recovery_rolled_back",
    "policy_born",
    "policy_confirmed",
    "policy_redrafted",
    "policy_pending",
    "policy_active",
    "policy_suspended",
    "policy_retired",
    "prevention",
    "regret",
    "demotion",
    "routing_adjusted",
    "adjustment_ended",
    "adjustment_rolled_back",
    "waiting",
    "stopped",
    "failed",
    "dead",
    "retried",
    "reverted",
    "checkpoint_approved",
    "checkpoint_rejected",
    "checkpoint_expired",
    "loop_complete",
]


@page()
def show(request: HttpRequest) -> HttpResponse:
    """The tenant's timeline, newest first; of one type or milestones only where the address says so."""
    after = feeds.newest_place()
    type, milestones = (
        request.GET.get("type", "").replace("\x00", "")[:40],
        bool(request.GET.get("milestones")),
    )
    found = newest(request, boards.events(type, milestones=milestones), key="seq")
    events: list[LoopEvent] = found.records
    context = {
        "after": after,
        "events": told(events),
        "next": found.next,
        "type": type,
        "milestones": milestones,
        "types": TYPES,
        "stream": urlencode({"type": type, "milestones": "1" if milestones else ""}),
        "is_first": found.is_first,
    }
    return render(
        request, f"governance/{'_events' if is_htmx(request) else 'timeline'}.html", context
    )
