"""Calibrations as pages: predicted confidence against what was confirmed, and people's hands on the thresholds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import F, Max
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from catalog.models import Pattern, PatternMatch
from governance.access.matrix import CURATE
from governance.refusals import Refusal
from governance.screens.pages import page, refuse
from governance.screens.people import actor_of, names_of
from policies.models import Calibration, MatchVerdict
from policies.services import calibrations

SIZE = 200
"""Units of the plot's width and height; half of a confidence from 0.5 to 1."""
FROM = 0.5
MOST_LISTED = 50
MOST_MATCHES = 20

CHANGES: dict[str, Callable[..., Calibration]] = {
    "freeze": calibrations.freeze,
    "thaw": calibrations.thaw,
    "revert": calibrations.revert,
}


@dataclass(frozen=True, slots=True)
class Dot:
    """One bin in the plot, in its units; y grows downwards."""

    x: float
    y: float
    low: float
    high: float
    radius: float
    text: str


@page()
def index(request: HttpRequest) -> HttpResponse:
    """The patterns whose thresholds were changed or frozen, the latest first."""
    latest = Calibration.objects.values("pattern_id").annotate(last=Max("id")).order_by("-last")
    ids = [row["last"] for row in latest[:MOST_LISTED]]
    rows = Calibration.objects.filter(id__in=ids).select_related("pattern").order_by("-id")
    return render(request, "policies/calibrations.html", {"rows": rows})


@page()
def show(request: HttpRequest, pattern_id: str) -> HttpResponse:
    """One pattern: its plot, its thresholds, their history, and the matches that a person could judge."""
    pattern = _locate(pattern_id)
    status = calibrations.status(pattern)
    mine = MatchVerdict.objects.filter(actor=str(actor_of(request))).values("match_id")
    open_to_me = PatternMatch.objects.filter(pattern=pattern, is_new=False, confidence__lt=1.0)
    names = names_of(each["actor"] for each in status["history"])
    context = {
        "pattern": pattern,
        "status": status,
        "dots": [_dot(each) for each in status["bins"]],
        "lines": {
            "strong": _x(pattern.strong_above),
            "weak": _x(pattern.weak_from),
        },
        "size": SIZE,
        "history": [{**each, "by": names[each["actor"]]} for each in status["history"]],
        "matches": open_to_me.exclude(id__in=mine)
        .exclude(incident__simulated=True)
        .select_related("incident")
        .order_by("-id")[:MOST_MATCHES],
        "can_revert": pattern.calibrations.exclude(
            strong_above=F("strong_before"), weak_from=F("weak_before")
        ).exists(),
    }
    return render(request, "policies/calibration.html", context)


@page(CURATE, methods=("POST",))
def change(request: HttpRequest, pattern_id: str, verb: str) -> HttpResponse:
    """Freeze, thaw or take back, with the reason."""
    pattern = _locate(pattern_id)
    reason = request.POST.get("reason", "")[:2_000]
    return _done(
        request, pattern, lambda: CHANGES[verb](pattern, actor=actor_of(request), reason=reason)
    )


@page(CURATE, methods=("POST",))
def judge(
    request: HttpRequest, pattern_id: str, patternmatch_id: str, verdict: str
) -> HttpResponse:
    """Say whether an incident really was of this pattern."""
    pattern = _locate(pattern_id)
    match = PatternMatch.objects.filter(pattern=pattern, pk=patternmatch_id).first()
    if match is None:
        raise Http404("There is no such match.")
    reason = request.POST.get("reason", "")[:2_000]
    return _done(
        request,
        pattern,
        lambda: calibrations.judge(
            match, is_right=verdict == "right", actor=actor_of(request), reason=reason
        ),
    )


def _done(request: HttpRequest, pattern: Pattern, act: Callable[[], object]) -> HttpResponse:
    try:
        with transaction.atomic():
            act()
    except Refusal as refusal:
        return refuse(request, "That was not done", str(refusal), status=refusal.status)
    return redirect("policies:calibration", pattern.id)


def _locate(pattern_id: str) -> Pattern:
    found: Pattern | None = Pattern.objects.filter(pk=pattern_id).first()
    if found is None:
        raise Http404("There is no such pattern.")
    return found


def _dot(each: dict[str, Any]) -> Dot:
    return Dot(
        _x(each["predicted"]),
        _y(each["confirmed"]),
        _y(each["low"]),
        _y(each["high"]),
        min(9.0, 3.0 + each["count"] ** 0.5),
        f"{each['count']} matches of {each['start']:.2f} to {each['end']:.2f}:"
        f" predicted {each['predicted']:.0%}, confirmed {each['confirmed']:.0%}",
    )


def _x(confidence: float) -> float:
    return round((max(FROM, confidence) - FROM) / (1 - FROM) * SIZE, 1)


def _y(share: float) -> float:
    return round((1 - share) * SIZE, 1)
