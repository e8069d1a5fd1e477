"""Incidents as stories: the list, one story live, and what people may do with it."""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from .. import revert as reverting
from ..access.matrix import RETRY, REVERT
from ..loop import verbs as loop
from ..models import FailureState, LoopTrace, Stage
from ..refusals import Refusal
from ..story import hooks
from ..story.timeline import NoStory, newest_trace
from . import boards, feeds, links
from .pages import is_htmx, page, refuse
from .paging import newest
from .people import actor_of, is_looked_at, person_of
from .rows import row

SEARCHED = 5_000
"""A text is looked for in so many of the newest stories: no index can help a search inside a text."""

FILTERS = {"state": LoopTrace.State, "stage": Stage, "failure_state": FailureState}


@page()
def index(request: HttpRequest) -> HttpResponse:
    """The incidents, newest first, filtered by the address."""
    after = feeds.newest_place()
    found = newest(request, _filtered(request))
    context = {
        "after": after,
        "rows": [row(trace) for trace in found.records],
        "next": found.next,
        "filters": {name: request.GET.get(name, "") for name in (*FILTERS, "q")},
        "choices": FILTERS,
        "is_empty": not found.records and not LoopTrace.objects.exists(),
    }
    return render(
        request, f"governance/{'_loops' if is_htmx(request) else 'incidents'}.html", context
    )


@page()
def show(request: HttpRequest, incident_id: str) -> HttpResponse:
    """The story of one incident."""
    after = feeds.newest_place()
    try:
        board = boards.story(incident_id)
    except NoStory as error:
        raise Http404(f"There is no incident {incident_id}.") from error
    if is_looked_at(request):
        hooks.timeline_opened(person_of(request), incident_id)
    return render(request, "governance/story.html", {**board, "after": after})


@page(RETRY, methods=("GET", "POST"))
def retry(request: HttpRequest, incident_id: str, stage: str) -> HttpResponse:
    """Try a stage again; one click is enough, a reason may be given."""
    return _act(
        request,
        incident_id,
        title=f"Try {stage.replace('_', ' ')} again",
        text="The stage runs again from what the earlier ones found.",
        verb=lambda trace, reason: loop.retry(trace, stage, actor=actor_of(request), reason=reason),
    )


@page(REVERT, methods=("GET", "POST"))
def revert(request: HttpRequest, incident_id: str) -> HttpResponse:
    """Ask that what only this loop caused be taken back; asks why, and somebody else approves."""
    return _act(
        request,
        incident_id,
        title="Take this loop back",
        text="What only this loop caused is withdrawn: its recovery, its policy, its adjustment. "
        "A policy that other incidents also support stays, without this one's evidence. Somebody else must approve.",
        verb=lambda trace, reason: reverting.ask_revert(
            trace, actor=actor_of(request), reason=reason
        ),
        needs_reason=True,
    )


Verb = Callable[[LoopTrace, str], object]


def _act(
    request: HttpRequest,
    incident_id: str,
    *,
    title: str,
    text: str,
    verb: Verb,
    needs_reason: bool = False,
) -> HttpResponse:
    """Ask why, then do it: a GET shows the question, a POST carries the answer."""
    try:
        trace = newest_trace(incident_id)
    except NoStory as error:
        raise Http404(f"There is no incident {incident_id}.") from error
    reason = request.POST.get("reason", "").strip()
    asked = {"title": title, "text": text, "trace": trace, "needs_reason": needs_reason}
    if request.method != "POST":
        return render(request, "governance/reason.html", asked)
    if needs_reason and not reason:
        return render(request, "governance/reason.html", {**asked, "error": "Say why."}, status=400)
    try:
        with transaction.atomic():
            verb(trace, reason)
    except Refusal as refusal:
        return refuse(request, "That was not done", str(refusal), status=refusal.status)
    if is_htmx(request):
        return render(request, "governance/_progress.html", boards.story(incident_id))
    return redirect(links.story_url(incident_id))


def _filtered(request: HttpRequest) -> QuerySet[LoopTrace]:
    found = LoopTrace.objects.all()
    for name, choices in FILTERS.items():
        if (value := request.GET.get(name, "")) in choices.values:
            found = found.filter(**{name: value})
    if text := request.GET.get("q", "").replace("\x00", "").strip()[:200]:
        recent = LoopTrace.objects.order_by("-id").values("id")[:SEARCHED]
        found = found.filter(id__in=recent, headline__icontains=text)
    return found
