"""The record of a policy: what it was born from, what it stopped, what it is blamed for, and its story.

"Policy P, born from A, blocked B, C and D." A policy that a person wrote has no incident to be born from and no trace
to tell its story on, so the story is put together here, from the ledger and from the evidence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Q
from django.utils import timezone

from governance import ledger
from governance.ids import first_id
from governance.models import LedgerEntry, LoopTrace
from policies.models import (
    Decision,
    Demotion,
    Evidence,
    LetPass,
    Outcome,
    Policy,
    PolicyVersion,
    Prevention,
    Regret,
    WouldBlock,
)
from policies.rules import RATE_WINDOW

from . import asking, overlaps, rates, regret

MOST_SHOWN = 20
MOST_TOLD = 200
MOST_DENIED = 1_000
"""Newest refusals of the tenant among which those of one policy are looked for: no index knows them by policy."""

_MOVES = {
    "policy.draft": "Drafted",
    "policy.shadow": "Watches, in shadow",
    "policy.confirmed": "Confirmed by a reviewer",
    "policy.pending": "Waits for a decision",
    "policy.active": "In force",
    "policy.suspended": "Suspended",
    "policy.retired": "Retired",
    "policy.reworded": "Worded anew",
}


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that happened in the life of a policy; ``subject`` is the record that says more."""

    at: datetime
    type: str
    headline: str
    actor: str = ""
    subject: str = ""
    reason: str = ""
    simulated: bool = False
    details: dict[str, Any] = field(default_factory=dict)


def record_of(policy: Policy) -> dict[str, Any]:
    """Everything that a policy did and was blamed for, in the API's words."""
    prevented = Prevention.objects.filter(policy=policy, simulated=False)
    latest = [_prevented(one) for one in _newest(prevented.select_related("decision__agent"))]
    born = _born_from(policy)
    return {
        "policy_id": policy.id,
        "name": policy.name,
        "mode": policy.mode,
        "said": _said(policy, born, latest, prevented.count()),
        "born_from": born,
        "preventions": {"count": prevented.count(), "latest": latest},
        "regrets": {
            "count": Regret.objects.filter(policy=policy, simulated=False).count(),
            "score": round(regret.score(policy), 4),
            "by_type": _by_type(policy),
        },
        "demotions": Demotion.objects.filter(policy=policy, simulated=False).count(),
        "in_shadow": asking.in_shadow(policy),
        "explored": explored(policy),
        "let_pass": let_pass(policy),
        "overlaps": overlaps.of(policy),
        "rates": rates.of_policy(policy, timezone.now()).as_json(),
        "simulated": {
            "preventions": Prevention.objects.filter(policy=policy, simulated=True).count(),
            "regrets": Regret.objects.filter(policy=policy, simulated=True).count(),
            "demotions": Demotion.objects.filter(policy=policy, simulated=True).count(),
        },
    }


def explored(policy: Policy) -> dict[str, int]:
    """How many of its would-be blocks were let through to measure it, whatever the version, and how they went."""
    rows = WouldBlock.objects.filter(
        policy=policy, simulated=False, decision__mode=Decision.Mode.EXPLORED
    )
    counts = dict(rows.values_list("result").annotate(number=Count("id")).order_by())
    return {
        "let_through": sum(counts.values()),
        "failed": counts.get(WouldBlock.Result.CONFIRMED, 0)
        + counts.get(WouldBlock.Result.OTHER_FAILURE, 0),
        "went_well": counts.get(WouldBlock.Result.FALSE_REJECTION, 0),
        "not_known_yet": counts.get(WouldBlock.Result.OPEN, 0),
    }


def let_pass(policy: Policy) -> dict[str, Any]:
    """Calls of 30 days that it let pass because it could not tell and fails open, by the reason it could not.

    ``stopped_anyway`` are those that another policy or a mode denied. Of the reasons the most frequent are told, each
    with the latest such call.
    """
    since = first_id("lps", timezone.now() - RATE_WINDOW)
    mine = LetPass.objects.filter(policy=policy, simulated=False, id__gte=since)
    stopped = Count("id", filter=~Q(decision__verdict__in=Decision.YES))
    faults = list(
        mine.values("fault")
        .annotate(count=Count("id"), latest=Max("id"))
        .order_by("-count", "fault")[:MOST_SHOWN]
    )
    latest = mine.in_bulk([fault["latest"] for fault in faults])
    return {
        **mine.aggregate(count=Count("id"), stopped_anyway=stopped),
        "faults": [
            {
                "fault": fault["fault"],
                "count": fault["count"],
                "latest_decision_id": latest[fault["latest"]].decision_id,
                "latest_at": latest[fault["latest"]].created_at,
            }
            for fault in faults
        ],
    }


