"""What every page of the admin is made from: evidence to read, and verbs that ask why.

Nothing here saves a record. A change is a verb of a pillar's services, called after a page that asks for the reason;
who may do it is said by the role of their membership, as everywhere else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import CharField, JSONField, Model, QuerySet, TextField
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.timesince import timesince, timeuntil
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from .. import redaction
from ..access.matrix import READ, RUN_SERVER, Right
from ..refusals import Refusal
from .links import story_url
from .people import actor_of, may

NONE = "\u2013"
MOST_AT_ONCE = 200
ID = re.compile("[a-z]{3,4}_[0-9a-z]{26}")

TONES = {
    "success": "complete done active approved applied strong on open confirmed ok allow",
    "info": "running ready suggested shadow origin confirmation",
    "warning": "waiting pending acknowledged weak warn escalate medium normal high expired suspended route_away",
    "danger": "dead failed rejected critical block kill false_rejection revoked stopped off",
    "primary": "reverted rolled_back simulated novel draft",
}
BADGES = {state: tone for tone, states in TONES.items() for state in states.split()}


def always(record: Any) -> bool:
    """A verb that can be tried in every state: it says itself why not."""
    return True


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing that a person may do with a record.

    ``call(record, actor=, reason=, **answers)`` does it and raises a Refusal when it will not. ``fields`` are asked
    besides the reason. ``bound`` is an attribute of the record that is sent along with what was shown and handed to
    the verb, such as a checkpoint's digest. ``when`` only hides what could not work; the verb decides.
    """

    name: str
    title: str
    call: Callable[..., Any]
    right: Right
    text: str = ""
    when: Callable[[Any], bool] = always
    needs_reason: bool = True
    is_grave: bool = False
    bound: str = ""
    in_bulk: bool = True
    fields: Mapping[str, forms.Field] = field(default_factory=dict)


def in_states(*states: str) -> Callable[[Any], bool]:
    """For a verb that makes sense in some states only."""
    return lambda record: record.state in states


class Why(forms.Form):
    """The reason, and whatever else a verb asks."""

    reason = forms.CharField(
        label="Why?",
        max_length=2_000,
        strip=True,
        widget=forms.Textarea(attrs={"rows": 3, "class": "why"}),
    )

    def __init__(self, verb: Verb, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].required = verb.needs_reason
        for name, asked in verb.fields.items():
            self.fields[name] = deepcopy(asked)
        self.order_fields([*verb.fields, "reason"])


