"""The reviewers' screens of the catalogue."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils import timezone
from unfold.decorators import display

from governance import redaction
from governance.access.matrix import CURATE
from governance.actors import Actor
from governance.ids import ID_LENGTH
from governance.screens.admin_base import (
    BADGES,
    EvidenceAdmin,
    RecordAdmin,
    Verb,
    ago,
    without_secrets,
)
from governance.screens.people import names_of

from . import services
from .models import Pattern, PatternKey, PatternMatch, PatternSignature, Teaching
from .rules.marking import marked
from .services.silencing import LONGEST_IGNORED

LATEST_SHOWN = 5
TAUGHT_SHOWN = 20


def trust(pattern: Pattern, *, actor: Actor, reason: str) -> None:
    """Let its recovery be applied without asking, where it is sure enough."""
    services.set_auto_apply(pattern, True, actor=actor, reason=reason)


def ask_again(pattern: Pattern, *, actor: Actor, reason: str) -> None:
    """Ask a person before its recovery is applied."""
    services.set_auto_apply(pattern, False, actor=actor, reason=reason)


def _is_root(pattern: Pattern) -> bool:
    return pattern.root_id is None


def _split(pattern: Pattern, *, actor: Actor, reason: str, incidents: str, called: str) -> None:
    services.split(pattern, incidents=incidents.split(), name=called, actor=actor, reason=reason)


def _silence(pattern: Pattern, *, actor: Actor, reason: str, how: str, hours: int | None) -> None:
    until = timezone.now() + timedelta(hours=hours) if hours else None
    services.silence(pattern, how=how, until=until, actor=actor, reason=reason)


def _undo(teaching: Teaching, *, actor: Actor, reason: str) -> None:
    services.undo(teaching, actor=actor, reason=reason)


def _side(pattern: Pattern, other: Pattern) -> dict[str, Any]:
    """What is shown of one of two patterns."""
    latest = services.standing_of([pattern.id])[:LATEST_SHOWN]
    return {
        "pattern": pattern,
        "other": other,
        "marks": marked(pattern.template, other.template),
        "facts": {
            "tool": pattern.tool,
            "error type": pattern.error_type,
            "occurred": pattern.occurrences,
            "where it failed": [str(frame) for frame in pattern.frames],
        },
        "latest": [without_secrets(match.incident) for match in latest],
    }


def taught_of(pattern: Pattern, most: int = TAUGHT_SHOWN) -> list[Teaching]:
    """What people taught about a pattern last, to be shown: without secrets, with the name of who it was."""
    found = [without_secrets(each) for each in services.taught(pattern, most)]
    names = names_of(each.actor for each in found)
    for each in found:
        each.said_by = names[each.actor]
    return found


@admin.register(Pattern)
class PatternAdmin(RecordAdmin):
    """The kinds of failure that are known."""

    list_display = ("name", "tool", "error_type", "occurred", "last", "standing", "when")
    list_filter = ("auto_apply_recovery", "silenced_as", ("root", admin.EmptyFieldListFilter))
    list_select_related = ("root",)
    search_fields = ("^name", "^tool", "^error_type")
    change_form_outer_after_template = "admin/catalog/alike.html"
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
        Verb(
            "merge",
            "Merge into another",
            services.merge,
            right=CURATE,
            when=_is_root,
            text="They are one kind of failure: whatever is of this one is of the other from now on. It can be undone.",
            fields={"into": forms.CharField(max_length=ID_LENGTH, help_text="A pattern's id.")},
        ),
        Verb(
            "split",
            "Split",
            _split,
            right=CURATE,
            when=_is_root,
            in_bulk=False,
            text="These incidents, and later ones like them, are another kind of failure. It can be undone.",
            fields={
                "incidents": forms.CharField(
                    widget=forms.Textarea(attrs={"rows": 4}), help_text="Their ids, one a line."
                ),
                "called": forms.CharField(max_length=300, required=False, label="New name"),
            },
        ),
        Verb(
            "silence",
            "Expect or ignore",
            _silence,
            right=CURATE,
            when=_is_root,
            text="Its failures are kept and counted, and nothing comes of them.",
            fields={
                "how": forms.ChoiceField(choices=Pattern.Silence.choices),
                "hours": forms.IntegerField(
                    min_value=1,
                    max_value=LONGEST_IGNORED // timedelta(hours=1),
                    required=False,
                    help_text="For so long; what is expected may be so for good.",
                ),
            },
        ),
        Verb(
            "heed",
            "Heed again",
            services.heed,
            right=CURATE,
            when=lambda pattern: bool(pattern.silenced_as),
            text="Something comes of its failures again.",
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With how often each occurred, counted from its matches."""
        found: QuerySet[Any] = super().get_queryset(request).with_occurrences()
        return found

    def get_urls(self) -> list[Any]:
        beside = self.admin_site.admin_view(self.beside)
        address = path("<path:object_id>/beside/", beside, name="catalog_pattern_beside")
        return [address, *super().get_urls()]

    def beside(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A pattern and another one (``?with=``) side by side: what they say, what differs, how often each came."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        other_id = request.GET.get("with", "").replace("\x00", "").strip()
        one, other = (self._located(request, each) for each in (object_id, other_id))
        is_mine = any(verb.name == "merge" for verb in self.verbs_for(request))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.model._meta,
            "title": "Side by side",
            "sides": [_side(one, other), _side(other, one)],
            "evidence": services.compared(one, other),
            "may_merge": is_mine and one.id not in other.family and other.id not in one.family,
        }
        return render(request, "admin/catalog/beside.html", context)

    def _located(self, request: HttpRequest, id: str) -> Pattern:
        found: Pattern | None = self.get_object(request, id)
        if found is None:
            raise Http404("There is no such pattern.")
        return found

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **named: Any
    ) -> Any:
        """With the patterns that are most like it, and what people taught about it."""
        record = named.get("obj")
        if record is not None:
            context |= {"alike": services.similar_to(record), "taught": taught_of(record)}
        return super().render_change_form(request, context, *args, **named)

    @display(description="standing")
    def standing(self, record: Pattern) -> str:
        """What a person has decided about it, in a few words."""
        if record.root is not None:
            return f"merged into {redaction.text(record.root.name)}"
        words = [record.get_silenced_as_display().lower()] if record.silenced_as else []
        return ", ".join([*words, *(["recovers by itself"] if record.auto_apply_recovery else [])])

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


