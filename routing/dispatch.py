"""Where a call may go now: weights as the active policies leave them, and the agent to choose.

Everything is computed when it is read, from open adjustments of active policies: demoting, retiring or
suspending a policy takes its adjustments out of every weight at once, without a word to routing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from governance.models import Agent

from . import rules
from .models import Adjustment
from .rules import MAX_WEIGHT, MIN_WEIGHT, AdjustmentType, Candidate

BASELINE_WEIGHT = MAX_WEIGHT
BASELINE_ESCALATION = MIN_WEIGHT


@dataclass(frozen=True, slots=True)
class Route:
    """One agent for one capability now: weight and escalation in 0..1, and whether policies route away from it."""

    capability: str
    weight: float
    escalation: float
    is_blocked: bool
    adjustments: tuple[str, ...] = ()


def weight(agent: Agent, capability: str, now: datetime | None = None) -> float:
    """How far an agent may be trusted with a capability, 0 to 1; 1 where no policy says otherwise."""
    return route(agent, capability, now).weight


def escalation(agent: Agent, capability: str, now: datetime | None = None) -> float:
    """How readily people should be asked about an agent's capability, 0 to 1; 0 where no policy says otherwise."""
    return route(agent, capability, now).escalation


def route(agent: Agent, capability: str, now: datetime | None = None) -> Route:
    """All there is to say of one agent and one capability."""
    found = Adjustment.objects.counting().filter(agent=agent, capability=capability)
    return _route(capability, list(found), now or timezone.now())


def weights(agent: Agent, now: datetime | None = None) -> Mapping[str, Route]:
    """The capabilities of an agent that policies adjust now, by name; every other is at its baseline."""
    grouped = defaultdict(list)
    for one in Adjustment.objects.counting().filter(agent=agent).order_by("capability", "id"):
        grouped[one.capability].append(one)
    now = now or timezone.now()
    return {capability: _route(capability, found, now) for capability, found in grouped.items()}


def choose(agents: Iterable[Agent], capability: str, now: datetime | None = None) -> Agent | None:
    """The agent to hand a call to: the highest weight, ties by name; None when none may be used.

    Stopped agents and those that an active policy routes away from are never chosen.
    """
    by_name = {agent.name: agent for agent in agents if not agent.stopped}
    grouped = defaultdict(list)
    for one in Adjustment.objects.counting().filter(
        agent__in=list(by_name.values()), capability=capability
    ):
        grouped[one.agent_id].append(one)
    now = now or timezone.now()
    routes = {name: _route(capability, grouped[agent.id], now) for name, agent in by_name.items()}
    chosen = rules.choose_route(
        [Candidate(name, found.weight) for name, found in routes.items()],
        avoid={name for name, found in routes.items() if found.is_blocked},
    )
    return by_name[chosen.name] if chosen else None


def _route(capability: str, adjustments: Sequence[Adjustment], now: datetime) -> Route:
    counted = [one for one in adjustments if one.ends_at > now]
    seen = [rules.Adjusted(one.type, one.magnitude, one.started_at) for one in counted]
    return Route(
        capability,
        weight=rules.weight(BASELINE_WEIGHT, seen, now),
        escalation=rules.escalation(BASELINE_ESCALATION, seen, now),
        is_blocked=any(one.type == AdjustmentType.ROUTE_BLOCK for one in counted),
        adjustments=tuple(one.id for one in counted),
    )
