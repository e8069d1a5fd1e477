"""Why: no mode is turned on or off without it."""

from __future__ import annotations

from ..ledger import MAX_REASON
from ..refusals import Invalid


def given(reason: str) -> str:
    """The reason as it is kept. Raises Invalid where there is none, or more than the ledger keeps."""
    why = reason.strip()
    if not why:
        raise Invalid("Say why: this is not done without a reason.", field="reason")
    if len(why) > MAX_REASON:
        raise Invalid(f"A reason has at most {MAX_REASON} characters.", field="reason")
    return why
