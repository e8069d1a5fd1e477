"""The queue of questions to people, and their answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from .. import checkpoints
from ..access.matrix import DECIDE
from ..actors import Actor
from ..models import Checkpoint
from ..refusals import Refusal
from . import boards, feeds
from .pages import is_htmx, page, refuse
from .paging import newest
from .people import actor_of, names_of

CHOICES = {"approve": True, "reject": False}


@dataclass
class Result:
    """What came of one click: who was decided, and what could not be, with the reason."""

    decided: list[Checkpoint] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


@page()
def index(request: HttpRequest) -> HttpResponse:
    """What waits, most urgent first, and what was decided lately."""
    after = feeds.newest_place()
    closed = newest(request, Checkpoint.objects.exclude(state=Checkpoint.State.PENDING))
    context = {
        "after": after,
        "queue": boards.queue(),
        "closed": closed.records,
        "next": closed.next,
        "names": names_of(
            checkpoint.decided_by for checkpoint in closed.records if checkpoint.decided_by
        ),
    }
    return render(request, "governance/checkpoints.html", context)


@page()
def show(request: HttpRequest, checkpoint_id: str) -> HttpResponse:
    """One question, exactly as it will be decided."""
    return _one(request, _locate(checkpoint_id))


@page(DECIDE, methods=("POST",))
def decide(request: HttpRequest, checkpoint_id: str, choice: str) -> HttpResponse:
    """Approve or reject, and the others that ask the same where the person said so: each by itself."""
    checkpoint = _locate(checkpoint_id)
    others = boards.alike(checkpoint) if request.POST.get("also") else []
    actor, reason = actor_of(request), request.POST.get("reason", "").strip()
    try:
        _decide(checkpoint, choice, actor, request.POST.get("digest", ""), reason)
    except Refusal as refusal:
        return _refused(request, checkpoint, refusal)
    result = Result(decided=[checkpoint])
    for other in others:
        try:
            _decide(other, choice, actor, other.digest, reason)
            result.decided.append(other)
        except Refusal as refusal:
            result.refused.append(f"{other.title}: {refusal}")
    if is_htmx(request):
        return render(
            request, "governance/_decided.html", _context(request, checkpoint, result=result)
        )
    return redirect("console:checkpoints")


def _decide(checkpoint: Checkpoint, choice: str, actor: Actor, digest: str, reason: str) -> None:
    with transaction.atomic():
        checkpoints.decide(
            checkpoint, approve=CHOICES[choice], actor=actor, digest=digest, reason=reason
        )


def _refused(request: HttpRequest, checkpoint: Checkpoint, refusal: Refusal) -> HttpResponse:
    """Say why not; the loser of a race is told who was first."""
    checkpoint.refresh_from_db()
    if is_htmx(request):
        context = _context(request, checkpoint, error=str(_told(refusal)))
        return render(request, "governance/_decided.html", context, status=refusal.status)
    return refuse(request, "That was not decided", str(_told(refusal)), status=refusal.status)


def _told(refusal: Refusal) -> str:
    """The refusal in words, with the first decider's name in place of his number."""
    if isinstance(refusal, checkpoints.AlreadyDecided) and (by := refusal.checkpoint.decided_by):
        return f"{names_of([by])[by]} was first: it is {refusal.checkpoint.state} already."
    return str(refusal)


def _one(request: HttpRequest, checkpoint: Checkpoint) -> HttpResponse:
    return render(request, "governance/checkpoint.html", _context(request, checkpoint))


def _context(request: HttpRequest, checkpoint: Checkpoint, **more: object) -> dict[str, object]:
    names = names_of([checkpoint.requested_by, checkpoint.decided_by])
    return {
        "question": boards.Question(
            checkpoint, names[checkpoint.requested_by], len(boards.alike(checkpoint))
        ),
        "decided_by": names[checkpoint.decided_by],
        **more,
    }


def _locate(checkpoint_id: str) -> Checkpoint:
    found = (
        Checkpoint.objects.select_related("trace")
        .filter(pk=checkpoint_id.replace("\x00", ""))
        .first()
    )
    if found is None:
        raise Http404("There is no such checkpoint.")
    return found
