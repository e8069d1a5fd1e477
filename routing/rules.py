"""How far a policy moves an agent's weight for a capability, how that fades, and when to stop moving it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

# All from the design's table of numbers: rows "routing" and "governor".
MAX_DELTA = 0.2
DECAY = timedelta(days=7)
KPI_FALL = 0.10  # of the baseline itself: from 0.80 to 0.72
KPI_MIN_OUTCOMES = 20
WINDOW = timedelta(hours=1)
MAX_PER_AGENT = 5
MAX_PER_TENANT = 10
TENANT_FREEZE = timedelta(minutes=15)
MAX_REVERSALS = 3
# The design says "freeze that weight" without saying for how long: as long as the window it is judged by.
WEIGHT_FREEZE = WINDOW

MIN_WEIGHT = 0.0
MAX_WEIGHT = 1.0

# Rates are quotients: 0.9 * 0.8 is 0.7200000000000001.
_ROUNDING = 1e-9


class AdjustmentType(StrEnum):
    """What an adjustment changes: the first two lower a weight, the third asks people in more often."""

    CONFIDENCE_PENALTY = "confidence_penalty"
    ROUTE_BLOCK = "route_block"
    ESCALATION_ADD = "escalation_add"


_TYPE_OF = {
    "block": (AdjustmentType.CONFIDENCE_PENALTY, -1),
    "route_away": (AdjustmentType.ROUTE_BLOCK, -1),
    "escalate": (AdjustmentType.ESCALATION_ADD, +1),
}


@dataclass(frozen=True, slots=True)
class Adjusted:
    """One adjustment as a weight sees it: its kind, its full magnitude (-1..1) and its start."""

    type: str
    magnitude: float
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """One move of one weight, up or down, by an adjustment or by its withdrawal."""

    at: datetime
    delta: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """One agent that could take a call, with its weight for that capability (0..1)."""

    name: str
    weight: float


@dataclass(frozen=True, slots=True)
class History:
    """What the governor judges by: when this agent and this tenant were adjusted, and this weight's moves.

    Only the last hour counts; older entries may be given and are passed over.
    """

    agent: Sequence[datetime] = ()
    tenant: Sequence[datetime] = ()
    weight: Sequence[Change] = ()
    tenant_frozen_until: datetime | None = None
    weight_frozen_until: datetime | None = None


class Reason(StrEnum):
    """Why the governor answered as it did."""

    WITHIN_LIMITS = "within_limits"
    TENANT_FROZEN = "tenant_frozen"
    WEIGHT_FROZEN = "weight_frozen"
    OSCILLATION = "oscillation"
    TENANT_LIMIT = "tenant_limit"
    AGENT_LIMIT = "agent_limit"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a weight may be moved now; if not, why, when to ask again, and what to freeze until then."""

    is_allowed: bool
    reason: Reason
    explanation: str
    retry_at: datetime | None = None
    freeze_tenant: bool = False
    freeze_weight: bool = False


def adjustment_for(policy_action: str, confidence: float) -> tuple[AdjustmentType, float] | None:
    """The adjustment that a policy of this action asks for, sized by its confidence (0..1).

    Lowering a weight is negative, adding escalation positive, never more than 0.2 either way. None for
    actions that leave routing alone (allow, warn, kill). Raises ValueError for a confidence outside 0..1.
    """
    if not 0 <= confidence <= 1:
        raise ValueError(f"confidence {confidence} is not within 0..1")
    if policy_action not in _TYPE_OF:
        return None
    adjustment_type, sign = _TYPE_OF[policy_action]
    return adjustment_type, sign * MAX_DELTA * confidence


def effective(magnitude: float, started_at: datetime, now: datetime) -> float:
    """What is left of a magnitude: linear from whole at its start to exactly 0 after seven days."""
    age = now - started_at
    if age >= DECAY:
        return 0.0
    return magnitude * (1 - max(age, timedelta()) / DECAY)


def weight(baseline: float, adjustments: Iterable[Adjusted], now: datetime) -> float:
    """An agent's weight for a capability now, within 0..1: its baseline less penalties and blocks."""
    return _moved(baseline, (a for a in adjustments if not _escalates(a)), now)


def escalation(baseline: float, adjustments: Iterable[Adjusted], now: datetime) -> float:
    """How readily people are asked about an agent's capability, within 0..1."""
    return _moved(baseline, (a for a in adjustments if _escalates(a)), now)


