"""The page of operations: what holds for all agents, and turning it on and off with a reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from ..access.matrix import BYPASS, GOVERN_AGAIN, OVERSEE, STOP_AGENTS
from ..actors import Actor
from ..database.tenancy import required_tenant
from ..models import Bypass
from ..modes import bypassing
from ..modes.degrading import set_degraded
from ..modes.stopping import let_go_on, named, stop
from ..refusals import Refusal
from ..story import places
from .pages import is_htmx, page, refuse
from .people import actor_of
from .standing import mark_of, standing
from .switches import all_lines


@page(OVERSEE)
def index(request: HttpRequest) -> HttpResponse:
    """The modes, who turned them and why."""
    found = _now(request)
    context = {
        **found,
        "after": places.shown(required_tenant(), mark_of(found["standing"]["product"])),
        "lines": all_lines(),
    }
    return render(request, "governance/operations.html", context)


@page(STOP_AGENTS, methods=("POST",))
def turn(request: HttpRequest, mode: str, to: str) -> HttpResponse:
    """Turn a mode on or off: agent-stop or degraded."""
    on, name = to == "on", request.POST.get("agent")

    def verb(actor: Actor, reason: str) -> None:
        if mode == "degraded":
            set_degraded(on=on, actor=actor, reason=reason)
        else:
            (stop if on else let_go_on)(named(name), actor=actor, reason=reason)

    return _do(request, verb)


@page(BYPASS, methods=("POST",))
def ask_bypass(request: HttpRequest) -> HttpResponse:
    """Ask to govern nothing for a while; nothing happens before a second person confirms it."""
    minutes = request.POST.get("minutes", "")
    return _do(
        request,
        lambda actor, reason: bypassing.ask(
            minutes=int(minutes) if minutes.isascii() and minutes.isdigit() else 0,
            actor=actor,
            reason=reason,
        ),
    )


@page(BYPASS, methods=("POST",))
def confirm_bypass(request: HttpRequest, bypass_id: str) -> HttpResponse:
    """The second person's yes."""
    bypass = _locate(bypass_id)
    return _do(request, lambda actor, reason: bypassing.confirm(bypass, actor=actor, reason=reason))


@page(GOVERN_AGAIN, methods=("POST",))
def end_bypass(request: HttpRequest, bypass_id: str) -> HttpResponse:
    """Govern again, or take back what is not in force yet."""
    bypass = _locate(bypass_id)
    return _do(request, lambda actor, reason: bypassing.finish(bypass, actor=actor, reason=reason))


def _locate(bypass_id: str) -> Bypass:
    found = Bypass.objects.filter(pk=bypass_id).first()
    if found is None:
        raise Http404("There is no such bypass.")
    return found


def _do(request: HttpRequest, verb: Callable[[Actor, str], object]) -> HttpResponse:
    """Call a verb for the signed-in person; say how it stands then, or why it was not done."""
    try:
        with transaction.atomic():
            verb(actor_of(request), request.POST.get("reason", ""))
    except Refusal as refusal:
        return _refused(request, refusal)
    return _turned(request)


def _turned(request: HttpRequest) -> HttpResponse:
    """How it stands now: the part of the page for HTMX, the whole page for a browser without scripts."""
    if not is_htmx(request):
        return redirect("console:operations")
    return render(request, "governance/_modes.html", _now(request))


def _refused(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    """Say why it was not done, beside how it stands."""
    if not is_htmx(request):
        return refuse(request, "That was not done", str(refusal), status=refusal.status)
    context = {**_now(request), "refused": str(refusal)}
    return render(request, "governance/_modes.html", context, status=refusal.status)


def _now(request: HttpRequest) -> dict[str, Any]:
    # Read anew: a page's own copy may be older than what was just done.
    return {"standing": standing(request.membership), "me": str(actor_of(request))}  # type: ignore[attr-defined]
