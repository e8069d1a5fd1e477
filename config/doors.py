"""Every door of the site and the right that opens it: what the test of roles and their page are made from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib import admin

from governance.access.matrix import LOOK_IN, RUN_SERVER, Right

from .isolation import Route, routes

METHODS = ("get", "post", "put", "patch", "delete")
# Alive, ready, figures, and the ways inside: they show nothing of any tenant.
ENTRANCES = {"home", "livez", "readyz", "metrics", "schema", "docs"}


@dataclass(frozen=True, slots=True)
class Door:
    """One thing that can be asked of the site. ``right`` is None where nobody said who may."""

    kind: str
    """API, console or admin."""

    method: str
    address: str
    """As the routes are written, without their regular expressions: ``/api/v1/incidents/{id}``."""

    right: Right | None
    view: Any

    def __str__(self) -> str:
        return f"{self.method} {self.address}"


def doors() -> Iterator[Door]:
    """Every method of every route, and every verb of the admin."""
    for route in routes():
        address = "/" + readable(route.address)
        if address.startswith("/api/"):
            yield from _api(address, route)
        elif address.startswith("/console/"):
            yield from _plain("console", address, route)
        elif not address.startswith("/admin/"):
            yield from _entrance(address, route)
    yield from _admin()


def readable(pattern: str) -> str:
    """A route's pattern as people write it: ``^agents/(?P<id>[^/.]+)/?$`` becomes ``agents/{id}``."""
    found, rest = "", pattern
    while (start := rest.find("(?P<")) >= 0:
        name, after = rest[start + 4 :].split(">", 1)
        found += rest[:start] + "{" + name + "}"
        rest = after[_end_of_group(after) :]
    plain = (found + rest).replace("/?", "").replace("\\Z", "")
    for mark in "^$\\":
        plain = plain.replace(mark, "")
    return plain


def _end_of_group(text: str) -> int:
    depth = 1
    for place, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            return place + 1
    return len(text)


def _api(address: str, route: Route) -> Iterator[Door]:
    view: Any = route.view
    if route.name in ENTRANCES:
        yield Door("API", "GET", address, LOOK_IN, view)
    elif hasattr(view, "cls"):
        table: dict[str, Right] = getattr(view.cls, "access", {})
        for method, name in _methods(view):
            yield Door("API", method.upper(), address, table.get(name), view)
    else:
        yield from _plain("API", address, route)


def _methods(view: Any) -> list[tuple[str, str]]:
    """(method, name under which its right is declared) of a view of the REST framework."""
    if actions := getattr(view, "actions", None):
        return [(method, action) for method, action in actions.items() if method != "head"]
    return [(name, name) for name in METHODS if hasattr(view.cls, name)]


def _plain(kind: str, address: str, route: Route) -> Iterator[Door]:
    view: Any = route.view
    for method in getattr(view, "methods", ("GET",)):
        if method != "HEAD":
            yield Door(kind, method, address, getattr(view, "right", None), view)


def _entrance(address: str, route: Route) -> Iterator[Door]:
    is_way_inside = route.name in ENTRANCES or address in {"/console", "/admin"}
    yield Door("site", "GET", address, LOOK_IN if is_way_inside else None, route.view)


def _admin() -> Iterator[Door]:
    for model, page in admin.site._registry.items():  # noqa: SLF001 - Django offers no other list
        address = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        # Pages that packages bring along are Django's own: superusers only, and they run the server.
        yield Door("admin", "GET", address, getattr(page, "opened_by", RUN_SERVER), page)
        for verb in getattr(page, "verbs", ()):
            yield Door("admin", "POST", f"{address}{{id}}/do/{verb.name}/", verb.right, verb)