def _escalates(adjustment: Adjusted) -> bool:
    return adjustment.type == AdjustmentType.ESCALATION_ADD


def _moved(baseline: float, adjustments: Iterable[Adjusted], now: datetime) -> float:
    moved = baseline + sum(effective(a.magnitude, a.started_at, now) for a in adjustments)
    return min(MAX_WEIGHT, max(MIN_WEIGHT, moved))


def governor(delta: float, history: History, now: datetime) -> Verdict:
    """Whether one more move of a weight by `delta` is allowed now.

    Running freezes come first, then oscillation, the tenant's limit and the agent's. A verdict that asks
    for a freeze means it until `retry_at`; the one who acts on it writes the freeze.
    """
    return (
        _frozen(history, now)
        or _oscillating(delta, history, now)
        or _over_tenant_limit(history, now)
        or _over_agent_limit(history, now)
        or Verdict(is_allowed=True, reason=Reason.WITHIN_LIMITS, explanation="within the limits")
    )


def _frozen(history: History, now: datetime) -> Verdict | None:
    freezes = (
        (
            history.tenant_frozen_until,
            Reason.TENANT_FROZEN,
            "adjustments of this tenant are frozen",
        ),
        (history.weight_frozen_until, Reason.WEIGHT_FROZEN, "this weight is frozen"),
    )
    for until, reason, explanation in freezes:
        if until is not None and now < until:
            return Verdict(False, reason, explanation, retry_at=until)
    return None


def _oscillating(delta: float, history: History, now: datetime) -> Verdict | None:
    moves = [*history.weight, Change(at=now, delta=delta)]
    turns = len(_recent(reversals(moves), now))
    if turns < MAX_REVERSALS:
        return None
    return Verdict(
        False,
        Reason.OSCILLATION,
        f"this would turn the weight round for the {turns}. time within an hour",
        retry_at=now + WEIGHT_FREEZE,
        freeze_weight=True,
    )


def _over_tenant_limit(history: History, now: datetime) -> Verdict | None:
    made = len(_recent(history.tenant, now))
    if made < MAX_PER_TENANT:
        return None
    return Verdict(
        False,
        Reason.TENANT_LIMIT,
        f"{made} adjustments of this tenant within an hour, at most {MAX_PER_TENANT} are allowed",
        retry_at=now + TENANT_FREEZE,
        freeze_tenant=True,
    )


def _over_agent_limit(history: History, now: datetime) -> Verdict | None:
    made = sorted(_recent(history.agent, now))
    if len(made) < MAX_PER_AGENT:
        return None
    return Verdict(
        False,
        Reason.AGENT_LIMIT,
        f"{len(made)} adjustments of this agent within an hour, at most {MAX_PER_AGENT} are allowed",
        # Then only MAX_PER_AGENT - 1 of them are less than an hour old.
        retry_at=made[-MAX_PER_AGENT] + WINDOW,
    )


def reversals(changes: Iterable[Change]) -> list[datetime]:
    """When a weight turned round: each move against the direction of the one before it."""
    moves = sorted((c for c in changes if c.delta != 0), key=lambda change: change.at)
    return [
        later.at for earlier, later in pairwise(moves) if (earlier.delta > 0) != (later.delta > 0)
    ]


def _recent(times: Iterable[datetime], now: datetime) -> list[datetime]:
    return [at for at in times if at > now - WINDOW]


def kpi_regressed(baseline_rate: float, successes: int, outcomes: int) -> bool:
    """Whether the success rate fell by 10 % of its baseline or more; never on fewer than 20 outcomes.

    Raises ValueError when the counts are impossible.
    """
    if not 0 <= successes <= outcomes:
        raise ValueError(f"{successes} successes of {outcomes} outcomes is not a rate")
    if outcomes < KPI_MIN_OUTCOMES or baseline_rate <= 0:
        return False
    return successes / outcomes <= baseline_rate * (1 - KPI_FALL) + _ROUNDING


def choose_route(
    candidates: Iterable[Candidate], avoid: Collection[str] = frozenset()
) -> Candidate | None:
    """The candidate with the highest weight, ties by name; None when none may be used.

    `avoid` names those that a policy routes away from; a weight of 0 is not a route either.
    """
    usable = [c for c in candidates if c.name not in avoid and c.weight > MIN_WEIGHT]
    return min(usable, key=lambda candidate: (-candidate.weight, candidate.name), default=None)
