"""How far a tenant has graduated, and rehearsals of what would bring it on; rehearsals never graduate anybody."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction

from governance.actors import COMMAND
from governance.database.tenancy import tenant_scope
from governance.models import Tenant
from incidents.models import Incident
from policies.models import Evidence, Policy
from policies.services import graduation, prevention, regret

SIMULATED = ("prevention", "regret", "timeline-view")


class Command(BaseCommand):
    help = "Show the three gates of a tenant; --simulate stores evidence that never counts; --reset forgets it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", help="its slug; may be left out where there is only one")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--status", action="store_true", help="show it (the usual)")
        what.add_argument("--simulate", choices=SIMULATED, help="store evidence marked as such")
        what.add_argument("--reset", action="store_true", help="forget what was simulated so far")
        parser.add_argument("--policy", help="the policy to rehearse with; usually the newest")
        parser.add_argument("--severity", type=int, default=10, help="of a simulated regret, 1-10")
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        with tenant_scope(_tenant(options["tenant"]).id), transaction.atomic():
            if options["simulate"]:
                _SIMULATE[options["simulate"]](_policy(options["policy"]), options)
            if options["reset"]:
                graduation.forget_simulations(actor=COMMAND)
            found = graduation.status()
        if options["json"]:
            self.stdout.write(json.dumps(found, cls=DjangoJSONEncoder))
        else:
            self.stdout.write(told(found))


def told(found: dict[str, Any]) -> str:
    """The status for people; what was simulated stands apart and says that it does not count."""
    lines = [found["status"]]
    for gate in found["gates"].values():
        lines.append(
            f"  [{'x' if gate['passed'] else ' '}] {gate['name']}: {gate['description']} Real evidence: {gate['evidence']}."
        )
        if gate["simulated"]:
            lines.append(f"      simulated, never counts: {gate['simulated']}")
    lines += [
        f"  {'unlocked' if each['is_unlocked'] else 'locked  '}  {each['title']} ({each['needs']})"
        for each in found["unlocks"]
    ]
    lines.append(f"Next: {found['next_action']}")
    lines += [f"  {each['at']:%Y-%m-%d %H:%M} {each['event']}" for each in found["history"]]
    return "\n".join(lines)


def _tenant(slug: str | None) -> Tenant:
    found = Tenant.objects.filter(slug=slug) if slug else Tenant.objects.all()
    tenants = list(found[:2])
    if len(tenants) != 1:
        raise CommandError(
            f"There is no tenant {slug!r}."
            if slug
            else "Say which: --tenant (there is not just one)."
        )
    return tenants[0]


def _policy(policy_id: str | None) -> Policy:
    found = Policy.objects.filter(pk=policy_id) if policy_id else Policy.objects.order_by("-id")
    policy = found.filter(pattern__isnull=False).first() or found.first()
    if policy is None:
        raise CommandError("There is no such policy to rehearse with.")
    return policy


def _incident(policy: Policy) -> Incident:
    origin = Evidence.objects.filter(policy=policy, incident__isnull=False).order_by("id").first()
    if origin is None or origin.incident is None:
        raise CommandError(f"{policy.id} was not born from an incident: choose another --policy.")
    incident: Incident = origin.incident
    return incident


def _simulate_prevention(policy: Policy, options: dict[str, Any]) -> None:
    if policy.pattern is None:
        raise CommandError(f"{policy.id} remembers no pattern: choose another --policy.")
    prevention.simulate_prevention(
        policy, pattern=policy.pattern, incident=_incident(policy), confidence=1.0, actor=COMMAND
    )


def _simulate_regret(policy: Policy, options: dict[str, Any]) -> None:
    if not 1 <= options["severity"] <= 10:
        raise CommandError("--severity is 1 to 10.")
    regret.report(policy, severity=options["severity"], actor=COMMAND, simulated=True)


def _simulate_view(policy: Policy, options: dict[str, Any]) -> None:
    graduation.simulate_timeline_view(_incident(policy), user=None, actor=COMMAND)


_SIMULATE: dict[str, Callable[[Policy, dict[str, Any]], None]] = {
    "prevention": _simulate_prevention,
    "regret": _simulate_regret,
    "timeline-view": _simulate_view,
}
