"""Labelled failures: what the matcher may see of a line, and which group it truly belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.core.management.base import CommandError
from rest_framework.exceptions import ParseError

from catalog.rules import Signature, signature
from governance.access.parsers import parse

# A label that a script made says nothing about how good the script's competitor is.
MADE_BY_RULE = "rule"


class Failure(NamedTuple):
    """One line of a file: its id, and what the matcher may see of it."""

    id: str
    error_type: str
    tool: str
    message: str
    context: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Labelled:
    """One failure's signature, the system it is of, and its true group."""

    signature: Signature
    system: str
    group: str


def failures_of(lines: Iterable[bytes]) -> Iterator[Failure]:
    """The failures of a file's lines. Raises CommandError naming the line that is none."""
    for _, failure in _rows(lines):
        yield failure


def labelled_of(lines: Iterable[bytes]) -> tuple[list[Labelled], int]:
    """The labelled failures, and how many were left out because a script had labelled them.

    Raises CommandError naming a line that is no failure or has no label.
    """
    labelled: list[Labelled] = []
    left_out = 0
    for number, (row, failure) in enumerate(_rows(lines), 1):
        if (row.get("meta") or {}).get("label_kind") == MADE_BY_RULE:
            left_out += 1
            continue
        try:
            group = row["event"] if "content" in row else row["expected"]["group"]
        except (KeyError, TypeError) as error:
            raise CommandError(f"Line {number} says no group: {error}") from error
        said = signature(failure.error_type, failure.tool, failure.message, failure.context)
        labelled.append(Labelled(said, str(row.get("system", "")), str(group)))
    return labelled, left_out


def _rows(lines: Iterable[bytes]) -> Iterator[tuple[dict[str, Any], Failure]]:
    for number, line in enumerate(lines, 1):
        try:
            row = parse(line)
            yield row, failure_of(row)
        except (ParseError, KeyError, TypeError, AttributeError) as error:
            raise CommandError(f"Line {number} is no failure: {error}") from error


def failure_of(row: dict[str, Any]) -> Failure:
    """What the matcher may see of a line: ``input``, or a log line's text and the system that wrote it."""
    if "content" in row:
        return Failure(f"{row['system']}:{row['line']}", "", row["system"], row["content"], {})
    told = row["input"]
    tool = told.get("tool") or told.get("skill") or ""
    return Failure(
        row["id"],
        told.get("error_type") or "",
        tool,
        told["message"] or "",
        told.get("context") or {},
    )
