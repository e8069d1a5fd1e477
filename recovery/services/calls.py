"""Calls to servers that are not ours: the intent before, the answer after, one key however often it is repeated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import F
from django.db.models.functions import Now

from ..models import OutsideCall

MAX_ERROR = 500


def intend(purpose: str, keys: Iterable[str]) -> None:
    """Write that these calls will be made, before any of them is; a call that was answered stays answered."""
    OutsideCall.objects.bulk_create(
        [OutsideCall(key=key, purpose=purpose) for key in keys], ignore_conflicts=True
    )


def intend_again(key: str) -> None:
    """Let a call that failed for good be made once more, with the same key."""
    OutsideCall.objects.filter(key=key).update(attempts=0, answer=None, answered_at=None, error="")


def begin(key: str) -> OutsideCall:
    """Count an attempt, before anything is sent. What was answered already carries its answer."""
    OutsideCall.objects.filter(key=key, answered_at=None).update(attempts=F("attempts") + 1)
    return OutsideCall.objects.get(key=key)


def said_first(call: OutsideCall, now: dict[str, Any]) -> dict[str, Any]:
    """What this call says: what it said the first time, whatever has changed since (a name, say); ``now`` where it is new."""
    OutsideCall.objects.filter(pk=call.pk, said__isnull=True).update(said=now)
    first: dict[str, Any] = OutsideCall.objects.values_list("said", flat=True).get(pk=call.pk)
    return first


def answered(key: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Keep what was answered; the first answer wins, and is what is returned."""
    OutsideCall.objects.filter(key=key, answered_at=None).update(
        answer=answer, answered_at=Now(), error=""
    )
    kept: dict[str, Any] = OutsideCall.objects.get(key=key).answer
    return kept


def failed(key: str, error: str) -> None:
    """Keep why an attempt had no answer."""
    OutsideCall.objects.filter(key=key, answered_at=None).update(
        error=error[:MAX_ERROR].replace("\x00", "")
    )