class RecordAdmin(ModelAdmin):
    """A tenant's records: read-only, with badges, times and a way to the story; ``verbs`` are what can be done."""

    verbs: ClassVar[Sequence[Verb]] = ()
    opened_by: ClassVar[Right] = READ
    story_path: ClassVar[str] = ""
    """How to get from a record to its incident's id, as in ``trace.incident_id``."""

    show_full_result_count = False
    list_per_page = 50
    list_fullwidth = True
    list_filter_submit = False
    actions_selection_counter = True
    search_help_text = "Looks for an id, or for the beginning of a name."
    change_form_outer_before_template = "admin/governance/verbs.html"
    readonly_preprocess_fields: ClassVar[dict[str, Any]] = {}

    # --- Who ------------------------------------------------------------------------------------------

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return may(_membership(request), self.opened_by)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    # --- What is shown ----------------------------------------------------------------------------------

    @display(description="created", ordering="pk")  # type: ignore[untyped-decorator]
    def when(self, record: Any) -> str:
        """How long ago, with the exact time behind it."""
        return ago(record.created_at)

    @display(description="state", ordering="state", label=BADGES)  # type: ignore[untyped-decorator]
    def state_badge(self, record: Any) -> str:
        """The state as a badge."""
        return str(record.state)

    @display(description="gesture", ordering="gesture")  # type: ignore[untyped-decorator]
    def cause(self, record: Any) -> str:
        """What caused it, as a way to all else that it caused; its end tells gestures apart."""
        if not record.gesture:
            return NONE
        return format_html(
            '<a class="text-link whitespace-nowrap" href="?q={0}" title="{0}">…{1}</a>',
            record.gesture,
            record.gesture[-6:],
        )

    @display(description="story")  # type: ignore[untyped-decorator]
    def story(self, record: Any) -> str:
        """The way to the story, a dash where there is none."""
        url = self.story_url(record)
        return format_html('<a class="text-link" href="{}">story</a>', url) if url else NONE

    def story_url(self, record: Any) -> str:
        """The address of the story that the record belongs to, empty where there is none."""
        found = record
        for name in self.story_path.split(".") if self.story_path else ["nothing"]:
            found = getattr(found, name, None)
        return story_url(found) if found else ""

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """The record to look at, without the secrets that somebody sent; a verb is given the record as it is."""
        record = super().get_object(request, object_id, from_field)
        return without_secrets(record) if record else None

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """A page of the list, without them too."""
        page = super().get_changelist_instance(request)
        page.result_list = [without_secrets(record) for record in page.result_list]
        return page

    def facts_of(self, record: Any) -> dict[str, Any]:
        """What a person should see again before doing something with it."""
        return {}

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Sequence[str]:
        """Every field but the tenant, which is always one's own; when it was made comes last."""
        if self.fields:
            return list(self.fields)
        hidden = {"tenant", "hash", "body", "created_at", *(self.exclude or ())}
        named = [each.name for each in self.model._meta.fields if each.name not in hidden]
        return [*("state_badge" if name == "state" else name for name in named), "created_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Sequence[str]:
        return self.get_fields(request, obj) if obj else ()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """An id is looked up by its index; anything else is searched for in ``search_fields``."""
        term = search_term.replace("\x00", "").strip()
        if ID.fullmatch(term):
            is_gesture = term.startswith("ges_") and "=gesture" in self.search_fields
            return queryset.filter(**{"gesture" if is_gesture else "pk": term}), False
        found: tuple[QuerySet[Any], bool] = super().get_search_results(request, queryset, term)
        return found

    # --- What can be done --------------------------------------------------------------------------------

    def verbs_for(self, request: HttpRequest, record: Any = None) -> list[Verb]:
        """The verbs of this person, for a record only those that could work."""
        mine = [verb for verb in self.verbs if may(_membership(request), verb.right)]
        return [verb for verb in mine if record is None or verb.when(record)]

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.do)
        name = f"{self.model._meta.app_label}_{self.model._meta.model_name}_do"
        return [
            path("do/<slug:verb>/", view, name=f"{name}_all"),
            path("<path:object_id>/do/<slug:verb>/", view, name=name),
            *super().get_urls(),
        ]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """The verbs for several records at once; Django's own deletion is not among them."""
        return {
            verb.name: (_ask_in_bulk(verb), verb.name, verb.title)
            for verb in self.verbs_for(request)
            if verb.in_bulk
        }

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **named: Any
    ) -> Any:
        record = named.get("obj")
        context |= {
            "verbs": self.verbs_for(request, record) if record else [],
            "story_url": self.story_url(record) if record else "",
            "show_save": self.has_add_permission(request)
            or self.has_change_permission(request, record),
        }
        return super().render_change_form(request, context, *args, **named)

    def do(self, request: HttpRequest, verb: str, object_id: str | None = None) -> HttpResponse:
        """Ask why, then do it, with each of the records by itself."""
        asked = next((each for each in self.verbs_for(request) if each.name == verb), None)
        if asked is None:
            raise PermissionDenied
        ids = [object_id] if object_id else request.POST.getlist("id")[:MOST_AT_ONCE]
        records = list(
            self.get_queryset(request).filter(pk__in=[each.replace("\x00", "") for each in ids])
        )
        if not records:
            raise Http404("There is no such record.")
        # A link may fill in what it knows; the person still sees it and says why.
        known = {
            name: "\n".join(request.GET.getlist(name))
            for name in asked.fields
            if name in request.GET
        }
        form = Why(
            asked,
            request.POST if "reason" in request.POST else None,
            initial={**_now(asked, records), **known},
        )
        if form.is_valid():
            self._do_each(request, asked, records, form.cleaned_data)
            return HttpResponseRedirect(self.back_to(records if object_id else []))
        return self.ask(
            request, asked, records, form, back=self.back_to(records if object_id else [])
        )

    def _do_each(
        self, request: HttpRequest, verb: Verb, records: list[Any], answers: dict[str, Any]
    ) -> None:
        done = 0
        for record in records:
            bound = {verb.bound: request.POST.get(f"bound:{record.pk}", "")} if verb.bound else {}
            try:
                with transaction.atomic():
                    verb.call(record, actor=actor_of(request), **answers, **bound)
            except (Refusal, ValidationError) as refusal:
                messages.error(request, redaction.text(f"{record}: {_told(refusal)}"))
            else:
                done += 1
        if done:
            messages.success(
                request, f"{verb.title}: done{f' for {done}' if len(records) > 1 else ''}."
            )

    def ask(
        self, request: HttpRequest, verb: Verb, records: list[Any], form: Why, *, back: str
    ) -> HttpResponse:
        """The page that shows the records again and asks why."""
        shown = [
            (
                record,
                redaction.text(str(record)),
                self.facts_of(record),
                getattr(record, verb.bound) if verb.bound else "",
            )
            for record in records
        ]
        context = {
            **self.admin_site.each_context(request),
            "opts": self.model._meta,
            "title": verb.title,
            "verb": verb,
            "form": form,
            "shown": shown,
            "action": self._address(verb, records),
            "back": back,
        }
        return render(
            request, "admin/governance/why.html", context, status=400 if form.errors else 200
        )

    def _address(self, verb: Verb, records: list[Any]) -> str:
        name = f"admin:{self.model._meta.app_label}_{self.model._meta.model_name}_do"
        if len(records) == 1:
            return reverse(name, args=[records[0].pk, verb.name])
        return reverse(f"{name}_all", args=[verb.name])

    def back_to(self, records: Iterable[Any]) -> str:
        """The page of the first of these records, the list where there is none."""
        name = f"admin:{self.model._meta.app_label}_{self.model._meta.model_name}"
        for record in records:
            return reverse(f"{name}_change", args=[record.pk])
        return reverse(f"{name}_changelist")


