"""The verbs of policies.

`life` moves a policy from draft to retirement, `learning` is the loop's step from a recovery to a policy,
`drafting` words conditions, `evidence` judges them by what happened, `regret` takes their force away.
`guard` and `prevention` are the path of an action. What several of them ask is here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import F, QuerySet

from governance.database.compiled import compiled
from policies import rules
from policies.models import Evidence, Policy

MOST_OF_PATTERN = 50
COUNTING = (Evidence.Kind.ORIGIN, Evidence.Kind.CONFIRMATION)


def story(policy_id: str) -> dict[str, Any] | None:
    """What an incident's story shows of a policy; None when there is none."""
    policy = Policy.objects.only("id", "state").filter(pk=policy_id).first()
    return {"id": policy.id, "mode": policy.mode} if policy else None


def of_pattern(pattern_id: str) -> list[dict[str, Any]]:
    """What a pattern's page shows of the policies that remember it, newest first, MOST_OF_PATTERN at most."""
    found = Policy.objects.filter(pattern_id=pattern_id).order_by("-id")[:MOST_OF_PATTERN]
    return [
        {
            "id": policy.id,
            "kind": "policy",
            "name": policy.name,
            "state": policy.state,
            "at": policy.state_since,
            "count": 1,
        }
        for policy in found
    ]


def confirmations(policy: Policy) -> int:
    """How many confirmations the policy's present version has."""
    return confirmations_of([policy])[policy.id]


def confirmations_of(policies: Iterable[Policy]) -> dict[str, int]:
    """Confirmations by policy id, of each one's present version: distinct incidents, and a reviewer's word.

    An incident whose loop was taken back no longer counts.
    """
    standing: dict[str, set[str]] = {policy.id: set() for policy in policies}
    withdrawn: dict[str, set[str]] = {each: set() for each in standing}
    vouched: set[str] = set()
    for policy_id, kind, incident_id, withdraws in _evidence(list(standing)) if standing else ():
        if kind == Evidence.Kind.REVIEWER:
            vouched.add(policy_id)
        elif incident_id and withdraws:
            withdrawn[policy_id].add(incident_id)
        elif incident_id and kind in COUNTING:
            standing[policy_id].add(incident_id)
    return {
        each: _count(incidents - withdrawn[each], is_reviewer_vouching=each in vouched)
        for each, incidents in standing.items()
    }


def witnesses_of(policy: Policy) -> set[str]:
    """Whose word the policy's present version has: agents whose failures confirm it, and reviewers."""
    rows = Evidence.objects.filter(policy=policy, version=policy.version)
    withdrawn = rows.filter(withdraws=True).values("incident")
    agents = rows.filter(kind__in=COUNTING, withdraws=False).exclude(incident__in=withdrawn)
    reviewers = rows.filter(kind=Evidence.Kind.REVIEWER)
    return {
        *agents.values_list("incident__agent_id", flat=True).distinct(),
        *reviewers.values_list("actor", flat=True).distinct(),
    } - {None}


@compiled
def _evidence(policies: Sequence[str]) -> QuerySet[Evidence, tuple[str, str, str | None, Any]]:
    of_these = Evidence.objects.filter(policy_id__any=policies, version=F("policy__version"))
    return of_these.order_by().values_list("policy_id", "kind", "incident_id", "withdraws")


def _count(incidents: set[str], *, is_reviewer_vouching: bool) -> int:
    if not incidents:
        return int(is_reviewer_vouching)
    origin = min(incidents)  # ids are sortable: the first is the oldest
    return rules.confirmations(origin, incidents, is_reviewer_vouching=is_reviewer_vouching)
