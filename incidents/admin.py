"""The reviewers' screens of incidents."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from unfold.decorators import display

from governance.access.matrix import HANDLE_INCIDENTS
from governance.screens.admin_base import BADGES, RecordAdmin, Verb, in_states

from . import services
from .models import Incident


@admin.register(Incident)
class IncidentAdmin(RecordAdmin):
    """What went wrong, newest first."""

    list_display = (
        "__str__",
        "agent",
        "severity_badge",
        "category",
        "state_badge",
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

    def facts_of(self, record: Any) -> dict[str, Any]:
        return {"tool": record.tool, "message": record.message, "severity": record.severity}
