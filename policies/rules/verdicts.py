"""Which verdict wins, and what a detector may not do by itself."""

from collections.abc import Iterable
from dataclasses import dataclass

STRENGTH = {"allow": 0, "warn": 1, "route_away": 2, "escalate": 3, "block": 4, "kill": 5}
"""kill > block > escalate > route_away > warn > allow."""

HALLUCINATION = "hallucination"
STOPPING = frozenset({"block", "kill"})


@dataclass(frozen=True)
class Verdict:
    """What one policy says about one action."""

    action: str
    policy_id: str = ""


ALLOW = Verdict("allow")


def strictest(verdicts: Iterable[Verdict]) -> Verdict | None:
    """The verdict that holds: the strongest action, among equals the lowest policy id.

    The order of the verdicts never matters. None without any: that is for the tenant's
    `default_verdict`. Raises KeyError for an action that does not exist.
    """
    return min(verdicts, key=lambda one: (-STRENGTH[one.action], one.policy_id), default=None)


def action_allowed(action: str, incident_category: str, *, hallucination_may_block: bool) -> str:
    """The action a policy may take for this category of incident.

    A hallucination detector is probabilistic, so it cannot reach block by itself: its policies warn
    unless the tenant has opted in.
    """
    if incident_category == HALLUCINATION and action in STOPPING and not hallucination_may_block:
        return "warn"
    return action
