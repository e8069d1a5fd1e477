"""Ids: a type's prefix and a sortable UUIDv7, as in ``inc_01jd3v…`` (TypeID)."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import models
from typeid import TypeID

ID_LENGTH = 40


def new_id(prefix: str) -> str:
    """A fresh id; prefix is 3 or 4 lower-case letters."""
    return str(TypeID(prefix=prefix))


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
