"""The reviewers' screens of the catalogue."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from governance.access.matrix import CURATE
from governance.actors import Actor
from governance.screens.admin_base import BADGES, EvidenceAdmin, RecordAdmin, Verb, ago

from . import services
from .models import Pattern, PatternMatch


def trust(pattern: Pattern, *, actor: Actor, reason: str) -> None:
    """Let its recovery be applied without asking, where it is sure enough."""
    services.set_auto_apply(pattern, True, actor=actor, reason=reason)


def ask_again(pattern: Pattern, *, actor: Actor, reason: str) -> None:
    """Ask a person before its recovery is applied."""
    services.set_auto_apply(pattern, False, actor=actor, reason=reason)


@admin.register(Pattern)
class PatternAdmin(RecordAdmin):
    """The kinds of failure that are known."""

    list_display = ("name", "tool", "error_type", "occurred", "last", "auto_apply_recovery", "when")
    list_filter = ("auto_apply_recovery",)
    search_fields = ("^name", "^tool", "^error_type")
    verbs = (
        Verb(
            "trust",
            "Apply without asking",
            trust,
            right=CURATE,
            when=lambda pattern: not pattern.auto_apply_recovery,
            text="Its recovery is applied without asking where the match is strong and the confidence above 0.9.",
        ),
        Verb(
            "ask",
            "Ask before applying",
            ask_again,
            right=CURATE,
            when=lambda pattern: pattern.auto_apply_recovery,
        ),
        Verb(
            "rename",
            "Rename",
            services.rename,
            right=CURATE,
            needs_reason=False,
            in_bulk=False,
            fields={"name": forms.CharField(max_length=300)},
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With how often each occurred, counted from its matches."""
        found: QuerySet[Any] = super().get_queryset(request).with_occurrences()
        return found

    @display(description="occurred")
    def occurred(self, record: Any) -> int:
        """How many incidents were of this kind."""
        return int(record.occurrences)

    @display(description="last")
    def last(self, record: Any) -> str:
        """When it was seen last."""
        return ago(record.last_seen)

    def facts_of(self, record: Any) -> dict[str, Any]:
        return {"tool": record.tool, "error type": record.error_type, "template": record.template}


@admin.register(PatternMatch)
class PatternMatchAdmin(EvidenceAdmin):
    """Which incident was of which kind, and why."""

    list_display = ("incident", "pattern", "band_badge", "confidence", "is_new", "when", "story")
    list_filter = ("band", "is_new")
    list_select_related = ("incident", "pattern")
    story_path = "incident_id"

    @display(description="band", ordering="band", label=BADGES)
    def band_badge(self, record: PatternMatch) -> str:
        """How sure the match is, in a word."""
        return record.band
