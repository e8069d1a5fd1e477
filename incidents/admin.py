"""The reviewers' screens of incidents."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.decorators import display

from governance.access.matrix import HANDLE_INCIDENTS
from governance.screens.admin_base import (
    BADGES,
    EvidenceAdmin,
    RecordAdmin,
    Verb,
    ago,
    in_states,
)

from . import services
from .models import Alias, Incident, Repeats


@admin.register(Incident)
class IncidentAdmin(RecordAdmin):
    """What went wrong, newest first."""

    list_display = (
        "__str__",
        "agent",
        "severity_badge",
        "category",
        "state_badge",
        "reported",
        "when",
        "story",
    )
    list_filter = ("state", "severity", "category", "simulated")
    list_select_related = ("agent",)
    search_fields = ("^error_type", "^tool", "^message", "=source_key")
    story_path = "id"
    verbs = (
        Verb(
            "acknowledge",
            "Acknowledge",
            services.acknowledge,
            right=HANDLE_INCIDENTS,
            needs_reason=False,
            when=in_states("open"),
        ),
        Verb(
            "resolve",
            "Resolve",
            services.resolve,
            right=HANDLE_INCIDENTS,
            when=in_states("open", "acknowledged"),
        ),
        Verb(
            "reopen",
            "Open again",
            services.reopen,
            right=HANDLE_INCIDENTS,
            when=in_states("acknowledged", "resolved"),
        ),
    )

    @display(description="severity", ordering="severity", label=BADGES)
    def severity_badge(self, record: Incident) -> str:
        """As it was reported."""
        return record.severity

    @display(description="reported", ordering="reported")
    def reported(self, record: Any) -> str:
        """How often, and when last if more than once."""
        if record.reported == 1:
            return "once"
        return format_html(
            "{} times, last {}", intcomma(record.reported), ago(record.last_reported_at)
        )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Incident]:
        incidents: QuerySet[Incident] = super().get_queryset(request).counted()
        return incidents

    def facts_of(self, record: Any) -> dict[str, Any]:
        return {"tool": record.tool, "message": record.message, "severity": record.severity}


@admin.register(Repeats)
class RepeatsAdmin(EvidenceAdmin):
    """Incidents that their source reported again."""

    list_display = ("incident", "count", "latest", "story")
    list_select_related = ("incident",)
    story_path = "incident_id"

    @display(description="last", ordering="last_at")
    def latest(self, record: Repeats) -> str:
        """When it was reported last."""
        return ago(record.last_at)


@admin.register(Alias)
class AliasAdmin(EvidenceAdmin):
    """Under which other names a source knows an incident."""

    list_display = ("source", "key", "incident", "episode", "when", "story")
    list_select_related = ("incident",)
    search_fields = ("=key",)
    story_path = "incident_id"
