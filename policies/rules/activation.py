"""From a draft to a policy in force: confidence, confirmations, activation."""

from collections.abc import Collection
from dataclasses import dataclass

from governance.rules import wilson_lower

OUTCOMES_TO_MEASURE = 5
LOW_CONFIDENCE = 0.60
AUTOMATIC_CONFIDENCE = 0.85
CONFIRMATIONS_NEEDED = 3
WITNESSES_NEEDED = 2
"""Principals whose word it takes where no person decides: one alone could put in force whatever it likes."""
PASSING_FAILURES = 3
"""Failures of the very same call before one whose remedy is to try again is worth a rule that blocks."""


def policy_confidence(recovery_confidence: float, would_blocks: int, failures: int) -> float:
    """How sure we are that what a policy blocks would have failed, 0..1.

    `would_blocks` counts what it would have blocked and whose outcome is known, `failures` those of
    them that failed. Until there are five, its recovery's confidence; then Wilson's lower bound.
    """
    if would_blocks < OUTCOMES_TO_MEASURE:
        return recovery_confidence
    return wilson_lower(failures, would_blocks)


def is_low_confidence(confidence: float) -> bool:
    """Whether the loop ends as policy_low_confidence."""
    return confidence < LOW_CONFIDENCE


def may_pass(remedy: str, same_failures: int) -> bool:
    """Whether a failure is better tried again than blocked: its remedy says so, and the call did not fail often.

    A server that was busy once says nothing about the call; blocking it would stop what works a second later.
    """
    return remedy == "retry_policy" and same_failures < PASSING_FAILURES


def needs_redraft(state: str, false_rejections: int) -> bool:
    """Whether a policy in shadow would have blocked something that went well."""
    return state == "shadow" and false_rejections > 0


def confirmations(
    origin_id: str, incident_ids: Collection[str], *, is_reviewer_vouching: bool
) -> int:
    """Distinct incidents that support a policy, its origin first; a reviewer may add one, once."""
    return len({origin_id, *incident_ids}) + is_reviewer_vouching


def is_confirmed(count: int, needed: int = CONFIRMATIONS_NEEDED) -> bool:
    return count >= needed


def is_witnessed(witnesses: int, needed: int) -> bool:
    """Whether a policy that nobody is asked about has the word of more than one principal.

    ``witnesses`` are distinct agents whose failures confirm it, and reviewers who vouch. A tenant that wants one
    confirmation and no question has said that one agent's word is enough.
    """
    return witnesses >= min(WITNESSES_NEEDED, max(1, needed))


@dataclass(frozen=True)
class Permission:
    """Whether a policy may become active, and why or why not."""

    is_given: bool
    is_automatic: bool
    reason: str


def may_activate(
    *,
    state: str,
    is_approved: bool,
    tenant_allows_automatic: bool,
    is_unlocked: bool,
    confidence: float,
    witnesses: int,
) -> Permission:
    """May this policy become active now?

    By an approved checkpoint, or automatically where the tenant allows it, graduation has unlocked it,
    confidence is at least 0.85 and more than one principal is behind it. Only from pending, which it reaches when confirmed.
    """
    if state != "pending":
        return Permission(False, False, f"a policy in {state} cannot be activated")
    if is_approved:
        return Permission(True, False, "approved by a person")
    if not tenant_allows_automatic:
        return Permission(False, False, "a person must approve it")
    if not is_unlocked:
        return Permission(False, False, "automatic activation is not unlocked by graduation")
    if confidence < AUTOMATIC_CONFIDENCE:
        return Permission(
            False, False, f"confidence {confidence:.2f} is below {AUTOMATIC_CONFIDENCE}"
        )
    if witnesses < WITNESSES_NEEDED:
        return Permission(False, False, "one agent alone is behind it, so a person must approve it")
    return Permission(True, True, f"automatically, with confidence {confidence:.2f}")
