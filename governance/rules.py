"""The ground's rules: statistics that every pillar leans on, and how soon a person should look."""

from datetime import timedelta
from enum import IntEnum
from math import sqrt

Z_95 = 1.96
"""Two-sided 95 % quantile of the normal distribution."""


def wilson_interval(successes: int, trials: int, z: float = Z_95) -> tuple[float, float]:
    """The Wilson score interval of a proportion, both ends in 0..1.

    With no trials nothing is known, so it is (0.0, 1.0). Unlike the textbook interval it stays honest
    near 0 and 1 and for few trials (E. B. Wilson 1927, JASA 22:209; formula as in Brown, Cai and
    DasGupta 2001). Raises ValueError when the counts cannot be counts of the same thing.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials is not a proportion")
    if trials == 0:
        return 0.0, 1.0
    share = successes / trials
    square = z * z
    centre = share + square / (2 * trials)
    spread = z * sqrt((share * (1 - share) + square / (4 * trials)) / trials)
    scale = 1 + square / trials
    # At the ends rounding leaves a few 1e-17 where the formula gives exactly 0 or 1.
    low = 0.0 if successes == 0 else (centre - spread) / scale
    high = 1.0 if successes == trials else (centre + spread) / scale
    return max(0.0, low), min(1.0, high)


def wilson_lower(successes: int, trials: int, z: float = Z_95) -> float:
    """The lower 95 % bound of a proportion: what the design means by "Wilson". 0.0 without trials."""
    return wilson_interval(successes, trials, z)[0]


class Priority(IntEnum):
    """How soon a person should look at a checkpoint."""

    CRITICAL = 1
    HIGH = 2
    NORMAL = 3
    LOW = 4


SURE = 0.90
"""At this confidence a question is easier to answer, so it may wait behind the others."""

EXPIRES_LOW = timedelta(hours=48)
EXPIRES_OTHERS = timedelta(days=7)


def priority_of(type: str, confidence: float | None) -> Priority:
    """How soon to look, from the type of checkpoint and the confidence (0 to 1, None where there is none).

    An overridden guardrail and an appeal stop somebody's work now; reverting and policies change what agents may
    do; a recovery or a preview of routing that we are sure of may wait.
    """
    match type:
        case "override_guardrail":
            return Priority.CRITICAL
        case "appeal" | "revert_loop":
            return Priority.HIGH
        case "approve_policy":
            return (
                Priority.HIGH if confidence is not None and confidence >= SURE else Priority.NORMAL
            )
        case _:
            return (
                Priority.LOW if confidence is not None and confidence >= SURE else Priority.NORMAL
            )


def expires_after(priority: int) -> timedelta:
    """How long a checkpoint stays open before it counts as rejected."""
    return EXPIRES_LOW if priority == Priority.LOW else EXPIRES_OTHERS
