"""Regret: harm that a policy did, how it fades, and when it costs the policy its force."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

DAILY_DECAY = 0.10
DEMOTION_SCORE = 5.0
DEMOTION_EVENTS = 3
DEMOTION_WINDOW = timedelta(days=7)
AGENT_LIMIT = 4.0
"""What one agent's reports can come to: below the score that demotes, so that no agent alone can."""
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Regret:
    """One report that a policy did harm. `principal` is who says so."""

    severity: int
    principal: str
    at: datetime
    is_agent: bool

    @property
    def weight(self) -> float:
        """Its weight when fresh, 0.5 to 5.0."""
        return self.severity / 2


def decayed(weight: float, age: timedelta) -> float:
    """What a weight is worth at an age: 10 % less each day, continuously. Never more than when fresh."""
    kept: float = (1 - DAILY_DECAY) ** max(0.0, age / DAY)
    return weight * kept


def counted(regrets: Iterable[Regret]) -> list[Regret]:
    """The reports on one policy that count: an agent's heaviest of each day (UTC), a person's all."""
    heaviest: dict[tuple[str, object], Regret] = {}
    by_people = []
    for regret in regrets:
        if not regret.is_agent:
            by_people.append(regret)
            continue
        key = (regret.principal, regret.at.astimezone(UTC).date())
        held = heaviest.get(key)
        if held is None or (regret.severity, regret.at) > (held.severity, held.at):
            heaviest[key] = regret
    return [*heaviest.values(), *by_people]


def regret_score(regrets: Iterable[Regret], now: datetime) -> float:
    """What the reports on one policy come to at `now`, each agent's share limited."""
    by_people = 0.0
    by_agent: dict[str, float] = {}
    # In one order, because floating-point sums depend on it and a verdict must not.
    for regret in sorted(counted(regrets), key=lambda one: (one.at, one.principal, one.severity)):
        worth = decayed(regret.weight, now - regret.at)
        if regret.is_agent:
            by_agent[regret.principal] = by_agent.get(regret.principal, 0.0) + worth
        else:
            by_people += worth
    return by_people + sum(min(AGENT_LIMIT, worth) for _, worth in sorted(by_agent.items()))


def should_demote(regrets: Iterable[Regret], now: datetime) -> bool:
    """Whether the reports on one policy send it back to shadow.

    At a score of 5.0, or three counted reports in seven days; but never on the word of one agent
    alone: another agent or a person must have reported too.
    """
    known = counted(regrets)
    if all(one.is_agent for one in known) and len({one.principal for one in known}) < 2:
        return False
    recent = sum(1 for one in known if one.at > now - DEMOTION_WINDOW)
    # To two places, as people see it: reports that make 5.0 must not fall short by the minutes between them.
    return recent >= DEMOTION_EVENTS or round(regret_score(known, now), 2) >= DEMOTION_SCORE


def regret_rate(regrets: int, preventions: int) -> float | None:
    """regrets / (regrets + preventions) over the window; None when there were neither."""
    total = regrets + preventions
    return regrets / total if total else None
