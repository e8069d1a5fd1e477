"""CloudEvents 1.0 over HTTP: structured, binary, and batches of structured ones.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from .told import key_of

SOURCE = "cloudevents"
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
VERSION = "1.0"
REQUIRED = ("id", "source", "type")
PREFIX = "ce-"
LONGEST_ATTRIBUTE = 2_000  # characters; the specification asks for 64 kB in all
DATA = ("data", "data_base64")


class NoEvent(ValueError):
    """What came is no CloudEvent as we take it; ``field`` says which part."""

    def __init__(self, field: str, says: str) -> None:
        self.field = field
        super().__init__(says)


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its attributes, extensions included, and its data as the plain report that it must be."""

    attributes: dict[str, Any]
    data: dict[str, Any]
    path: str = field(default="")
    """Where it stands in a batch, as in ``[3].``."""

    @property
    def key(self) -> str:
        """The specification: source and id together are unique for each event."""
        return key_of(self.attributes["source"], self.attributes["id"])

    def report(self) -> dict[str, Any]:
        """The plain report: what its data says, and the event's type and time where it does not."""
        said = {name: value for name, value in self.data.items() if value is not None}
        context = said.get("context", {})
        if isinstance(context, dict):
            said["context"] = {**context, "cloudevent": self.attributes}
        said.setdefault("error_type", self.attributes["type"][:200])
        if "time" in self.attributes:
            said.setdefault("occurred_at", self.attributes["time"])
        return {**said, "source": SOURCE, "source_key": self.key}


def structured(value: Any, path: str = "") -> Event:
    """An event whose attributes and data are one JSON object. Raises NoEvent."""
    if not isinstance(value, dict):
        raise NoEvent(path.rstrip("."), "An event must be an object.")
    attributes = {name: each for name, each in value.items() if name not in DATA}
    _check(attributes, path)
    if "data_base64" in value:
        raise NoEvent(f"{path}data_base64", "Only JSON is taken: send it as data.")
    return Event(attributes, _object(value.get("data"), f"{path}data"), path)


def batch(value: Any) -> Iterator[Event]:
    """The events of a JSON array. Raises NoEvent, which names the place."""
    if not isinstance(value, list):
        raise NoEvent("", "A batch must be an array of events.")
    for place, each in enumerate(value):
        yield structured(each, f"[{place}].")


def binary(headers: Mapping[str, str], value: Any) -> Event:
    """An event whose attributes are ``ce-`` headers (any case) and whose data is the body. Raises NoEvent."""
    attributes: dict[str, Any] = {
        name.lower().removeprefix(PREFIX): _decoded(name, text)
        for name, text in headers.items()
        if name.lower().startswith(PREFIX)
    }
    _check(attributes, PREFIX)
    return Event(attributes, _object(value, "data"), "")


def _check(attributes: Mapping[str, Any], path: str) -> None:
    if attributes.get("specversion") != VERSION:
        raise NoEvent(f"{path}specversion", f"This must be {VERSION!r}.")
    for name in REQUIRED:
        if not isinstance(attributes.get(name), str) or not attributes[name].strip():
            raise NoEvent(f"{path}{name}", "This must be a text that is not empty.")
    for name, value in attributes.items():
        if not isinstance(value, str | bool | int):
            raise NoEvent(f"{path}{name}", "An attribute must be a text, a truth or an integer.")
        if isinstance(value, str) and len(value) > LONGEST_ATTRIBUTE:
            raise NoEvent(f"{path}{name}", f"At most {LONGEST_ATTRIBUTE} characters.")


def _object(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NoEvent(path, "This must be an object: the report of one failure.")
    return value


def _decoded(name: str, text: str) -> str:
    """A header's value; what HTTP has no letters for is written as percent and UTF-8."""
    try:
        decoded = unquote_to_bytes(text).decode()
    except UnicodeDecodeError as error:
        raise NoEvent(name.lower(), "This is not percent-encoded UTF-8.") from error
    if "\x00" in decoded:
        raise NoEvent(name.lower(), "NUL cannot be stored.")
    return decoded
