"""One failure as every protocol's payload ends up, and what the translations have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

# Columns of an incident, in characters.
LONGEST_NAME = 200
LONGEST_KEY = 200

SEVERITIES = {
    "fatal": "critical",
    "critical": "critical",
    "page": "critical",
    "emergency": "critical",
    "error": "high",
    "high": "high",
    "major": "high",
    "warning": "medium",
    "warn": "medium",
    "medium": "medium",
    "minor": "low",
    "info": "low",
    "informational": "low",
    "low": "low",
    "none": "low",
    "debug": "low",
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Told:
    """One failure. ``agent`` and ``run`` are names, empty where the payload names none; so is ``severity``."""

    error_type: str
    message: str
    agent: str = ""
    run: str = ""
    tool: str = ""
    arguments: Mapping[str, Any] | None = None
    category: str = ""
    severity: str = ""
    context: dict[str, Any] = field(default_factory=dict)
    occurred_at: datetime | None = None
    source_key: str | None = None


def text_of(*candidates: Any) -> str:
    """The first of these that is a text with something in it, without blanks around it; else empty."""
    return next((each.strip() for each in candidates if isinstance(each, str) and each.strip()), "")


def cut(text: str) -> str:
    """A text as long as a column of names takes it."""
    return text[:LONGEST_NAME]


def severity_of(word: Any) -> str:
    """Our severity for another's word; empty for one that nobody knows."""
    return SEVERITIES.get(word.strip().lower(), "") if isinstance(word, str) else ""


def key_of(*parts: str) -> str:
    """These parts as one key of at most 200 characters; other parts give another key."""
    plain = " ".join(parts)
    # A blank inside of a part would let two lists of parts look alike.
    if len(plain) <= LONGEST_KEY and not any(" " in part or not part for part in parts):
        return plain
    lengths = "".join(f"{len(part)}:{part}" for part in parts)
    return f"sha256:{hashlib.sha256(lengths.encode()).hexdigest()}"


def episode_key(key: str, episode: int) -> str:
    """The key of the incident that an alert's ``episode`` (from 1) opens."""
    return key if episode == 1 else key_of(key, f"episode {episode}")


def without_nothing(values: Mapping[str, Any]) -> dict[str, Any]:
    """What is said: no None, no empty text, list or object."""
    return {name: value for name, value in values.items() if value not in (None, "", [], {})}


def moment(seconds: float) -> datetime | None:
    """A Unix time; None for 0 and for what is no time that a calendar has."""
    try:
        return EPOCH + timedelta(seconds=seconds) if seconds else None
    except (OverflowError, ValueError):
        return None
