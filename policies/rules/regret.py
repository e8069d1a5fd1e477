"""Regret: harm that a policy did, how it fades, and when it costs the policy its force."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

DAILY_DECAY = 0.10
DEMOTION_SCORE = 5.0
DEMOTION_EVENTS = 3
DEMOTION_WINDOW = timedelta(days=7)
ALONE_SCORE = 4.0
"""What one principal's reports can come to: below the score that demotes, so that nobody alone can."""
ALONE_EVENTS = DEMOTION_EVENTS - 1
"""How many of one principal's reports count towards the number that demotes, for the same reason."""
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Regret:
    """One report that a policy did harm.

    ``principals`` are those who stand behind it: who reported it, and for an upheld appeal also who appealed.
    """

    severity: int
    principals: frozenset[str]
    at: datetime

    @property
    def weight(self) -> float:
        """Its weight when fresh, 0.5 to 5.0."""
        return self.severity / 2

    @property
    def alone(self) -> str:
        """The one principal behind it; empty where there are two."""
        return next(iter(self.principals)) if len(self.principals) == 1 else ""


def decayed(weight: float, age: timedelta) -> float:
    """What a weight is worth at an age: 10 % less each day, continuously. Never more than when fresh."""
    kept: float = (1 - DAILY_DECAY) ** max(0.0, age / DAY)
    return weight * kept


def counted(regrets: Iterable[Regret]) -> list[Regret]:
    """The reports on one policy that count: each principal's heaviest of each day (UTC), upheld appeals all."""
    heaviest: dict[tuple[str, object], Regret] = {}
    together = []
    for regret in regrets:
        if not regret.alone:
            together.append(regret)
            continue
        key = (regret.alone, regret.at.astimezone(UTC).date())
        held = heaviest.get(key)
        if held is None or (regret.severity, regret.at) > (held.severity, held.at):
            heaviest[key] = regret
    return [*heaviest.values(), *together]


def regret_score(regrets: Iterable[Regret], now: datetime) -> float:
    """What the reports on one policy come to at `now`, each single principal's share limited to 4.0."""
    together = 0.0
    alone: dict[str, float] = {}
    # In one order, because floating-point sums depend on it and a verdict must not.
    for regret in sorted(
        counted(regrets), key=lambda one: (one.at, sorted(one.principals), one.severity)
    ):
        worth = decayed(regret.weight, now - regret.at)
        if regret.alone:
            alone[regret.alone] = alone.get(regret.alone, 0.0) + worth
        else:
            together += worth
    return together + sum(min(ALONE_SCORE, worth) for _, worth in sorted(alone.items()))


def regret_events(regrets: Iterable[Regret], now: datetime) -> int:
    """How many counted reports fall into the seven days before `now`; of a single principal's two at most."""
    recent = [one for one in counted(regrets) if one.at > now - DEMOTION_WINDOW]
    alone: Mapping[str, int] = Counter(one.alone for one in recent if one.alone)
    together = sum(1 for one in recent if not one.alone)
    return together + sum(min(ALONE_EVENTS, number) for number in alone.values())


def should_demote(regrets: Iterable[Regret], now: datetime) -> bool:
    """Whether the reports on one policy send it back to shadow: at a score of 5.0, or the third event in seven days.

    Neither can be reached by one principal alone, agent or person: another one must have reported too, or
    agreed with an appeal.
    """
    known = counted(regrets)
    # To two places, as people see it: reports that make 5.0 must not fall short by the minutes between them.
    return (
        regret_events(known, now) >= DEMOTION_EVENTS
        or round(regret_score(known, now), 2) >= DEMOTION_SCORE
    )


def regret_rate(regrets: int, preventions: int) -> float | None:
    """regrets / (regrets + preventions) over the window; None when there were neither."""
    total = regrets + preventions
    return regrets / total if total else None
