"""How good a grouping is."""

from collections.abc import Sequence

import pytest

from catalog.rules.measures import grouping


@pytest.mark.parametrize(
    ("predicted", "true", "ga", "precision", "recall"),
    [
        ("aabb", "xxyy", 1.0, 1.0, 1.0),
        ("aaaa", "xxyy", 0.0, 2 / 6, 1.0),
        ("abcc", "xxyy", 0.5, 1.0, 0.5),
        ("abcd", "xxyy", 0.0, 1.0, 0.0),
        ("abcd", "wxyz", 1.0, 1.0, 1.0),
        ("", "", 1.0, 1.0, 1.0),
    ],
    ids=["right", "merged", "split", "all alone", "alone and right", "none"],
)
def test_a_group_counts_where_it_is_exactly_the_true_one(
    predicted: Sequence[str], true: Sequence[str], ga: float, precision: float, recall: float
):
    found = grouping(predicted, true)
    assert (found.ga, found.precision, found.recall) == pytest.approx((ga, precision, recall))


def test_f1_is_nothing_where_nothing_was_right():
    assert grouping("aabb", "xyxy").f1 == 0.0
    assert grouping("aaaa", "xxyy").f1 == pytest.approx(0.5)
