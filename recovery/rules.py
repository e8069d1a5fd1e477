"""How sure we are of a recovery, and whether it may run by itself."""

from datetime import timedelta

from governance.rules import wilson_lower

# All from the design's table of numbers: "recovery confidence", "success of a recovery", "auto-apply".
MAX_DECLARED = 0.95
RESULTS_OF_ITS_OWN = 10
STRONG_START = 0.70
OTHER_START = 0.50
SECOND_OCCURRENCE = 0.10
THIRD_OCCURRENCE = 0.20
MAX_UNPROVEN = 0.90
APPROVED_AT_LEAST = 0.70
AUTO_APPLY_ABOVE = 0.90
PROVING_TIME = timedelta(hours=24)


def recovery_confidence(
    *,
    template_declared: float | None,
    successes: int,
    results: int,
    band: str,
    occurrences: int,
    approved_by_person: bool,
) -> float:
    """How sure we are that this recovery helps, 0..1.

    `template_declared` is what a template's author claimed (None: not from a template), `successes`
    of `results` is what came of that template so far, `occurrences` counts the pattern's incidents
    with this one. Raises ValueError for a claim outside 0..1 or impossible counts.
    """
    if template_declared is None:
        confidence = _unproven(band, occurrences)
    elif results >= RESULTS_OF_ITS_OWN:
        confidence = wilson_lower(successes, results)
    elif 0 <= template_declared <= 1:
        confidence = min(template_declared, MAX_DECLARED)
    else:
        raise ValueError(f"declared confidence {template_declared} is not within 0..1")
    return max(confidence, APPROVED_AT_LEAST) if approved_by_person else confidence


def _unproven(band: str, occurrences: int) -> float:
    start = STRONG_START if band == "strong" else OTHER_START
    if occurrences >= 3:
        start += THIRD_OCCURRENCE
    elif occurrences == 2:
        start += SECOND_OCCURRENCE
    return round(min(start, MAX_UNPROVEN), 2)


def may_auto_apply(confidence: float, band: str, *, pattern_allows: bool) -> bool:
    """Whether a recovery may be applied without asking; only a person sets `pattern_allows`.

    A recovery that is not from a template reaches 0.90 at most, so it always asks.
    """
    return pattern_allows and band == "strong" and confidence > AUTO_APPLY_ABOVE


def needs_confirmation(confidence: float, band: str) -> bool:
    """Whether a person must confirm it because we are not sure, and not only because people want to be asked."""
    return band == "weak" or confidence < APPROVED_AT_LEAST


def may_join(band: str, *, is_new: bool) -> bool:
    """Whether a directive already in force for the pattern answers this incident too, so that nobody is asked again.

    A weak match may be another failure altogether, and a pattern that this very incident opened has no past.
    """
    return band == "strong" or (band == "novel" and not is_new)
