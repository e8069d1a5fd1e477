"""How far policies reach: calls that one spoke of, policies that spoke of none, and policies in each other's way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, Q
from django.db.models.functions import Now

from policies.as_code.linting import Clash
from policies.models import Decision, Policy, WouldBlock

from . import overlaps

DAYS = 30
TOOLS_SHOWN = 200
LOOKED_AT = 20_000
"""Latest decisions other than a plain yes whose policies are counted."""
COMPARED = 1_000
"""Live policies that are compared with each other."""


@dataclass(frozen=True, slots=True)
class OfTool:
    """The calls of one tool, and those of them that a policy in force spoke of."""

    tool: str
    calls: int
    explicit: int

    @property
    def share(self) -> float:
        return self.explicit / self.calls if self.calls else 0.0


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the last days came to."""

    days: int
    tools: list[OfTool]
    never_hit: list[Policy]
    """Live for that long or shorter, and true of no real call since."""
    clashes: list[Clash]
    live: int

    @property
    def calls(self) -> int:
        return sum(each.calls for each in self.tools)

    @property
    def explicit(self) -> int:
        return sum(each.explicit for each in self.tools)

    @property
    def share(self) -> float:
        return self.explicit / self.calls if self.calls else 0.0


def coverage(*, days: int = DAYS, tool: str = "") -> Coverage:
    """Of the tenant in scope; ``tool`` looks at the calls and policies of one."""
    recent = Decision.objects.filter(simulated=False, created_at__gt=Now() - timedelta(days=days))
    live = Policy.objects.live().filter(simulated=False).order_by("id")
    if tool:
        recent, live = recent.filter(tool=tool), live.filter(tool__in=["", tool])
    rows = (
        recent.order_by()
        .values("tool")
        .annotate(calls=Count("id"), explicit=Count("id", filter=~Q(policies=[])))
        .order_by("-calls", "tool")
    )
    policies = list(live)
    hits = _hits(recent)
    return Coverage(
        days,
        [OfTool(**row) for row in rows[:TOOLS_SHOWN]],
        [policy for policy in policies if not hits[policy.id]],
        overlaps.among(policies[:COMPARED]),
        len(policies),
    )


def _hits(recent: Any) -> Counter[str]:
    """How often each policy was true of a call, in force or watching."""
    hits: Counter[str] = Counter()
    for told in (
        recent.exclude(verdict=Decision.Verdict.ALLOW)
        .order_by("-id")
        .values_list("policies", flat=True)[:LOOKED_AT]
    ):
        hits.update(policy["id"] for policy in told)
    watched = WouldBlock.objects.filter(decision__in=recent.order_by())
    hits.update(dict(watched.values_list("policy_id").annotate(Count("id")).order_by()))
    return hits


def as_json(found: Coverage) -> dict[str, Any]:
    """Coverage for machines."""
    return {
        "days": found.days,
        "calls": found.calls,
        "explicit": found.explicit,
        "share": round(found.share, 4),
        "tools": [
            {"tool": each.tool, "calls": each.calls, "explicit": each.explicit}
            for each in found.tools
        ],
        "live": found.live,
        "never_hit": [
            {"id": each.id, "name": each.name, "state": each.state} for each in found.never_hit
        ],
        "clashes": [
            {
                "kind": each.kind,
                "policy": each.policy.where,
                "other": each.other.where,
                "text": str(each),
            }
            for each in found.clashes
        ],
    }