class EvidenceAdmin(RecordAdmin):
    """Records that only grow: never counted, because there may be very many."""

    paginator = InfinitePaginator


class GlobalAdmin(ModelAdmin):
    """What belongs to no tenant: for those who run the server."""

    opened_by: ClassVar[Right] = RUN_SERVER
    show_full_result_count = False

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Django looks for the record before it looks who asks, and so tells whether there is one."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        response: HttpResponse = super().history_view(request, object_id, extra_context)
        return response

    def has_module_permission(self, request: HttpRequest) -> bool:
        return _runs_the_server(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return _runs_the_server(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _runs_the_server(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return _runs_the_server(request)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def without_secrets(record: Any) -> Any:
    """The same record to be shown: its texts, and those of the records that came with it, hold no secret any more."""
    for column in record._meta.concrete_fields:
        if column.is_relation:
            if column.is_cached(record) and (related := getattr(record, column.name)) is not None:
                without_secrets(related)
        elif isinstance(column, CharField | JSONField | TextField) and not column.primary_key:
            value = record.__dict__.get(column.attname)  # what was not read is not asked for
            if value:
                setattr(record, column.attname, redaction.masked(value))
    return record


def ago(moment: datetime | None) -> str:
    """A moment as people say it, with the exact one behind it."""
    if moment is None:
        return NONE
    now = timezone.now()
    if abs(moment - now) < timedelta(minutes=1):
        words = "now"
    elif moment > now:
        words = f"in {timeuntil(moment, now, depth=1)}"
    else:
        words = f"{timesince(moment, now, depth=1)} ago"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        f"{moment:%d %b %Y, %H:%M:%S %Z}",
        words,
    )


def _ask_in_bulk(verb: Verb) -> Callable[..., HttpResponse]:
    def ask(admin: RecordAdmin, request: HttpRequest, chosen: QuerySet[Any]) -> HttpResponse:
        records = list(chosen[:MOST_AT_ONCE])
        return admin.ask(
            request, verb, records, Why(verb, initial=_now(verb, records)), back=admin.back_to([])
        )

    ask.__name__ = verb.name
    return ask


def _now(verb: Verb, records: list[Any]) -> dict[str, Any]:
    """What the fields of a verb stand at, for one record."""
    return (
        {name: getattr(records[0], name, None) for name in verb.fields} if len(records) == 1 else {}
    )


def _told(refusal: Exception) -> str:
    return "; ".join(refusal.messages) if isinstance(refusal, ValidationError) else str(refusal)


def _membership(request: HttpRequest) -> Any:
    return getattr(request, "membership", None)


def _runs_the_server(request: HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_superuser)
