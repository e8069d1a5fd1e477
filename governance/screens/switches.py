"""The page of switches, and the choice of the tenant to work for."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from ..access.matrix import OVERSEE, SWITCH
from ..access.middleware import SESSION_KEY
from ..loop import verbs as loop
from ..loop.bridges import bridges
from ..models import GlobalSwitch, Membership, Switch
from ..models.switches import WHOLE_LOOP
from ..refusals import Refusal
from .pages import page, refuse
from .people import actor_of, person_of


@dataclass(frozen=True, slots=True)
class Line:
    """One switch as the page shows it; a missing row is on."""

    name: str
    title: str
    on: bool
    reason: str
    off_everywhere: str


@page(OVERSEE)
def index(request: HttpRequest) -> HttpResponse:
    """The whole loop and each of its steps: on or off, and why."""
    return render(request, "governance/switches.html", {"lines": all_lines()})


def all_lines() -> list[Line]:
    """Every switch, the whole loop first."""
    own = {switch.name: switch for switch in Switch.objects.all()}
    everywhere = {
        switch.name: switch.reason or "no reason given"
        for switch in GlobalSwitch.objects.filter(on=False)
    }
    titles = {
        WHOLE_LOOP: "The whole loop",
        **{stage: bridge.name.capitalize() for stage, bridge in bridges().items()},
    }
    return [
        _line(name, title, own.get(name), everywhere.get(name, ""))
        for name, title in titles.items()
    ]


@page(SWITCH, methods=("POST",))
def turn(request: HttpRequest, name: str, to: str) -> HttpResponse:
    """Turn a switch on or off, with a reason."""
    reason = request.POST.get("reason", "").strip()
    if not reason:
        return refuse(
            request, "That was not done", "Say why: a switch is turned with a reason.", status=400
        )
    try:
        with transaction.atomic():
            loop.set_switch(name, on=to == "on", actor=actor_of(request), reason=reason)
    except Refusal as refusal:
        return refuse(request, "That was not done", str(refusal), status=refusal.status)
    return redirect("console:switches")


@page(methods=("POST",))
def choose_tenant(request: HttpRequest) -> HttpResponse:
    """Work for another tenant that the person belongs to, from the next page on."""
    wanted = request.POST.get("tenant", "")
    if not Membership.objects.filter(user=person_of(request), tenant_id=wanted).exists():
        return refuse(request, "That was not done", "You do not belong to that tenant.", status=404)
    request.session[SESSION_KEY] = wanted
    return redirect("console:dashboard")


def _line(name: str, title: str, own: Switch | None, off_everywhere: str) -> Line:
    return Line(name, title, own.on if own else True, own.reason if own else "", off_everywhere)
