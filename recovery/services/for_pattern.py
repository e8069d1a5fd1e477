"""What a pattern's page shows of its recoveries."""

from __future__ import annotations

from typing import Any

from ..models import Recovery

LOOKED_AT = 500


def of_pattern(pattern_id: str) -> list[dict[str, Any]]:
    """The recoveries of a kind of failure, newest first: those that did the same are one, with how often.

    Of the newest LOOKED_AT; each says the state of the newest one.
    """
    alike: dict[str, dict[str, Any]] = {}
    found = Recovery.objects.filter(pattern_id=pattern_id).order_by("-id")
    for each in found.only("id", "title", "state", "created_at")[:LOOKED_AT]:
        told = {"kind": "recovery", "name": each.title, "state": each.state, "at": each.created_at}
        alike.setdefault(each.title, {"id": each.id, **told, "count": 0})["count"] += 1
    return list(alike.values())
