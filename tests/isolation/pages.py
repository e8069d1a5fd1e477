"""Every page of the admin and of the console, with one's own and somebody else's values wherever a page takes one.

What is asked of the admin is derived from its registered pages: lists, filters, searches, related look-ups, popups,
records, verbs, bulk verbs, autocomplete. What is asked of the console comes from its routes, and from the links and
forms of the pages that they answer with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.urls import reverse

from config.isolation import Route, routes
from governance.database.fields import TenantModel
from governance.models import Membership

from .probes import (
    Form,
    Probe,
    Request,
    Sent,
    filled_in,
    foreign_values,
    is_id,
    own_value,
    parameters,
)
from .words import ids_in
from .world import Side, World

LINK = re.compile(r'(?:href|hx-get|hx-post|action|data-href)="(/[^"#]*)"')
FORM = re.compile(r'<form[^>]*action="(?P<action>/[^"]*)"[^>]*>(?P<inside>.*?)</form>', re.DOTALL)
FIELD = re.compile(
    r'<(?:input|textarea|select|button)[^>]*\bname="([^"]+)"(?:[^>]*\bvalue="([^"]*)")?'
)


# --- The admin


def admin_requests(world: World, form: Form) -> Iterator[list[Sent]]:
    """What is sent to each page of the admin, and to the site itself."""
    for model, page in admin.site._registry.items():
        yield list(Table(model, page, world, form).all())
    yield list(_site(world, form))


class Table:
    """The admin's pages of one model."""

    def __init__(self, model: type[models.Model], page: Any, world: World, form: Form) -> None:
        self.model, self.page, self.world, self.form = model, page, world, form
        self.base = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        self.list = reverse(f"{self.base}_changelist")
        self.verbs = [verb.name for verb in getattr(page, "verbs", ())]

    def all(self) -> Iterator[Sent]:
        yield self._get(self.list)
        yield self._get(reverse(f"{self.base}_add"))
        own, foreign = self._records()
        for record_id in own[:1]:
            yield from self.form.some(self._of_record(record_id))
        for record_id in self.form.some(foreign):
            for at, _ in enumerate(self._of_record(record_id)):
                yield Probe(lambda value, at=at: list(self._of_record(value))[at], record_id)  # type: ignore[misc]
            for verb in self.form.some(self.verbs):
                yield from self._in_bulk(verb, own[:1], record_id)
        yield from self._asked_of_the_list(foreign)
        yield from self.form.some(self._autocompleted(), 2)

    def _records(self) -> tuple[list[str], list[str]]:
        """Ids of one's own records, the one that a verb made first, and of somebody else's."""
        acme, umbra = self.world.acme, self.world.umbra
        label = self.model._meta.label
        if issubclass(self.model, TenantModel):
            return acme.ids[label][::-1], umbra.ids[label][:: max(1, len(umbra.ids[label]) - 1)]
        return _outside(self.model, acme), _outside(self.model, umbra)

    def _get(self, path: str, about: str = "", **query: str) -> Request:
        return Request("GET", path, f"GET {self.base} {about or path}", query=tuple(query.items()))

    def _post(self, path: str, about: str, **body: Any) -> Request:
        return Request("POST", path, f"POST {self.base} {about}", body=body, is_form=True)

    def _of_record(self, record_id: str) -> Iterator[Request]:
        """What can be asked about one record."""
        for page in ("change", "history", "delete"):
            yield self._get(reverse(f"{self.base}_{page}", args=[record_id]), page)
        yield self._post(reverse(f"{self.base}_delete", args=[record_id]), "delete", post="yes")
        yield self._post(reverse(f"{self.base}_change", args=[record_id]), "change", name="x")
        if self.form.is_full:
            yield self._get(f"{self.list}{record_id}/", "plain")
        for verb in self.form.some(self.verbs):
            path = reverse(f"{self.base}_do", args=[record_id, verb])
            yield self._get(path, f"ask {verb}")
            yield self._post(path, f"do {verb}", reason="because", **self._answers(verb, record_id))

    def _answers(self, verb: str, record_id: str) -> dict[str, str]:
        """Whatever a verb asks besides the reason, so that it is not stopped by a missing answer."""
        asked = next(each for each in self.page.verbs if each.name == verb)
        fields = {
            name: str(next(iter(field.choices))[0]) if getattr(field, "choices", None) else "1"
            for name, field in asked.fields.items()
        }
        return {**fields, f"bound:{record_id}": "x"}

    def _in_bulk(self, verb: str, own: list[str], foreign: str) -> Iterator[Probe]:
        """A verb for one's own record and a foreign one together, chosen in the list and confirmed."""
        yield Probe(
            lambda value: self._post(
                self.list, f"choose {verb}", action=verb, index="0", _selected_action=[*own, value]
            ),
            foreign,
        )
        yield Probe(
            lambda value: self._post(
                reverse(f"{self.base}_do_all", args=[verb]),
                f"do {verb} in bulk",
                id=[*own, value],
                reason="because",
                **self._answers(verb, value),
            ),
            foreign,
        )

    def _asked_of_the_list(self, foreign: list[str]) -> Iterator[Sent]:
        umbra = self.world.umbra
        word, tenant = umbra.words.made[-1], umbra.tenant
        asked: list[tuple[str, str]] = [("q", word), *(("q", each) for each in foreign[:1])]
        through = [
            each
            for field in self.model._meta.local_fields
            if isinstance(field, models.ForeignKey)
            for each in _through(field, umbra)
        ]
        asked += [each for each in through if each[0].endswith("__startswith")]
        asked += [("tenant__id__exact", tenant.id), ("id__in", (foreign or ["1"])[0])]
        asked += [("_popup", "1"), ("_to_field", "tenant"), ("o", "1"), ("e", "1"), ("all", "")]
        asked += [(f"{name}__exact", word) for name in self._filters()]
        asked += [each for each in through if not each[0].endswith("__startswith")]
        for name, value in self.form.some(asked, 4):
            if value in {"", "1", "tenant"}:
                yield self._get(self.list, f"list {name}", **{name: value})
            else:
                yield Probe(
                    lambda value, name=name: self._get(self.list, f"list {name}", **{name: value}),  # type: ignore[misc]
                    value,
                )

    def _filters(self) -> list[str]:
        return [each if isinstance(each, str) else each[0] for each in self.page.list_filter or ()]

    def _autocompleted(self) -> Iterator[Sent]:
        """Choices for the model's references, searched for by a word of somebody else's."""
        names = {
            "app_label": self.model._meta.app_label,
            "model_name": str(self.model._meta.model_name),
        }
        for field in self.model._meta.local_fields:
            if isinstance(field, models.ForeignKey):
                path, asked = reverse("admin:autocomplete"), {**names, "field_name": field.name}
                yield self._get(path, f"autocomplete {field.name}", term="", **asked)
                for word in self.world.umbra.names.values():
                    yield Probe(
                        lambda value, path=path, asked=asked: self._get(  # type: ignore[misc]
                            path, f"autocomplete {asked['field_name']}", term=value, **asked
                        ),
                        word,
                    )


