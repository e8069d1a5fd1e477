"""Forgetting what a person said, while the tree still verifies."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.db import connection

from ..actors import Actor
from ..models import LedgerEntry, LedgerPayload
from ..refusals import Conflict
from .entries import append

ERASED = "ledger.erased"


class NothingToErase(Conflict):
    """The entry has no payload, or it was erased already."""


def erase(entry: LedgerEntry, *, actor: Actor, reason: str) -> None:
    """Delete what can be erased of an entry, for good, and say so in an entry of its own.

    The entry's bytes, and so its hash, stay: they say the hash of salt and payload, of which the salt goes too.
    Raises NothingToErase.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT antibody_erase_payload(%s)", (entry.pk,))
        (erased,) = cursor.fetchone()
    if not erased:
        raise NothingToErase(f"{entry.pk} has nothing that could be erased.")
    append(ERASED, entry.pk, actor=actor, reason=reason)


def reasons_of(entries: Iterable[LedgerEntry]) -> dict[str, str]:
    """The reasons that were given, by the entry's id, in one query; without those that were erased."""
    kept = LedgerPayload.objects.filter(pk__in=[entry.pk for entry in entries])
    said = {each.pk: json.loads(bytes(each.payload)).get("reason", "") for each in kept}
    return {each: reason for each, reason in said.items() if reason}


def private_of(entry: LedgerEntry) -> dict[str, Any] | None:
    """What was said in private, the reason mostly; None where nothing was, or it has been erased."""
    kept = LedgerPayload.objects.filter(pk=entry.pk).first()
    if kept is None:
        return None
    said: dict[str, Any] = json.loads(bytes(kept.payload))
    return said
