"""Every route of the API, with values of one's own and somebody else's in every place that takes one."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from itertools import islice
from typing import Any

from drf_spectacular.generators import SchemaGenerator

from config.isolation import Route, routes
from governance.access.views import ApiView

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
from .words import cursor_at, ids_in
from .world import Side, World

# What some bodies must say besides what the schema tells.
WELL_FORMED: dict[str, dict[str, Any]] = {
    "outcomes": {"ok": False},
    "incident-list": {"skill": None},
    "recovery-template-list": {"kind": "pre_check", "params": {"check": "look first"}},
    "policy-list": {"condition": 'arguments.query == "x"'},
    "switches": {"name": "loop"},
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
PREFIX = "api/v1/"


def api_requests(world: World, form: Form) -> Iterator[list[Sent]]:
    """What is sent to each route of the API."""
    schema = SchemaGenerator().get_schema(request=None, public=True)
    for route in routes():
        is_sentrys = route.name.startswith("intake-sentry")
        if (route.address.startswith(PREFIX) or is_sentrys) and not route.is_stream:
            yield list(Calls(route, schema, world, form).all())


class Calls:
    """The calls of one route."""

    def __init__(self, route: Route, schema: dict[str, Any], world: World, form: Form) -> None:
        self.route, self.world, self.form = route, world, form
        self.params = parameters(route.address)
        self.label = _label_of(route)
        template = filled_in(route.address, {name: f"{{{name}}}" for name in self.params})
        self.operations: dict[str, Any] = _operations(schema, template)
        self.components = schema.get("components", {}).get("schemas", {})

    def all(self) -> Iterator[Sent]:
        for method in METHODS if self.form.is_full else self._declared():
            yield self._request(method)
            is_declared = method in self._declared()
            for name, allowed in self.params.items():
                if is_id(name, allowed, self._label(name)):
                    yield from self._in_the_path(method, name, most=None if is_declared else 2)
            if is_declared:
                yield from self._in_the_query(method)
                yield from self._in_the_body(method)
                yield from self._in_the_headers(method)

    def _declared(self) -> list[str]:
        actions = getattr(self.route.view, "actions", None) or {
            name: name
            for name in ("get", "post", "put", "patch", "delete")
            if hasattr(self.route.cls, name)
        }
        return [name.upper() for name in actions if name != "head"]

    def _request(self, method: str, about: str = "", **changes: Any) -> Request:
        path = filled_in(self.route.address, changes.pop("path", None) or self._own_path())
        body = changes.pop("body", None) or self._own_body(method)
        return Request(method, path, f"{method} {self.route.name} {about}", body=body, **changes)

    def _own_path(self) -> dict[str, str]:
        return {
            name: own_value(name, allowed, self.world.acme, self._label(name))
            for name, allowed in self.params.items()
        }

    def _label(self, name: str) -> str:
        return self.label if name == "id" else ""

    def _in_the_path(self, method: str, name: str, most: int | None) -> Iterator[Probe]:
        values = foreign_values(name, self.world, self._label(name))
        for value in self.form.some(islice(values, most), 2):
            yield Probe(
                lambda value: self._request(
                    method, f"path {name}", path={**self._own_path(), name: value}
                ),
                value,
            )

    def _in_the_query(self, method: str) -> Iterator[Probe]:
        operation = self.operations.get(method.lower(), {})
        asked = [each["name"] for each in operation.get("parameters", []) if each["in"] == "query"]
        for name in [*asked, "tenant"]:
            values = foreign_values(name, self.world)
            if name == "cursor":
                values = (cursor_at(each) for each in values if ids_in(each))
            if name == "tenant":
                values = iter([self.world.umbra.tenant.id, self.world.umbra.tenant.slug])
            for value in self.form.some(values):
                yield Probe(
                    lambda value, name=name: self._request(  # type: ignore[misc]
                        method, f"query {name}", query=((name, value),)
                    ),
                    value,
                )

    def _in_the_body(self, method: str) -> Iterator[Probe]:
        own = self._own_body(method)
        for place in _texts_of(own):
            name = str(place[-1])
            for value in self.form.some(foreign_values(name, self.world)):
                yield Probe(
                    lambda value, place=place: self._request(  # type: ignore[misc]
                        method, f"body {place}", body=_with(own, place, value)
                    ),
                    value,
                )

    def _in_the_headers(self, method: str) -> Iterator[Probe]:
        named = {
            "Idempotency-Key": self.world.umbra.names["idempotency"],
            "X-Tenant": self.world.umbra.tenant.id,
        }
        for header, value in named.items():
            if header == "Idempotency-Key" and method != "POST":
                continue
            yield Probe(
                lambda value, header=header: self._request(  # type: ignore[misc]
                    method, f"header {header}", headers=((header, value),)
                ),
                value,
            )

    def _own_body(self, method: str) -> Any:
        content = self.operations.get(method.lower(), {}).get("requestBody", {}).get("content", {})
        wanted = content.get("application/json", {}).get("schema")
        if wanted is None:
            return None
        body = self._sample(wanted, "", self.world.acme)
        return body | WELL_FORMED.get(self.route.name, {}) if isinstance(body, dict) else body

    def _sample(self, schema: dict[str, Any], name: str, side: Side) -> Any:
        """A body that the schema allows, about one's own records."""
        if reference := schema.get("$ref"):
            return self._sample(self.components[reference.rpartition("/")[2]], name, side)
        for several in ("allOf", "oneOf", "anyOf"):
            if several in schema:
                return self._sample(schema[several][0], name, side)
        types = schema.get("type", "object")
        kind = (
            next((each for each in types if each != "null"), "")
            if isinstance(types, list)
            else types
        )
        if values := [each for each in schema.get("enum", []) if each is not None]:
            return values[0]
        match kind:
            case "object":
                return {
                    key: self._sample(inner, key, side)
                    for key, inner in schema.get("properties", {}).items()
                    if not inner.get("readOnly")
                } or {"note": side.names["tool"]}
            case "array":
                return [self._sample(schema.get("items", {}), name, side)]
            case "integer" | "number":
                return schema.get("minimum", 1)
            case "boolean":
                return True
        if schema.get("format") == "date-time":
            return "2026-01-01T00:00:00Z"
        return own_value(name, "", side)


def _label_of(route: Route) -> str:
    """The model whose id the route's address names, empty where it names none."""
    view = route.cls
    if view is None or not issubclass(view, ApiView):
        return ""
    made = view(action="retrieve") if hasattr(view, "as_view") else view()
    try:
        return str(made.get_queryset().model._meta.label)
    except (AssertionError, AttributeError):
        return "policies.Decision" if "guard/decisions" in route.address else ""


def _operations(schema: dict[str, Any], template: str) -> dict[str, Any]:
    for path, operations in schema["paths"].items():
        if path.rstrip("/") == template.rstrip("/"):
            found: dict[str, Any] = operations
            return found
    return {}


def _texts_of(body: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    match body:
        case dict():
            for key, inner in body.items():
                yield from _texts_of(inner, (*place, key))
        case list():
            for number, inner in enumerate(body):
                yield from _texts_of(inner, (*place, number))
        case str():
            yield place


def _with(body: Any, place: tuple[Any, ...], value: str) -> Any:
    changed = deepcopy(body)
    inner = changed
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    return changed