def _through(field: models.ForeignKey[Any, Any], umbra: Side) -> Iterator[tuple[str, str]]:
    """Questions that go through a reference: the first letters of a text are guessed one by one."""
    related = field.related_model
    found = umbra.ids.get(related._meta.label) or _outside(related, umbra)
    yield from ((f"{field.name}__{related._meta.pk.name}__exact", each) for each in found[:1])
    texts = [each for each in related._meta.local_fields if isinstance(each, models.CharField)]
    for text in [each for each in texts if not each.choices and not each.primary_key][:2]:
        yield f"{field.name}__{text.name}__startswith", umbra.words.mark


def _outside(model: type[models.Model], side: Side) -> list[str]:
    """Ids in tables without a tenant that are this side's."""
    people = [str(user.pk) for user in side.people.values()]
    match model._meta.label:
        case "governance.User":
            return people
        case "governance.Tenant":
            return [side.tenant.id]
        case "governance.Membership":
            own = Membership.objects.filter(tenant=side.tenant).order_by("pk")
            return [str(pk) for pk in own.values_list("pk", flat=True)]
    return []


def _site(world: World, form: Form) -> Iterator[Sent]:
    """The admin's own pages."""
    for path in ("index", "password_change", "jsi18n"):
        yield Request("GET", reverse(f"admin:{path}"), f"GET admin {path}")
    for app in {model._meta.app_label for model in admin.site._registry}:
        path = reverse("admin:app_list", args=[app])
        yield Request("GET", path, f"GET admin app {app}")
    for word in form.some([world.umbra.tenant.name, *world.umbra.names.values()]):
        yield Probe(
            lambda value: Request(
                "GET", reverse("admin:search"), "GET admin search", query=(("s", value),)
            ),
            word,
        )
    for label, found in form.some([each for each in world.umbra.ids.items() if each[1]], 4):
        kind = ContentType.objects.get_by_natural_key(*label.lower().split("."))
        yield Probe(
            lambda value, kind=kind: Request(  # type: ignore[misc]
                "GET", reverse("admin:view_on_site", args=[kind.pk, value]), f"GET site of {kind}"
            ),
            found[0],
        )


