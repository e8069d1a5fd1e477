"""Sentry's envelopes and events.

https://develop.sentry.dev/sdk/data-model/envelopes/ and https://develop.sentry.dev/sdk/data-model/event-payloads/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from .told import Told, cut, moment, severity_of, text_of, without_nothing

SOURCE = "sentry"
FAILURES = frozenset({"error", "fatal"})
EVENT_ID = re.compile(r"[0-9a-f]{32}")
MOST_ITEMS = 100
# What of an event says how it failed. Who used the product (user, request) is not kept.
KEPT = (
    "level", "logger", "platform", "release", "dist", "environment", "server_name", "transaction", "fingerprint",
    "contexts", "extra", "exception", "logentry", "breadcrumbs",
)  # fmt: skip
AGENT_TAGS = ("agent_id", "agent", "gen_ai.agent.name")


class NoEvent(ValueError):
    """What came is no envelope, or holds no event as we take it; ``field`` says which part."""

    def __init__(self, field: str, says: str) -> None:
        self.field = field
        super().__init__(says)


Parse = Callable[[bytes], Any]


def items(body: bytes, parse: Parse) -> Iterator[tuple[dict[str, Any], bytes]]:
    """(header, payload) of each item; the first pair is the envelope's own header, and nothing.

    ``parse`` reads JSON. Raises NoEvent for what is not framed as an envelope, and what ``parse`` raises.
    """
    line, place = _line(body, 0)
    yield _header(line, parse, "envelope"), b""
    for number in range(MOST_ITEMS + 1):
        # Line ends between items mean nothing.
        while place < len(body) and body[place : place + 1] in b"\r\n":
            place += 1
        if place >= len(body):
            return
        if number == MOST_ITEMS:
            raise NoEvent("items", f"At most {MOST_ITEMS} items in an envelope.")
        line, place = _line(body, place)
        header = _header(line, parse, f"items[{number}]")
        length = header.get("length")
        if length is None:
            payload, place = _line(body, place)
        elif (
            isinstance(length, int)
            and not isinstance(length, bool)
            and 0 <= length <= len(body) - place
        ):
            payload, place = body[place : place + length], place + length
        else:
            raise NoEvent(f"items[{number}].length", "The envelope ends before its item does.")
        yield header, payload


def _line(body: bytes, start: int) -> tuple[bytes, int]:
    """A line from ``start`` on without its end, and where the next one begins."""
    end = body.find(b"\n", start)
    return (body[start:], len(body)) if end < 0 else (body[start:end], end + 1)


def _header(line: bytes, parse: Parse, field: str) -> dict[str, Any]:
    header = parse(line)
    if not isinstance(header, dict):
        raise NoEvent(field, "A header must be an object.")
    return header


def id_of(value: Any) -> str:
    """An event's id as 32 hexadecimal digits; empty where there is none. Raises NoEvent for what is none."""
    if value is None:
        return ""
    plain = value.replace("-", "").lower() if isinstance(value, str) else ""
    if not EVENT_ID.fullmatch(plain):
        raise NoEvent("event_id", "This must be 32 hexadecimal digits.")
    return plain


def is_failure(event: Mapping[str, Any]) -> bool:
    """Whether an event says that something failed: an exception of any level, or a message of an error's.

    A level that is not said is error, as the protocol has it.
    """
    if event.get("type") == "transaction":
        return False
    return bool(_exceptions(event)) or event.get("level", "error") in FAILURES


def told(event: Mapping[str, Any], event_id: str) -> Told:
    """An event that is a failure. Raises NoEvent for a time that is none."""
    raised = (_exceptions(event) or [{}])[-1]  # the one that was raised last, its causes before it
    entry, tags = _dict(event.get("logentry")), _tags(event.get("tags"))
    contexts, extra = _dict(event.get("contexts")), _dict(event.get("extra"))
    tool = _dict(contexts.get("tool"))
    span = _dict(_dict(contexts.get("trace")).get("data"))
    said = tool.get("arguments", extra.get("arguments"))
    message = event.get("message")
    return Told(
        error_type=cut(text_of(raised.get("type"))),
        message=text_of(
            raised.get("value"),
            entry.get("formatted"),
            entry.get("message"),
            message,
            _dict(message).get("formatted"),
            _dict(message).get("message"),
            raised.get("type"),
        ),
        agent=cut(
            text_of(
                *(tags.get(tag) for tag in AGENT_TAGS),
                _dict(contexts.get("agent")).get("name"),
                span.get("gen_ai.agent.name"),
            )
        ),
        run=cut(text_of(tags.get("run_id"), span.get("gen_ai.conversation.id"))),
        tool=cut(text_of(tags.get("tool"), tool.get("name"), span.get("gen_ai.tool.name"))),
        arguments=said if isinstance(said, dict) else None,
        severity=severity_of(event.get("level", "error")),
        context=without_nothing(
            {**{name: event.get(name) for name in KEPT}, "tags": tags, "event_id": event_id}
        ),
        occurred_at=_time(event.get("timestamp")),
        source_key=event_id,
    )


def _exceptions(event: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The chain of exceptions, causes first; older clients send it as a bare list or a bare exception."""
    found = event.get("exception")
    if isinstance(found, dict):
        found = found.get("values", [found] if "type" in found or "value" in found else [])
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _tags(value: Any) -> dict[str, Any]:
    """Tags by name; the protocol also allows pairs."""
    if isinstance(value, dict):
        return value
    pairs = value if isinstance(value, list) else []
    return {str(pair[0]): pair[1] for pair in pairs if isinstance(pair, list) and len(pair) == 2}


def _time(value: Any) -> datetime | None:
    match value:
        case None:
            return None
        case int() | float() if not isinstance(value, bool):
            return moment(value)
        case str():
            try:
                found = datetime.fromisoformat(value)
            except ValueError:
                pass
            else:
                return found if found.tzinfo else found.replace(tzinfo=UTC)
    raise NoEvent("timestamp", "This must be seconds since 1970 or a time as RFC 3339 has it.")
