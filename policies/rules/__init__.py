"""The numbers and judgements of the policies pillar. Pure: no Django, and `now` is passed in."""

from policies.rules.activation import (
    AUTOMATIC_CONFIDENCE,
    CONFIRMATIONS_NEEDED,
    LOW_CONFIDENCE,
    OUTCOMES_TO_MEASURE,
    Permission,
    confirmations,
    is_confirmed,
    is_low_confidence,
    may_activate,
    needs_redraft,
    policy_confidence,
)
from policies.rules.graduation import Evidence, Gate, Graduation, degraded_because, gates
from policies.rules.prevention import (
    RATE_WINDOW,
    SIMILARITY_NEEDED,
    call_similarity,
    counts_as_prevention,
    prevention_rate,
)
from policies.rules.regret import (
    DEMOTION_SCORE,
    Regret,
    counted,
    decayed,
    regret_rate,
    regret_score,
    should_demote,
)
from policies.rules.verdicts import ALLOW, STRENGTH, Verdict, action_allowed, strictest

__all__ = [
    "ALLOW",
    "AUTOMATIC_CONFIDENCE",
    "CONFIRMATIONS_NEEDED",
    "DEMOTION_SCORE",
    "LOW_CONFIDENCE",
    "OUTCOMES_TO_MEASURE",
    "RATE_WINDOW",
    "SIMILARITY_NEEDED",
    "STRENGTH",
    "Evidence",
    "Gate",
    "Graduation",
    "Permission",
    "Regret",
    "Verdict",
    "action_allowed",
    "call_similarity",
    "confirmations",
    "counted",
    "counts_as_prevention",
    "decayed",
    "degraded_because",
    "gates",
    "is_confirmed",
    "is_low_confidence",
    "may_activate",
    "needs_redraft",
    "policy_confidence",
    "prevention_rate",
    "regret_rate",
    "regret_score",
    "should_demote",
    "strictest",
]
