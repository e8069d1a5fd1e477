"""Which word a mode has over what the policies say."""

from __future__ import annotations

from dataclasses import dataclass

from .verdicts import STRENGTH

KILL, BLOCK, WARN, ALLOW = "kill", "block", "warn", "allow"


@dataclass(frozen=True, slots=True)
class Word:
    """The verdict that holds, and the mode that changed it: ``agent_stop``, ``bypass``, ``degraded`` or empty."""

    verdict: str
    mode: str = ""


def last_word(
    said: str, *, is_stopped: bool, is_bypassed: bool, is_degraded: bool, is_new_run: bool
) -> Word:
    """What becomes of the policies' verdict under the modes that hold: agent_stop > bypass > degraded.

    Degraded only ever makes stricter: a new run is blocked, an allowed action of a running one gets a warning, and
    whatever was at least as strict stays as it was.
    """
    if is_stopped:
        return Word(KILL, "agent_stop")
    if is_bypassed:
        return Word(ALLOW, "bypass")
    if is_degraded:
        least = BLOCK if is_new_run else WARN
        if STRENGTH[said] < STRENGTH[least]:
            return Word(least, "degraded")
    return Word(said)
