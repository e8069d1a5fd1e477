"""What is sent: requests, and probes that put somebody else's value where one's own belongs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from governance.database.isolation import tenant_models
from governance.models import Stage

from .world import Side, World

Value = TypeVar("Value")
NAMED = re.compile(r"\(\?P<(\w+)>((?:\[[^]]*\]|[^()])*)\)|<(?:\w+:)?(\w+)>")


@dataclass(frozen=True)
class Request:
    """One request. ``body`` is JSON for the API and a form for pages; ``about`` names it whatever its values are."""

    method: str
    path: str
    about: str
    query: tuple[tuple[str, str], ...] = ()
    body: Any = None
    is_form: bool = False
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def address(self) -> str:
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path

    @property
    def payload(self) -> tuple[str, str]:
        """The body as it is sent, and its type."""
        if self.is_form:
            return urlencode(self.body or {}, doseq=True), "application/x-www-form-urlencoded"
        return (
            "" if self.body is None else json.dumps(self.body, default=float)
        ), "application/json"

    def __str__(self) -> str:
        return f"{self.method} {self.address} {self.payload[0][:300]}".strip()


@dataclass(frozen=True)
class Probe:
    """A request with a foreign value in one place; ``make`` writes it with any other value too."""

    make: Callable[[str], Request] = field(compare=False)
    foreign: str


Sent = Request | Probe


@dataclass(frozen=True)
class Form:
    """How much is crawled: everything, or of each kind of question one, by one principal in turn."""

    is_full: bool

    def some(self, values: Iterable[Value], most: int = 1) -> list[Value]:
        """All of them, or in the quick form the first few."""
        return list(values if self.is_full else islice(values, most))


QUICK = Form(is_full=False)
FULL = Form(is_full=True)


def parameters(address: str) -> dict[str, str]:
    """The named parts of a pattern of Django's, with what each may be."""
    return {found[1] or found[3]: found[2] or "" for found in NAMED.finditer(address)}


def filled_in(address: str, values: Mapping[str, str]) -> str:
    """A pattern as an address, its named parts replaced."""
    plain = NAMED.sub(lambda found: quote(values[found[1] or found[3]], safe="{}"), address)
    plain = plain.replace("/?$", "").replace("\\Z", "")
    return "/" + re.sub(r"[\^$\\]", "", plain)


def own_value(name: str, allowed: str, side: Side, label: str = "") -> str:
    """What a part of an address, a field or a question of this name is for one's own records."""
    if re.fullmatch(r"\w+(\|\w+)+", allowed):
        return allowed.partition("|")[0]
    if allowed == "[0-9]+":
        return "1"  # a project of Sentry's, which names nothing
    if name == "stage":
        return Stage.PATTERN_MATCHED.value
    if model := label or _model_named(name):
        return side.id_of(model)
    for stem, word in side.names.items():
        if name.startswith(stem) or name == "name":
            return word
    return "loop"


def is_id(name: str, allowed: str, label: str = "") -> bool:
    """Whether a part of an address names a record."""
    if allowed == "[0-9]+":
        return False
    return bool(label or _model_named(name)) or (name != "stage" and "|" not in allowed)


def foreign_values(name: str, world: World, label: str = "") -> Iterator[str]:
    """Somebody else's values for it: the record that it should be, then words, then records of every other type."""
    ids, wanted = world.umbra.ids, label or _model_named(name)
    if wanted and ids[wanted]:
        # The one that the verbs made, and the one that was filled in.
        yield from dict.fromkeys([ids[wanted][-1], ids[wanted][0]])
    else:
        yield from world.umbra.names.values()
    yield from [found[0] for other, found in ids.items() if other != wanted and found]


def _model_named(name: str) -> str:
    """The model that a name ends with: ``original_incident_id`` is an incident's."""
    stem = name.removesuffix("_id").rpartition("_")[2]
    if name in {"agent_id", "run_id", "agent", "run"}:
        return ""  # called by their names
    for model in tenant_models():
        if stem == model._meta.model_name:
            return model._meta.label
    return ""
