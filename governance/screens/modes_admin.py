"""The admin's way to the modes: verbs of agents and settings, the server's own modes, and bypasses to read."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from unfold.decorators import display

from .. import models
from ..access.matrix import BYPASS, GOVERN_AGAIN, STOP_AGENTS
from ..actors import Actor
from ..models import Agent, Settings
from ..models.modes import LONGEST_BYPASS_MINUTES
from ..modes import bypassing
from ..modes.degrading import set_degraded, set_degraded_everywhere
from ..modes.stopping import let_go_on, stop
from .admin_base import BADGES, NONE, GlobalAdmin, RecordAdmin, Verb, in_states
from .people import actor_of, names_of


def stop_all(settings: Settings, *, actor: Actor, reason: str) -> None:
    """Stop every agent of the tenant."""
    stop(None, actor=actor, reason=reason)


def ask_bypass(settings: Settings, *, actor: Actor, reason: str, minutes: int) -> None:
    """Ask to govern nothing for a while."""
    bypassing.ask(minutes=minutes, actor=actor, reason=reason)


def let_all_go_on(settings: Settings, *, actor: Actor, reason: str) -> None:
    """Take that back."""
    let_go_on(None, actor=actor, reason=reason)


STOP_TEXT = "Every action gets kill, from the next decision on."

AGENT_VERBS = (
    Verb(
        "stop",
        "Stop",
        stop,
        text=STOP_TEXT,
        right=STOP_AGENTS,
        is_grave=True,
        when=lambda agent: not agent.stopped,
    ),
    Verb("go_on", "Let go on", let_go_on, right=STOP_AGENTS, when=lambda agent: agent.stopped),
)
SETTINGS_VERBS = (
    Verb(
        "stop",
        "Stop all agents",
        stop_all,
        text=STOP_TEXT,
        right=STOP_AGENTS,
        is_grave=True,
        in_bulk=False,
        when=lambda settings: not settings.stopped,
    ),
    Verb(
        "go_on",
        "Let all go on",
        let_all_go_on,
        right=STOP_AGENTS,
        in_bulk=False,
        when=lambda settings: settings.stopped,
    ),
    Verb(
        "degrade",
        "Let no new runs in",
        lambda settings, **why: set_degraded(on=True, **why),
        text="Running ones go on with a warning; everything is recorded.",
        right=STOP_AGENTS,
        is_grave=True,
        in_bulk=False,
        when=lambda settings: not settings.degraded,
    ),
    Verb(
        "recover",
        "Back to normal",
        lambda settings, **why: set_degraded(on=False, **why),
        right=STOP_AGENTS,
        in_bulk=False,
        when=lambda settings: settings.degraded,
    ),
    Verb(
        "bypass",
        "Ask to stop governing",
        ask_bypass,
        text="Nothing happens until a second person confirms it. Then every action is allowed until it ends.",
        right=BYPASS,
        is_grave=True,
        in_bulk=False,
        fields={
            "minutes": forms.IntegerField(
                min_value=1, max_value=LONGEST_BYPASS_MINUTES, help_text="1 to 60"
            )
        },
    ),
)


class AgentAdmin(RecordAdmin):
    """The agents that are known."""

    list_display = ("name", "stopped_badge", "why", "when")
    list_filter = ("stopped",)
    search_fields = ("^name",)
    verbs = AGENT_VERBS

    @display(description="state", ordering="stopped", label=BADGES)  # type: ignore[untyped-decorator]
    def stopped_badge(self, record: Agent) -> str:
        """Whether it may do anything, as far as it is asked alone."""
        return "stopped" if record.stopped else "active"

    @display(description="why")  # type: ignore[untyped-decorator]
    def why(self, record: Agent) -> str:
        """The reason for which it was stopped."""
        return record.stopped_reason or NONE

    def facts_of(self, record: Agent) -> dict[str, Any]:
        return {"stopped": record.stopped, "why": record.stopped_reason} if record.stopped else {}


class ServerModeAdmin(GlobalAdmin):
    """What holds for every tenant, by who runs the server."""

    list_display = ("name", "on", "reason", "by", "since")
    fields = ("name", "on", "reason")

    def get_readonly_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> tuple[str, ...]:
        return ("name",) if obj else ()

    def save_model(
        self, request: HttpRequest, obj: models.ServerMode, form: Any, change: Any
    ) -> None:
        set_degraded_everywhere(on=obj.on, actor=actor_of(request), reason=obj.reason)


class BypassAdmin(RecordAdmin):
    """Every time somebody asked to govern nothing, and what came of it."""

    list_display = ("__str__", "state_badge", "minutes", "requested_by", "confirmed_by", "when")
    list_filter = ("state",)
    verbs = (
        Verb(
            "confirm",
            "Confirm: stop governing",
            bypassing.confirm,
            text="Every action of every agent is allowed until it ends. Somebody else asked for it.",
            right=BYPASS,
            needs_reason=False,
            is_grave=True,
            in_bulk=False,
            when=in_states("requested"),
        ),
        Verb(
            "end",
            "Govern again",
            bypassing.finish,
            text="Ends it, or takes it back before it is in force.",
            right=GOVERN_AGAIN,
            in_bulk=False,
            when=in_states(*models.Bypass.LIVE),
        ),
    )

    def facts_of(self, record: models.Bypass) -> dict[str, Any]:
        return {
            "minutes": record.minutes,
            "why": record.reason,
            "asked_by": names_of([record.requested_by])[record.requested_by],
        }


def register() -> None:
    """Called by the admin of the ground, which is where Django looks."""
    admin.site.register(models.Agent, AgentAdmin)
    admin.site.register(models.ServerMode, ServerModeAdmin)
    admin.site.register(models.Bypass, BypassAdmin)