def refusals_of(policy: Policy) -> list[Decision]:
    """The newest refusals that the policy had a part in, among the tenant's newest."""
    newest = Decision.objects.exclude(verdict__in=[*Decision.YES]).order_by("-id")[:MOST_DENIED]
    mine = [one.id for one in newest if any(each["id"] == policy.id for each in one.policies)]
    return list(
        Decision.objects.filter(id__in=mine[:MOST_SHOWN]).select_related("agent").order_by("-id")
    )


def story_of(policy: Policy, *, with_reasons: bool = False) -> list[Told]:
    """What happened in its life, oldest first; of a long one the newest 200 of each kind.

    ``with_reasons`` adds what people gave as their reasons, for who may read the ledger.
    """
    told = [
        *_moves(policy, with_reasons=with_reasons),
        *(
            Told(
                one.created_at,
                "prevention",
                f"Prevented {one.decision.agent.name}'s {one.decision.tool or one.decision.kind}"
                if one.decision
                else "A simulated prevention",
                subject=one.id,
                simulated=one.simulated,
            )
            for one in _most(Prevention.objects.select_related("decision__agent"), policy)
        ),
        *(
            Told(
                one.created_at,
                "regret",
                f"Harm {one.severity} of 10: {one.get_type_display().lower()}",
                one.reporter,
                one.id,
                one.description,
                one.simulated,
            )
            for one in _most(Regret.objects.all(), policy)
        ),
        *(
            Told(
                one.created_at,
                "demotion",
                f"Version {one.version} lost its force",
                "system:guard",
                one.id,
                one.reason,
                one.simulated,
                {"principals": one.principals},
            )
            for one in _most(Demotion.objects.all(), policy)
        ),
    ]
    # What one transaction wrote has nearly one time; a state follows from what was reported.
    order = {"regret": 0, "demotion": 1}
    return sorted(told, key=lambda one: (one.at, order.get(one.type, 2)))


def _moves(policy: Policy, *, with_reasons: bool) -> Iterator[Told]:
    """What the ledger says of it; of a version always why it came to be."""
    reasons = dict(PolicyVersion.objects.filter(policy=policy).values_list("number", "reason"))
    found = LedgerEntry.objects.filter(subject=policy.id, kind__in=_MOVES).order_by("-id")
    entries = list(found[:MOST_TOLD])
    said = ledger.reasons_of(entries) if with_reasons else {}
    version = policy.version
    for entry in entries:
        is_version = entry.kind in ("policy.reworded", "policy.draft")
        yield Told(
            entry.created_at,
            entry.kind.removeprefix("policy."),
            f"{_MOVES[entry.kind]}: version {version}" if is_version else _MOVES[entry.kind],
            entry.actor,
            entry.id,
            reasons.get(version, "") if is_version else said.get(entry.id, ""),
            details={"version": version} if is_version else {},
        )
        if is_version:
            version -= 1


def _most(rows: Any, policy: Policy) -> Any:
    return rows.filter(policy=policy).order_by("-id")[:MOST_TOLD]


def _newest(preventions: Any) -> Any:
    return preventions.order_by("-id")[:MOST_SHOWN]


def _prevented(prevention: Prevention) -> dict[str, Any]:
    decision = prevention.decision
    return {
        "id": prevention.id,
        "decision_id": prevention.decision_id,
        "agent_id": decision.agent.name if decision else None,
        "tool": decision.tool if decision else "",
        "similarity": round(prevention.similarity, 4),
        "at": prevention.created_at,
    }


def _born_from(policy: Policy) -> dict[str, Any] | None:
    """The incident that it was born from; None for one that a person wrote."""
    origin = Evidence.objects.filter(
        policy=policy, kind=Evidence.Kind.ORIGIN, incident__isnull=False
    ).order_by("id")
    first = origin.values_list("incident_id", flat=True).first()
    if first is None:
        return None
    headline = LoopTrace.objects.filter(incident_id=first).values_list("headline", flat=True)
    return {
        "incident_id": first,
        "headline": headline.first() or "",
        "pattern_id": policy.pattern_id,
        "failures_behind_it": Outcome.objects.filter(
            incident__in=policy.evidence.filter(withdraws=False).values("incident")
        ).count(),
    }


def _by_type(policy: Policy) -> dict[str, int]:
    rows = Regret.objects.filter(policy=policy, simulated=False)
    return dict(rows.values_list("type").annotate(number=Count("id")).order_by())


def _said(
    policy: Policy, born: dict[str, Any] | None, latest: list[dict[str, Any]], count: int
) -> str:
    origin = f"born from {born['incident_id']}" if born else "written by a person"
    if not count:
        return f"The policy {policy.name!r}, {origin}, has prevented nothing yet."
    shown = ", ".join(one["decision_id"] for one in latest[:3])
    more = f" and {count - 3} more" if count > 3 else ""
    return f"The policy {policy.name!r}, {origin}, blocked {shown}{more}."
