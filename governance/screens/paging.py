"""Lists by keyset: the same cost on every page, and a page can be linked to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from ..database.tenancy import required_tenant
from ..story import places

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
    """The page that ``?before=`` names, by id or (of events) by ``seq``; the other filters stay in the query."""
    before = request.GET.get("before", "")
    if before:
        records = _before(records, key, before)
    found = list(records.order_by(f"-{key}")[: most + 1])
    more = ""
    if len(found) > most:
        more = _query(request, _said(found[most - 1], key))
    return Slice(found[:most], more, not before)


def ranked(
    request: HttpRequest,
    records: QuerySet[Record],
    rank: str,
    *,
    read: Callable[[str], Any] = str,
    most: int = USUAL,
) -> Slice[Record]:
    """The page that ``?before=`` names of records in the order of a rank, highest first, those of one rank newest first.

    The cursor is the last rank and id; ``read`` turns the rank's text into a value, and raises ValueError for what is
    none: a cursor that somebody made up shows nothing. A record whose rank rises meanwhile may show twice.
    """
    before = request.GET.get("before", "").replace("\x00", "")
    if before:
        said, _, last = before.rpartition("~")
        try:
            value = read(said)
        except ValueError:
            records = records.none()
        else:
            lower = Q(**{f"{rank}__lt": value})
            records = records.filter(lower | Q(**{rank: value, "pk__lt": last}))
    found = list(records.order_by(f"-{rank}", "-pk")[: most + 1])
    more = ""
    if len(found) > most:
        last_one = found[most - 1]
        more = _query(request, f"{getattr(last_one, rank)}~{last_one.pk}")
    return Slice(found[:most], more, not before)


def _query(request: HttpRequest, before: str) -> str:
    """The query of the page that follows: the same, from there on."""
    asked = {name: value for name, value in request.GET.items() if name != "before" and value}
    return urlencode({**asked, "before": before})


def _before(records: QuerySet[Record], key: str, before: str) -> QuerySet[Record]:
    """Rows before a cursor; a cursor that somebody made up shows nothing."""
    if key == "pk":
        return records.filter(pk__lt=before.replace("\x00", ""))
    number = places.number_of(required_tenant(), before)
    return records.filter(**{f"{key}__lt": number}) if number else records.none()


def _said(last: Any, key: str) -> str:
    return str(last.pk) if key == "pk" else places.shown(last.tenant_id, getattr(last, key))
