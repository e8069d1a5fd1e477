"""Ids: a type's prefix and a sortable UUIDv7, as in ``inc_01jd3v…`` (TypeID)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import models
from typeid import TypeID
from typeid.errors import TypeIDException

ID_LENGTH = 40


def new_id(prefix: str) -> str:
    """A fresh id; prefix is 3 or 4 lower-case letters."""
    return str(TypeID(prefix=prefix))


def first_id(prefix: str, at: datetime) -> str:
    """The lowest id that could have been made at a moment: ids sort by time, so rows since then are a range of a key."""
    milliseconds = int(at.timestamp() * 1_000)
    lowest = UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62)
    # It takes any UUID, and says only its own.
    return str(TypeID.from_uuid(lowest, prefix=prefix))  # type: ignore[arg-type]


def earlier(id: str, by: timedelta) -> str:
    """The lowest id of the same prefix that could have been made so much before another."""
    prefix, _, _ = id.rpartition("_")
    return first_id(prefix, made_at(id) - by)


def made_at(id: str) -> datetime:
    """When an id was made, to the millisecond, by the clock of who made it. Raises ValueError for what is no id."""
    try:
        milliseconds = TypeID.from_string(id).uuid.int >> 80
    except TypeIDException as error:
        raise ValueError(f"{id!r} is no id") from error
    return datetime.fromtimestamp(milliseconds / 1_000, UTC)


class IdField(models.CharField):  # type: ignore[type-arg]
    """A primary key made by us: text, because row-level security compares text without a cast.

    The column is declared as ``character varying`` (not Django's ``varchar``), which keeps Django from adding a
    second index for LIKE searches that nobody makes.
    """

    def __init__(self, prefix: str = "", **kwargs: Any) -> None:
        self.prefix = prefix
        kwargs.setdefault("max_length", ID_LENGTH)
        kwargs.setdefault("primary_key", True)
        kwargs.setdefault("editable", False)
        if prefix:
            kwargs.setdefault("default", partial(new_id, prefix))
        super().__init__(**kwargs)

    def deconstruct(self) -> tuple[str, str, Any, Any]:
        name, path, args, kwargs = super().deconstruct()
        if self.prefix:
            kwargs["prefix"] = self.prefix
        kwargs.pop("default", None)
        return name, path, args, kwargs

    def db_type(self, connection: Any) -> str:
        return f"character varying({self.max_length})"
