"""Measured exploration: which would-be blocks are let through, so that a policy in force stays judged by outcomes.

A policy that blocks everything it recognises never learns whether it was right. A small share of what it alone would
block is let through instead, marked, and how that goes counts for or against it.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

MOST_PERCENT = 5
"""The cap: beyond one in twenty it would be no measurement but a policy with holes."""
NEVER = frozenset({"safety", "privacy"})
"""Categories whose blocks are never tried: there one wrong yes costs more than any measurement is worth."""
EXPLORED_ACTION = "block"
"""What may be tried. A kill ends a run for a reason, an escalation waits for a person."""

_PARTS = 1_000_000


def may_be_explored(action: str, category: str) -> bool:
    """Whether a policy of this action and category may ever be tried."""
    return action == EXPLORED_ACTION and category not in NEVER


def is_let_through(
    *,
    policy_id: str,
    version: int,
    run_id: str,
    tool: str,
    arguments: Mapping[str, Any],
    percent: float,
) -> bool:
    """Whether this call belongs to the share (0 to 5 per cent) that is let through.

    Decided by a hash of what the decision's record holds, so anybody can check it afterwards. The same call in the
    same run always gets the same answer, so that trying again is no lottery; ``run_id`` is the run's own id, which
    no agent can choose, so that nobody can look for a call that gets through.
    """
    share = min(max(percent, 0), MOST_PERCENT) / 100
    call = json.dumps([tool, arguments], sort_keys=True, separators=(",", ":"))
    drawn = hashlib.sha256(f"{policy_id}\n{version}\n{run_id}\n{call}".encode()).digest()
    return int.from_bytes(drawn[:8]) % _PARTS < share * _PARTS
