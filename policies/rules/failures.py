"""What becomes of an action when a policy, or all of them, cannot answer: the table that is tested and published."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Becomes(StrEnum):
    """What becomes of the action."""

    MET = "met"
    PASSES = "passes"
    DENIED = "denied"
    UNANSWERED = "unanswered"


MEANING = {
    Becomes.MET: "The policy counts as met: its action holds, and the reason says why it could not tell.",
    Becomes.PASSES: "The policy lets it pass; the decision's entry in the ledger names it under `failed_open`, it is"
    " logged, and counted with the reason on the policy's page and in its record. Other policies still speak.",
    Becomes.DENIED: "`block` with `governance_unavailable`, retryable; it is recorded.",
    Becomes.UNANSWERED: "503 `governance_unavailable` with verdict `block`; the agent must not act. Nothing is"
    " recorded, unless the time ran out while the record was being committed: then it may stand.",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """One way to have no answer. ``retryable``: what an agent is told when it is denied for this."""

    name: str
    title: str
    example: str
    closed: Becomes
    open: Becomes
    retryable: bool = False

    def becomes(self, *, fails_open: bool) -> Becomes:
        """What becomes of an action that such a policy is about."""
        return self.open if fails_open else self.closed


MISSING, WRONG, BUDGET, BROKEN, UNREADABLE, SLOW = FAILURES = (
    Failure(
        "missing_name",
        "a name is missing",
        "`model.name` and the agent told none; `arguments.amount` and there is none",
        Becomes.MET,
        Becomes.PASSES,
    ),
    Failure(
        "wrong_type",
        "a value has another type",
        '`arguments.amount > 100` and the amount is `"many"`, or an integer over 64 bits',
        Becomes.MET,
        Becomes.PASSES,
    ),
    Failure(
        "over_budget",
        "it takes too many steps",
        "`arguments.ids.exists(…)` over more than 10,000 ids",
        Becomes.MET,
        Becomes.PASSES,
    ),
    Failure(
        "broken_condition",
        "the stored condition does not compile",
        "it was changed by hand, or a newer version has a name less. While it is in force `/readyz` names it and"
        " closes the guard, within 30 s",
        Becomes.MET,
        Becomes.PASSES,
        retryable=True,
    ),
    Failure(
        "policies_unreadable",
        "the policies cannot be read",
        "a right that was taken away; a row that this version does not understand",
        Becomes.DENIED,
        Becomes.DENIED,
        retryable=True,
    ),
    Failure(
        "database_slow",
        "the database does not answer in time",
        "a lock or a disk that holds it up for longer than `ANTIBODY_SPINE_MS` (250 ms)",
        Becomes.UNANSWERED,
        Becomes.UNANSWERED,
        retryable=True,
    ),
)
"""Only the first four are a policy's own affair; where nobody can be asked, nobody's mode counts."""