# --- The console


def console_requests(world: World, form: Form) -> Iterator[list[Sent]]:
    """What is sent to each page of the console."""
    for route in routes():
        if route.address.startswith("console") and not route.is_stream:
            yield list(_page(route, world, form))


def _page(route: Route, world: World, form: Form) -> Iterator[Sent]:
    params = parameters(route.address)
    own = {name: own_value(name, allowed, world.acme) for name, allowed in params.items()}

    def request(
        method: str,
        about: str = "",
        query: tuple[tuple[str, str], ...] = (),
        body: Any = None,
        **values: str,
    ) -> Request:
        path = filled_in(route.address, {**own, **values})
        return Request(method, path, f"{method} {route.name} {about}", query, body, is_form=True)

    for method in ("GET", "POST"):
        yield request(method)
        for name, allowed in params.items():
            if is_id(name, allowed):
                for value in form.some(foreign_values(name, world), 2):
                    yield Probe(
                        lambda value, method=method, name=name: request(  # type: ignore[misc]
                            method, f"path {name}", body={"reason": "because"}, **{name: value}
                        ),
                        value,
                    )
    for name in form.some(("tenant", "next", "cursor", "type", "q"), 2):
        values = (world.umbra.tenant.id, *islice(foreign_values(name, world), 6))
        for value in form.some(values):
            yield Probe(
                lambda value, name=name: request("GET", f"query {name}", query=((name, value),)),  # type: ignore[misc]
                value,
            )
            yield Probe(
                lambda value, name=name: request("POST", f"form {name}", body={name: value}),  # type: ignore[misc]
                value,
            )


def followed(text: str, world: World, form: Form, seen: set[str]) -> Iterator[Sent]:
    """What a page of one's own leads to, and the same with somebody else's values: links, and forms by their fields.

    ``seen`` are the kinds of address that were followed before; it grows. The quick form stays in the console.
    """
    for found in LINK.finditer(text):
        if form.is_full or found[1].startswith("/console"):
            yield from _link(unescape(found[1]), world, seen)
    for found in FORM.finditer(text):
        if form.is_full or found["action"].startswith("/console"):
            yield from _form(unescape(found["action"]), found["inside"], world, seen)


def _link(address: str, world: World, seen: set[str]) -> Iterator[Sent]:
    parts = urlsplit(address)
    query = tuple(parse_qsl(parts.query, keep_blank_values=True))
    kind = _kind(parts.path) + "?" + "&".join(sorted(name for name, _ in query))
    if kind in seen or parts.path.startswith("/static/") or "logout" in parts.path:
        return
    seen.add(kind)
    yield Request("GET", parts.path, f"GET link {kind}", query)
    for at, (name, value) in enumerate(query):
        for foreign in _foreign_for(value, world):
            yield Probe(
                lambda said, at=at, name=name: Request(  # type: ignore[misc]
                    "GET",
                    parts.path,
                    f"GET link {kind} {name}",
                    (*query[:at], (name, said), *query[at + 1 :]),
                ),
                foreign,
            )


def _form(action: str, inside: str, world: World, seen: set[str]) -> Iterator[Sent]:
    kind = f"form {_kind(action)}"
    fields = {name: unescape(value) for name, value in FIELD.findall(inside)}
    if kind in seen or "logout" in action:
        return
    seen.add(kind)
    body = {name: value or "because" for name, value in fields.items()}
    yield Request("POST", action, f"POST {kind}", body=body, is_form=True)
    for name, value in body.items():
        for foreign in _foreign_for(value, world):
            yield Probe(
                lambda said, name=name: Request(  # type: ignore[misc]
                    "POST", action, f"POST {kind} {name}", body={**body, name: said}, is_form=True
                ),
                foreign,
            )


def _kind(path: str) -> str:
    """An address whatever record it is about."""
    return re.sub(r"\b[a-z]{3,4}_[0-9a-z]{26}\b|\d+", "*", path)


def _foreign_for(value: str, world: World) -> Iterator[str]:
    """Somebody else's in place of a value: the same kind of id, and the tenant's."""
    for own in ids_in(value):
        prefix = own.partition("_")[0]
        yield from [each for each in world.umbra.every_id if each.startswith(f"{prefix}_")][:1]
    yield world.umbra.tenant.id
