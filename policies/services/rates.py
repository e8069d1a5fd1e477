"""How often failures are prevented and policies regretted: of the tenant, of each policy, of each pattern.

prevention rate = preventions / (preventions + incidents in spite of an active policy of their pattern)
regret rate = regrets / (regrets + preventions), both over 30 days, without anything simulated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Exists, F, Max, OuterRef, Q, QuerySet
from django.db.models.functions import TruncDate

from catalog.models import Pattern, PatternMatch
from policies.models import Decision, Outcome, Policy, Prevention, Regret
from policies.rules import RATE_WINDOW, prevention_rate, regret_rate

MOST_LISTED = 200
# From a match to the policies of its pattern, and to those of what was merged into it.
_BY = ("pattern__policies", "pattern__merged__policies")


@dataclass(frozen=True, slots=True)
class Rates:
    """What 30 days came to, without anything simulated. A rate is 0 to 1, or None where nothing happened."""

    preventions: int
    incidents: int
    """Of patterns that had an active policy when they occurred: those that it did not stop."""
    regrets: int
    last_prevention_at: datetime | None = None
    """Ever, not only in these days; of the tenant only."""

    @property
    def prevention_rate(self) -> float | None:
        return prevention_rate(self.preventions, self.incidents)

    @property
    def regret_rate(self) -> float | None:
        return regret_rate(self.regrets, self.preventions)

    def as_json(self) -> dict[str, Any]:
        """In the API's words."""
        return {
            "preventions": self.preventions,
            "incidents": self.incidents,
            "regrets": self.regrets,
            "prevention_rate": self.prevention_rate,
            "regret_rate": self.regret_rate,
        }


@dataclass(frozen=True, slots=True)
class Line:
    """The rates of one policy or pattern, with its name."""

    id: str
    name: str
    state: str
    rates: Rates

    def as_json(self) -> dict[str, Any]:
        """In the API's words."""
        return {"id": self.id, "name": self.name, "state": self.state, **self.rates.as_json()}


def of_tenant(now: datetime) -> Rates:
    """The tenant's preventions and regrets of the 30 days before ``now``."""
    since = now - RATE_WINDOW
    real = Prevention.objects.filter(simulated=False)
    return Rates(
        preventions=real.filter(created_at__gte=since).count(),
        incidents=_number(since),
        regrets=sum(_regrets(since, "policy_id").values()),
        last_prevention_at=real.aggregate(last=Max("created_at"))["last"],
    )


def of_policy(policy: Policy, now: datetime) -> Rates:
    """The same of one policy."""
    since = now - RATE_WINDOW
    prevented = Prevention.objects.filter(
        policy=policy, simulated=False, created_at__gte=since
    ).count()
    in_spite = _number(since, policy=policy)
    return Rates(prevented, in_spite, _regrets(since, "policy_id", policy=policy)[policy.id])


def by_policy(now: datetime) -> list[Line]:
    """The policies that did something in the 30 days before ``now``, those that prevented most first."""
    since = now - RATE_WINDOW
    prevented = _preventions(since, "policy_id")
    in_spite = sum((_counted(_in_spite(since, by), f"{by}__id") for by in _BY), Counter())
    regrets = _regrets(since, "policy_id")
    names = Policy.objects.filter(id__in={*prevented, *in_spite, *regrets})
    return _lines(
        {one.id: (one.name, one.mode) for one in names.only("id", "name", "state")},
        prevented,
        in_spite,
        regrets,
    )


def by_pattern(now: datetime) -> list[Line]:
    """The same of patterns."""
    since = now - RATE_WINDOW
    prevented = _preventions(since, "pattern_id")
    in_spite = sum((_counted(_in_spite(since, by), "pattern_id") for by in _BY), Counter())
    regrets = _regrets(since, "policy__pattern_id")
    names = Pattern.objects.filter(id__in={*prevented, *in_spite, *regrets})
    return _lines({one.id: (one.name, "") for one in names}, prevented, in_spite, regrets)


def _lines(
    known: Mapping[str, tuple[str, str]],
    prevented: Counter[str],
    in_spite: Counter[str],
    regrets: Counter[str],
) -> list[Line]:
    lines = [
        Line(each, name, state, Rates(prevented[each], in_spite[each], regrets[each]))
        for each, (name, state) in known.items()
    ]
    lines.sort(key=lambda line: (-line.rates.preventions, -line.rates.incidents, line.id))
    return lines[:MOST_LISTED]


def _preventions(since: datetime, key: str) -> Counter[str]:
    rows = Prevention.objects.filter(simulated=False, created_at__gte=since).values_list(key)
    return Counter(dict(rows.annotate(number=Count("id")).order_by()))


def _counted(matches: QuerySet[PatternMatch], key: str) -> Counter[str]:
    rows = matches.values_list(key).annotate(number=Count("incident_id", distinct=True))
    return Counter(dict(rows.order_by()))


def _number(since: datetime, **policy: Policy) -> int:
    """Incidents that happened in spite of a policy, each once."""
    own, merged = (_in_spite(since, by, **policy).values("incident_id") for by in _BY)
    return own.union(merged).count()


def _in_spite(since: datetime, by: str, **policy: Policy) -> QuerySet[PatternMatch]:
    """Matches of failures that an active policy of their pattern did not stop, once for each such policy.

    ``by`` is one of the ways from a match to a policy, ``_BY``.
    """
    # Those before the policy was active are what it was made from: nothing could have prevented them. Nor could it
    # prevent what a bypass or measured exploration let through.
    let_through = Outcome.objects.filter(incident=OuterRef("incident")).filter(
        Q(overridden=True) | Q(decision__mode=Decision.Mode.EXPLORED)
    )
    found = {
        f"{by}__state": Policy.State.ACTIVE,
        f"{by}__simulated": False,
        f"{by}__state_since__lte": F("incident__occurred_at"),
        **({by: policy["policy"]} if policy else {}),
    }
    return PatternMatch.objects.standing().filter(
        ~Exists(let_through),
        incident__simulated=False,
        incident__occurred_at__gte=since,
        **found,
    )


def _regrets(since: datetime, key: str, **of: Policy) -> Counter[str]:
    """Regrets as they count for demotion: upheld appeals all, else once for each policy, principal and day (UTC).

    One agent that floods reports would otherwise cost the tenant its graduation.
    """
    known = Regret.objects.filter(simulated=False, created_at__gte=since, **of).order_by()
    alone = known.filter(appellant="").values_list(
        key, "policy_id", "reporter", TruncDate("created_at")
    )
    counts = Counter(row[0] for row in alone.distinct())
    counts.update(known.exclude(appellant="").values_list(key, flat=True))
    return counts
