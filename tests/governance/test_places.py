"""Where a follower is, as he is told it: his own, exact, and nothing to anybody else."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.story.places import LENGTH, number_of, shown

ACME, UMBRA = "ten_acme", "ten_umbra"


@given(st.integers(0, 2**63 - 1))
def test_a_place_leads_back_to_its_number_and_only_in_its_tenant(number: int) -> None:
    place = shown(ACME, number)
    assert len(place) == LENGTH
    assert number_of(ACME, place) == number
    assert number_of(UMBRA, place) == 0


def test_neighbours_have_nothing_in_common() -> None:
    """The gap between two of one's own events says nothing about what others did meanwhile."""
    places = [int(shown(ACME, number), 16) for number in range(1, 200)]
    assert len(set(places)) == len(places)
    assert places != sorted(places)
    gaps = {abs(one - other) for one, other in pairwise(places)}
    assert min(gaps) > 2**100


@given(st.text())
def test_whatever_else_is_said_is_the_beginning(said: str) -> None:
    assert number_of(ACME, said) == 0


@pytest.mark.parametrize("said", ["0", "7", "9" * 18, "f" * LENGTH, "0" * LENGTH, "é" * LENGTH])
def test_a_number_of_ones_own_making_is_the_beginning_too(said: str) -> None:
    assert number_of(ACME, said) == 0
