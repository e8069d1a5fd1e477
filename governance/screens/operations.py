"""The page of operations: what holds for all agents, and turning it on and off with a reason."""

from __future__ import annotations

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from ..access.matrix import OVERSEE, STOP_AGENTS
from ..actors import Actor
from ..models import Agent
from ..modes.degrading import set_degraded
from ..modes.stopping import let_go_on, stop
from ..refusals import Conflict, Refusal
from .pages import is_htmx, page, refuse
from .people import actor_of
from .standing import standing


class UnknownName(Conflict):
    """No agent of the tenant has this name."""

    status = 404


@page(OVERSEE)
def index(request: HttpRequest) -> HttpResponse:
    """The modes, who turned them and why."""
    return render(request, "governance/operations.html")


@page(STOP_AGENTS, methods=("POST",))
def turn(request: HttpRequest, mode: str, to: str) -> HttpResponse:
    """Turn a mode on or off: agent-stop or degraded."""
    actor, reason = actor_of(request), request.POST.get("reason", "")
    try:
        with transaction.atomic():
            if mode == "degraded":
                set_degraded(on=to == "on", actor=actor, reason=reason)
            else:
                _turn_stop(request.POST.get("agent"), on=to == "on", actor=actor, reason=reason)
    except Refusal as refusal:
        return refused(request, refusal)
    return turned(request)


def turned(request: HttpRequest) -> HttpResponse:
    """How it stands now: the part of the page for HTMX, the whole page for a browser without scripts."""
    if not is_htmx(request):
        return redirect("console:operations")
    return render(request, "governance/_modes.html", _now(request))


def refused(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    """Say why it was not done, beside how it stands."""
    if not is_htmx(request):
        return refuse(request, "That was not done", str(refusal), status=refusal.status)
    context = {**_now(request), "refused": str(refusal)}
    return render(request, "governance/_modes.html", context, status=refusal.status)


def _turn_stop(name: str | None, *, on: bool, actor: Actor, reason: str) -> None:
    agent = None
    if name is not None:
        agent = Agent.objects.filter(name=name.replace("\x00", "")).first()
        if agent is None:
            raise UnknownName(f"No agent is known as {name!r}.")
    (stop if on else let_go_on)(agent, actor=actor, reason=reason)


def _now(request: HttpRequest) -> dict[str, object]:
    # Read anew: a page's own copy may be older than what was just done.
    return {"standing": standing(request.membership)}  # type: ignore[attr-defined]
