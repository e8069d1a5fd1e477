"""Graduation: what a tenant's loop has proved, gathered from real evidence and judged by the rules.

Every reading judges afresh. That a tenant graduated is remembered in the ledger, because the bars to stay are lower
than those to enter; the latest entry about the tenant is what holds.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from governance import ledger
from governance.actors import Actor
from governance.database.tenancy import required_tenant
from governance.models import LedgerEntry, User
from incidents.models import Incident
from policies import rules
from policies.models import Demotion, Prevention, TimelineView

from . import rates as counted
from .rates import Rates

GRADUATED = "graduation.reached"
DEGRADED = "graduation.lost"
FORGOTTEN = "graduation.simulations_forgotten"
MOST_HISTORY = 50
MOST_ROWS = 5


def status() -> dict[str, Any]:
    """How far the tenant has come, in the API's words: gates, capabilities, what next, and the rates of 30 days."""
    now = timezone.now()
    rates = counted.of_tenant(now)
    evidence = _evidence(rates)
    judged = rules.gates(evidence, now)
    return {
        "status": judged.status,
        "is_graduated": judged.is_graduated,
        "degraded_because": list(judged.degraded_because),
        "gates": {gate.key: _gate(gate) for gate in judged.gates},
        "capabilities": judged.capabilities,
        "unlocks": [asdict(capability) for capability in judged.unlocks],
        "next_action": judged.next_action,
        "prevention_stats": {
            "window_days": rules.RATE_WINDOW.days,
            "preventions": rates.preventions,
            "incidents": rates.incidents,
            "rate": rates.prevention_rate,
            "last_prevention_at": rates.last_prevention_at,
            "simulated": evidence.simulated_preventions,
        },
        "regret_stats": {
            "window_days": rules.RATE_WINDOW.days,
            "regrets": rates.regrets,
            "preventions": rates.preventions,
            "rate": rates.regret_rate,
            "demotions": evidence.demotions,
            "simulated": evidence.simulated_demotions,
        },
        "history": [_told(entry) for entry in _history()[:MOST_HISTORY]],
    }


def is_graduated() -> bool:
    """Whether the tenant has what graduation unlocks, automatic activation, at this moment."""
    return _judge(timezone.now()).is_graduated


def re_evaluate(*, actor: Actor) -> dict[str, Any]:
    """Judge the tenant now and remember in the ledger what changed; answers as ``status`` does."""
    judged = _judge(timezone.now())
    if judged.is_graduated != _was_graduated():
        kind = GRADUATED if judged.is_graduated else DEGRADED
        ledger.append(
            kind, required_tenant(), actor=actor, reason="; ".join(judged.degraded_because)
        )
    return status()


def forget_simulations(*, actor: Actor, reason: str = "") -> dict[str, Any]:
    """Leave the simulated evidence that there is out of every count from now on; answers as ``status`` does.

    It stays in the database, as everything that was written. Real evidence cannot be forgotten.
    """
    ledger.append(FORGOTTEN, required_tenant(), actor=actor, reason=reason)
    return status()


def evidence_rows() -> dict[str, dict[str, list[Any]]]:
    """The newest evidence behind each gate, real and simulated apart."""
    since = _forgotten_at()
    rows: dict[str, QuerySet[Any]] = {
        "gate1_prevention": Prevention.objects.select_related("policy", "decision__agent"),
        "gate2_rollback": Demotion.objects.select_related("policy"),
        "gate3_console": TimelineView.objects.select_related("user", "incident"),
    }
    return {
        gate: {
            "real": list(found.filter(simulated=False).order_by("-id")[:MOST_ROWS]),
            "simulated": list(found.filter(_simulated(since)).order_by("-id")[:MOST_ROWS]),
        }
        for gate, found in rows.items()
    }


def note_timeline_view(user: User, incident_id: str) -> TimelineView | None:
    """Remember that a signed-in person opened an incident's timeline, if that counts for gate 3.

    It counts when the timeline shows all three: the incident, the policy born from it, and a real failure which that
    policy prevented. Once per person and incident; None when there is nothing new to remember.
    """
    shows_prevention = Prevention.objects.filter(
        simulated=False, policy__simulated=False, policy__trace__incident_id=incident_id
    ).exists()
    if not shows_prevention or _has_seen(user, incident_id):
        return None
    view = TimelineView.objects.create(user=user, incident_id=incident_id)
    actor = Actor("user", str(user.pk), user.get_username())
    ledger.append("timeline.viewed", view.id, actor=actor, incident=incident_id)
    re_evaluate(actor=actor)
    return view


def simulate_timeline_view(incident: Incident, *, user: User | None, actor: Actor) -> TimelineView:
    """Store a view that nobody had, to try out what follows from one. It never counts."""
    view = TimelineView.objects.create(user=user, incident=incident, simulated=True)
    ledger.append("timeline.simulated", view.id, actor=actor, incident=incident.id)
    return view


def _judge(now: datetime) -> rules.Graduation:
    return rules.gates(_evidence(counted.of_tenant(now)), now)


def _evidence(rates: Rates) -> rules.Evidence:
    since = _forgotten_at()
    views = TimelineView.objects.aggregate(**_real_and_simulated(since))
    # Every demotion is the product's own doing: no person can send an active policy back to shadow.
    demotions = Demotion.objects.aggregate(**_real_and_simulated(since))
    return rules.Evidence(
        preventions=rates.preventions,
        incidents=rates.incidents,
        regrets=rates.regrets,
        demotions=demotions["real"],
        timeline_views=views["real"],
        last_prevention_at=rates.last_prevention_at,
        simulated_preventions=Prevention.objects.filter(_simulated(since)).count(),
        simulated_demotions=demotions["simulated"],
        simulated_views=views["simulated"],
        was_graduated=_was_graduated(),
    )


def _real_and_simulated(since: datetime | None) -> dict[str, Count]:
    return {
        "real": Count("id", filter=Q(simulated=False)),
        "simulated": Count("id", filter=_simulated(since)),
    }


def _simulated(since: datetime | None) -> Q:
    """Simulated evidence that nobody has forgotten."""
    return Q(simulated=True) & (Q(created_at__gt=since) if since else Q())


def _forgotten_at() -> datetime | None:
    entries = LedgerEntry.objects.filter(subject=required_tenant(), kind=FORGOTTEN)
    return entries.order_by("-id").values_list("created_at", flat=True).first()


def _history() -> QuerySet[LedgerEntry]:
    """What became of the tenant's graduation, newest first."""
    kinds = [GRADUATED, DEGRADED, FORGOTTEN]
    return LedgerEntry.objects.filter(subject=required_tenant(), kind__in=kinds).order_by("-id")


def _told(entry: LedgerEntry) -> dict[str, Any]:
    return {"at": entry.created_at, "event": entry.kind, "actor": entry.actor, "entry": entry.id}


def _was_graduated() -> bool:
    latest = _history().exclude(kind=FORGOTTEN).values_list("kind", flat=True).first()
    return latest == GRADUATED


def _has_seen(user: User, incident_id: str) -> bool:
    return TimelineView.objects.filter(user=user, incident_id=incident_id, simulated=False).exists()


def _gate(gate: rules.Gate) -> dict[str, Any]:
    return {
        "name": gate.name,
        "description": gate.description,
        "passed": gate.passed,
        "evidence": gate.evidence,
        "simulated": gate.simulated,
    }
