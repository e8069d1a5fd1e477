"""Each text, number and list that the API takes has a limit that its description tells, and that its problem names.

Everything here is read from the description, which is made from the routes and their serializers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from rest_framework.test import APIClient

from config.described import description
from config.isolation import routes
from governance.access.wire import MOST_BYTES
from tests.isolation.api import PREFIX, Calls
from tests.isolation.probes import Form, filled_in
from tests.isolation.world import World, side

Place = tuple[str, ...]
JSON = "application/json"
BODIES = {"post", "put", "patch"}


@dataclass(frozen=True)
class Taken:
    """One field of a body: where the body goes, where it stands in it, and what its description says."""

    path: str
    method: str
    place: Place
    schema: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path} {'.'.join(self.place)}"

    @property
    def kind(self) -> str:
        said = self.schema.get("type", "")
        return next((each for each in said if each != "null"), "") if isinstance(said, list) else said  # fmt: skip

    @property
    def limits(self) -> list[Any]:
        """(what is over the limit, the limit) for each that the field has."""
        match self.kind:
            case "string" if "maxLength" in self.schema:
                most = self.schema["maxLength"]
                return [("x" * (most + 1), most)]
            case "integer" | "number" if {"minimum", "maximum"} <= self.schema.keys():
                low, high = self.schema["minimum"], self.schema["maximum"]
                return [(low - 1, low), (high + 1, high)] if high < 2**62 else [(low - 1, low)]
            case "array" if "maxItems" in self.schema:
                return [(["x"] * (self.schema["maxItems"] + 1), self.schema["maxItems"])]
        return []

    @property
    def needs_none(self) -> bool:
        """Whether only a few values are taken at all; an object is held by the body's size and depth, and by its fields."""
        is_one_of_few = "enum" in self.schema or "const" in self.schema or self.kind == "boolean"
        return is_one_of_few or self.schema.get("format") == "date-time" or self.kind == "object"


def fields() -> list[Taken]:
    return [
        Taken(path, method, place, schema)
        for path, operations in description()["paths"].items()
        for method, operation in operations.items()
        if method in BODIES and "requestBody" in operation
        for place, schema in _leaves(operation["requestBody"]["content"][JSON]["schema"], ())
    ]


def _leaves(schema: dict[str, Any], place: Place) -> Iterator[tuple[Place, dict[str, Any]]]:
    schema = _whole(schema)
    if schema.get("readOnly"):
        return
    for name, inner in schema.get("properties", {}).items():
        yield from _leaves(inner, (*place, name))
    if place and "properties" not in schema:
        yield place, schema


def _whole(schema: dict[str, Any]) -> dict[str, Any]:
    """With what it refers to; of several only null is left out."""
    if reference := schema.get("$ref"):
        return _whole(description()["components"]["schemas"][reference.rpartition("/")[2]])
    for several in ("allOf", "oneOf", "anyOf"):
        for inner in schema.get(several, []):
            if inner.get("type") != "null" and inner != {"enum": [None]}:
                found = _whole(inner)
                if "enum" in found and found["enum"] == [None]:
                    continue
                return {**found, **{k: v for k, v in schema.items() if k != several}}
    return schema


def test_every_field_of_every_body_declares_its_limit() -> None:
    found = fields()
    assert len(found) > 60
    unlimited = sorted(str(each) for each in found if not each.needs_none and not each.limits)
    assert not unlimited, unlimited


def test_every_body_that_is_read_is_described() -> None:
    """A view that reads a body and does not say so would have no limits to look at."""
    silent = {
        f"{method} {path}"
        for path, operations in description()["paths"].items()
        for method, operation in operations.items()
        if method in BODIES and "requestBody" not in operation
    }
    assert silent == {
        "post /api/v1/integration/graduation/re-evaluate/",
        "post /api/v1/integration/graduation/simulate/forget/",
        "post /api/v1/patterns/{id}/calibration/weigh/",
    }, "they take none"


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_what_is_over_a_limit_is_refused_by_field_and_limit() -> None:
    acme = side("acmeq")
    world = World(acme, acme)
    boss = APIClient()
    boss.credentials(HTTP_AUTHORIZATION=f"Bearer {acme.tokens['admin']}")
    schema, form = description(), Form(is_full=False)
    addresses: dict[str, str] = {}
    for route in routes():
        if route.address.startswith(PREFIX) and not route.is_stream:
            calls = Calls(route, schema, world, form)
            template = filled_in(route.address, {name: f"{{{name}}}" for name in calls.params})
            addresses["/" + template.strip("/")] = filled_in(route.address, calls._own_path())
    untold, tried = [], 0
    for each in fields():
        for value, limit in each.limits:
            body: Any = value
            for name in reversed(each.place):
                body = {name: body}
            answer = getattr(boss, each.method)(
                addresses[each.path.rstrip("/")], body, format="json"
            )
            tried += 1
            if not _is_told(answer, ".".join(each.place), limit):
                untold.append(f"{each}: {answer.status_code} {answer.content.decode()[:300]}")
    assert tried > 70
    assert not untold, "\n".join(untold)


def _is_told(answer: Any, field: str, limit: Any) -> bool:
    """Whether a refusal names the field and its limit; a text that may fill its body is held by the body's own."""
    said = answer.json()
    if answer.status_code == 413:
        return bool(said["limit"] == limit == MOST_BYTES)
    errors = said.get("errors", [])
    # PagerDuty's errors are texts.
    pairs = [each.partition(": ")[::2] if isinstance(each, str) else (each["field"], each["message"]) for each in errors]  # fmt: skip
    told = [message for named, message in pairs if named == field]
    return answer.status_code == 400 and any(str(limit) in each.replace(",", "") for each in told)
