"""Lists by keyset: the same cost on every page, and a page can be linked to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from django.db.models import Model, QuerySet
from django.http import HttpRequest

Record = TypeVar("Record", bound=Model)

USUAL = 30


@dataclass(frozen=True, slots=True)
class Slice(Generic[Record]):
    """One page of records, newest first; ``next`` is the query of the one that follows, empty after the last."""

    records: list[Record]
    next: str
    is_first: bool


def newest(
    request: HttpRequest, records: QuerySet[Record], *, key: str = "pk", most: int = USUAL
) -> Slice[Record]:
    """The page that ``?before=`` names, by a sortable key; the other filters stay in the query."""
    before = request.GET.get("before", "")
    if before:
        records = _before(records, key, before)
    found = list(records.order_by(f"-{key}")[: most + 1])
    more = ""
    if len(found) > most:
        query: dict[str, Any] = {
            name: value for name, value in request.GET.items() if name != "before" and value
        }
        more = urlencode({**query, "before": getattr(found[most - 1], key)})
    return Slice(found[:most], more, not before)


def _before(records: QuerySet[Record], key: str, before: str) -> QuerySet[Record]:
    """Rows before a cursor; a cursor that somebody made up shows nothing."""
    if key == "pk":
        return records.filter(pk__lt=before.replace("\x00", ""))
    return (
        records.filter(**{f"{key}__lt": int(before)})
        if before.isascii() and before.isdigit()
        else records.none()
    )
