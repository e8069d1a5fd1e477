"""Patterns as people read them: the list, and all that is known of one kind of failure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from catalog import services
from catalog.admin import taught_of
from catalog.models import Pattern, PatternMatch
from catalog.rules import taxonomy
from catalog.rules.occurrences import Day, Regression
from catalog.rules.templates import parts_of
from governance import redaction
from governance.access.matrix import CURATE
from governance.refusals import Refusal
from governance.screens.pages import is_htmx, page, refuse
from governance.screens.paging import Slice, ranked
from governance.screens.people import actor_of
from governance.story import hooks

SEARCHED = 5_000
"""A text is looked for in so many of the newest patterns: no index can help a search inside a text."""

COUNTED = 1_000
"""Occurrences that the list counts and sorts by; above it says so."""

DAYS = 30
MOST_MATCHES = 8
MOST_TAUGHT = 8
MOST_NAMED = 12

# The plot, in its own units: a bar for each day.
WIDTH, HEIGHT, STEP, BAR = 300, 80, 10, 7

SORTS = {"seen": "last seen", "occurrences": "occurrences"}
LONGEST = 200


@dataclass(frozen=True, slots=True)
class Bar:
    """One day in the plot, in its units; y grows downwards."""

    x: float
    y: float
    height: float
    text: str
    is_back: bool


@page()
def index(request: HttpRequest) -> HttpResponse:
    """The kinds of failure that are known, filtered and sorted by the address."""
    found = _sorted(request, _filtered(request))
    filters = {name: request.GET.get(name, "") for name in ("q", "tool", "error_type", "sort")}
    context = {
        "rows": found.records,
        "next": found.next,
        "filters": filters,
        "sorts": SORTS,
        "counted": COUNTED,
        "is_empty": not found.records and not Pattern.objects.exists(),
    }
    template = "catalog/_patterns.html" if is_htmx(request) else "catalog/patterns.html"
    return render(request, template, context)


@page()
def show(request: HttpRequest, pattern_id: str) -> HttpResponse:
    """One kind of failure: what it says, when and whom it hit, why its incidents are of it, and what came of it."""
    return _shown(request, _locate(pattern_id))


@page(CURATE, methods=("POST",))
def rename(request: HttpRequest, pattern_id: str) -> HttpResponse:
    """Give a pattern a name that says more."""
    pattern = _locate(pattern_id)
    name, reason = request.POST.get("name", ""), request.POST.get("reason", "")[:2_000]
    try:
        with transaction.atomic():
            services.rename(pattern, name, actor=actor_of(request), reason=reason)
    except Refusal as refusal:
        return refuse(request, "That was not done", str(refusal), status=refusal.status)
    return redirect("catalog:pattern", pattern.id)


def _shown(request: HttpRequest, pattern: Pattern) -> HttpResponse:
    now = timezone.now()
    affected, days = services.affected_by(pattern), services.per_day(pattern, DAYS, now)
    matches = PatternMatch.objects.of(pattern).select_related("incident__agent", "pattern")
    latest = list(matches.order_by("-id")[:MOST_MATCHES])
    context: dict[str, Any] = {
        "pattern": pattern,
        "members": Pattern.objects.filter(id__any=pattern.members).order_by("id"),
        "silenced": services.count_silenced(pattern),
        "is_silenced": bool(services.silenced_of([pattern.id])),
        "taught": taught_of(pattern, MOST_TAUGHT),
        "parts": parts_of(redaction.text(pattern.template)),
        "taxonomy": taxonomy(pattern.error_type, pattern.template),
        "affected": affected,
        "agents": affected.agents[:MOST_NAMED],
        "tools": affected.tools[:MOST_NAMED],
        "unnamed": max(0, len(affected.agents) - MOST_NAMED),
        "looked_at": services.LOOKED_AT,
        "days": days,
        "bars": _bars(days.days, affected.regression),
        "most": max((each.count for each in days.days), default=0),
        "plot": {"width": WIDTH, "height": HEIGHT, "bar": BAR, "floor": HEIGHT + 11},
        "matches": services.reasons_of(latest),
        "similar": services.similar_to(pattern),
        "came": hooks.came_of(pattern.id),
        "signatures": pattern.signatures.filter(successor="").order_by("-id")[:MOST_MATCHES],
    }
    return render(request, "catalog/pattern.html", context)


def _locate(pattern_id: str) -> Pattern:
    found: Pattern | None = (
        Pattern.objects.with_occurrences().select_related("root").filter(pk=pattern_id).first()
    )
    if found is None:
        raise Http404("There is no such pattern.")
    return found


def _filtered(request: HttpRequest) -> QuerySet[Pattern]:
    # What was merged into another pattern is told with that one.
    found = Pattern.objects.roots()
    for name in ("tool", "error_type"):
        if value := _said(request, name):
            found = found.filter(**{name: value})
    if text := _said(request, "q"):
        recent = Pattern.objects.order_by("-id").values("id")[:SEARCHED]
        found = found.filter(id__in=recent, name__icontains=text)
    return found


def _sorted(request: HttpRequest, found: QuerySet[Pattern]) -> Slice[Pattern]:
    """Both ranks are there for every row, so that the list can say them."""
    found = found.with_times().with_last_match().seen_up_to(COUNTED + 1)  # type: ignore[attr-defined]
    if request.GET.get("sort", "") == "occurrences":
        return ranked(request, found, "seen", read=_count)
    return ranked(request, found, "last_match")


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > len(str(COUNTED)):
        raise ValueError(text)
    return int(text)


def _said(request: HttpRequest, name: str) -> str:
    return request.GET.get(name, "").replace("\x00", "").strip()[:LONGEST]


def _bars(days: Sequence[Day], back: Regression | None) -> list[Bar]:
    """A bar for each day, the highest as high as the plot."""
    most = max((each.count for each in days), default=0)
    returned = back.came_back_at.date() if back else None
    return [
        Bar(
            x=number * STEP + (STEP - BAR) / 2,
            y=round(HEIGHT - height, 1),
            height=height,
            text=f"{each.day:%d %b}: {each.count}",
            is_back=each.day == returned,
        )
        for number, each in enumerate(days)
        for height in [round(each.count / most * HEIGHT, 1) if most else 0.0]
    ]