@admin.register(Teaching)
class TeachingAdmin(EvidenceAdmin):
    """What people taught about how failures are grouped."""

    list_display = ("kind_badge", "pattern", "other", "actor", "reason", "when")
    list_filter = ("kind",)
    list_select_related = ("pattern", "other")
    fields = ("kind", "pattern", "other", "undoes", "actor", "reason", "facts", "created_at")
    verbs = (
        Verb(
            "undo",
            "Undo",
            _undo,
            right=CURATE,
            when=lambda teaching: teaching.kind != Teaching.Kind.UNDONE,
            text="Later failures are grouped as before; what was decided meanwhile stays.",
        ),
    )

    @display(description="taught", ordering="kind", label=True)
    def kind_badge(self, record: Teaching) -> str:
        """What was said, in a word."""
        return record.kind


@admin.register(PatternMatch)
class PatternMatchAdmin(EvidenceAdmin):
    """Which incident was of which kind, and why."""

    list_display = ("incident", "pattern", "band_badge", "confidence", "is_new", "when", "story")
    list_filter = ("band", "is_new")
    list_select_related = ("incident", "pattern")
    story_path = "incident_id"
    fields = (
        "incident",
        "pattern",
        "confidence",
        "band",
        "is_new",
        "corrects",
        "evidence",
        "why",
        "created_at",
    )
    readonly_fields = ("evidence",)

    @display(description="band", ordering="band", label=BADGES)
    def band_badge(self, record: PatternMatch) -> str:
        """How sure the match is, in a word."""
        return record.band

    @display(description="evidence")
    def evidence(self, record: PatternMatch) -> str:
        """What it rests on, in a line each."""
        return "\n".join(f"{name}: {line}" for name, line in services.told(record).items())


@admin.register(PatternSignature)
class PatternSignatureAdmin(EvidenceAdmin):
    """How failures of a pattern are signed: whoever signs so is known without being compared."""

    list_display = ("hash", "pattern", "confidence", "is_taught", "version", "when")
    list_filter = ("is_taught",)
    list_select_related = ("pattern",)
    search_fields = ("=hash",)


@admin.register(PatternKey)
class PatternKeyAdmin(EvidenceAdmin):
    """Under which keys a pattern is found."""

    list_display = ("key", "pattern", "when")
    list_select_related = ("pattern",)
    search_fields = ("=key",)
