"""The reviewers' screens of recovery."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from unfold.decorators import display

from governance.access.matrix import HANDLE_RECOVERIES, WRITE_RECOVERIES
from governance.screens.admin_base import BADGES, EvidenceAdmin, RecordAdmin, Verb, in_states

from . import services
from .models import Directive, OutsideCall, Recovery, RecoveryTemplate


@admin.register(Recovery)
class RecoveryAdmin(RecordAdmin):
    """What was suggested, and what came of it."""

    list_display = (
        "title",
        "kind",
        "state_badge",
        "confidence",
        "source",
        "automatic",
        "agent",
        "when",
        "story",
    )
    list_filter = ("state", "kind", "source", "automatic")
    list_select_related = ("agent", "match")
    search_fields = ("^title",)
    story_path = "match.incident_id"
    verbs = (
        Verb(
            "apply",
            "Apply",
            services.apply,
            right=HANDLE_RECOVERIES,
            needs_reason=False,
            when=in_states("suggested", "approved", "failed"),
        ),
        Verb(
            "reject",
            "Reject",
            services.reject,
            right=HANDLE_RECOVERIES,
            when=in_states("suggested", "approved", "failed"),
            is_grave=True,
        ),
        Verb(
            "roll-back",
            "Roll back",
            services.roll_back,
            right=HANDLE_RECOVERIES,
            when=in_states("applied"),
            is_grave=True,
        ),
    )

    def facts_of(self, record: Any) -> dict[str, Any]:
        return {
            "kind": record.kind,
            "parameters": record.params,
            "confidence": record.confidence,
            "rationale": record.rationale,
        }


@admin.register(RecoveryTemplate)
class RecoveryTemplateAdmin(RecordAdmin):
    """The recoveries that people wrote."""

    list_display = ("name", "pattern", "kind", "declared_confidence", "state_badge", "when")
    list_filter = ("enabled", "kind")
    list_select_related = ("pattern",)
    search_fields = ("^name",)
    verbs = (
        Verb(
            "disable",
            "Disable",
            services.disable_template,
            right=WRITE_RECOVERIES,
            when=lambda template: template.enabled,
        ),
    )

    @display(description="state", ordering="enabled", label=BADGES)
    def state_badge(self, record: Any) -> str:
        return "on" if record.enabled else "off"


@admin.register(Directive)
class DirectiveAdmin(RecordAdmin):
    """What the guard tells agents before they use a tool."""

    list_display = ("title", "tool", "kind", "state_badge", "pattern", "when")
    list_filter = ("active", "kind")
    list_select_related = ("pattern",)
    search_fields = ("^title", "^tool")

    @display(description="state", ordering="active", label=BADGES)
    def state_badge(self, record: Any) -> str:
        return "active" if record.active else "off"


@admin.register(OutsideCall)
class OutsideCallAdmin(EvidenceAdmin):
    """Calls to servers that are not ours: the intent and the answer."""

    list_display = ("purpose", "key", "attempts", "answered_at", "when")
    list_filter = ("purpose",)
    search_fields = ("^key",)
