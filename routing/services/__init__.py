"""The verbs of routing: adjust, hold back, override, preview, end, roll back, revert."""

from .adjusting import (
    Adjusted,
    HeldBack,
    Need,
    Overruled,
    Regressed,
    Result,
    Unmoved,
    adjust_routing,
    decided_override,
    readjust,
    story,
)
from .ending import end_adjustments, revert_adjustments, roll_back
from .guardrails import ask_again
from .kpi import check_kpis
from .previews import ask_preview, decided_preview, preview
from .proposals import Proposal, propose

__all__ = [
    "Adjusted",
    "HeldBack",
    "Need",
    "Overruled",
    "Proposal",
    "Regressed",
    "Result",
    "Unmoved",
    "adjust_routing",
    "ask_again",
    "ask_preview",
    "check_kpis",
    "decided_override",
    "decided_preview",
    "end_adjustments",
    "preview",
    "propose",
    "readjust",
    "revert_adjustments",
    "roll_back",
    "story",
]
