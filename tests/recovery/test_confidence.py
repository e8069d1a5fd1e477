"""How sure we are of a recovery, and whether it may be applied by itself."""

import pytest

from governance.rules import wilson_lower
from recovery.rules import may_auto_apply, recovery_confidence


@pytest.mark.parametrize(
    ("declared", "successes", "results", "band", "occurrences", "approved", "confidence"),
    [
        # Not from a template: 0.70 strong, 0.50 otherwise, more with repetition, at most 0.90.
        (None, 0, 0, "strong", 1, False, 0.70),
        (None, 0, 0, "strong", 2, False, 0.80),
        (None, 0, 0, "strong", 3, False, 0.90),
        (None, 0, 0, "strong", 99, False, 0.90),
        (None, 0, 0, "weak", 1, False, 0.50),
        (None, 0, 0, "weak", 2, False, 0.60),
        (None, 0, 0, "weak", 3, False, 0.70),
        (None, 0, 0, "novel", 1, False, 0.50),
        # Results belong to a template: without one they change nothing.
        (None, 20, 20, "strong", 1, False, 0.70),
        # A template: what its author declared, at most 0.95, until it has ten results.
        (0.80, 0, 9, "novel", 1, False, 0.80),
        (1.00, 0, 0, "strong", 1, False, 0.95),
        (0.80, 10, 10, "novel", 1, False, wilson_lower(10, 10)),
        (0.80, 2, 10, "strong", 9, False, wilson_lower(2, 10)),
        # A person's yes makes it at least 0.70, never less than it was.
        (None, 0, 0, "novel", 1, True, 0.70),
        (None, 0, 0, "strong", 3, True, 0.90),
        (0.80, 2, 10, "strong", 1, True, 0.70),
    ],
)
def test_confidence_comes_from_claim_results_or_repetition(
    declared: float | None,
    successes: int,
    results: int,
    band: str,
    occurrences: int,
    approved: bool,
    confidence: float,
):
    assert recovery_confidence(
        template_declared=declared,
        successes=successes,
        results=results,
        band=band,
        occurrences=occurrences,
        approved_by_person=approved,
    ) == pytest.approx(confidence)


@pytest.mark.parametrize(
    ("declared", "successes", "results"), [(1.5, 0, 0), (-0.1, 0, 0), (0.8, 11, 10)]
)
def test_an_impossible_claim_is_refused(declared: float, successes: int, results: int):
    with pytest.raises(ValueError, match="not"):
        recovery_confidence(
            template_declared=declared,
            successes=successes,
            results=results,
            band="strong",
            occurrences=1,
            approved_by_person=False,
        )


@pytest.mark.parametrize(
    ("confidence", "band", "allows", "may"),
    [
        (0.95, "strong", True, True),
        (0.90, "strong", True, False),
        (0.95, "weak", True, False),
        (0.95, "novel", True, False),
        (0.95, "strong", False, False),
    ],
)
def test_only_a_sure_strong_and_trusted_recovery_applies_itself(
    confidence: float, band: str, allows: bool, may: bool
):
    assert may_auto_apply(confidence, band, pattern_allows=allows) is may
