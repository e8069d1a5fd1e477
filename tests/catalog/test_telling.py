"""Failures that are signed alike are told apart by a word that a person's example shows."""

from __future__ import annotations

import pytest

from catalog.rules.telling import MOST_BRANCHES, branch_of, said, telling_words


@pytest.mark.parametrize(
    ("apart", "stay", "expected"),
    [
        (["status 500 of order 71"], ["status 404 of order 72", "status 404 of order 73"], ["500"]),
        # A number that every failure has another of is an id, and says nothing about the next one.
        (["order 71: status 500"], ["order 72: status 404", "order 73: status 404"], ["500"]),
        (["code 1", "code 2", "code 1"], ["code 3"], ["1", "2"]),
        (["Status 500"], ["status 404"], ["500"]),
        (["ключ Б-7 нет"], ["ключ В-9 нет"], ["б-7"]),
        # What is the same in all cannot tell.
        (["status 500"], ["status 500"], []),
        (["status"], ["status 500"], []),
        ([""], ["status 500"], []),
    ],
)
def test_the_fewest_words_that_tell(apart: list[str], stay: list[str], expected: list[str]) -> None:
    assert telling_words(apart, stay) == expected


def test_a_list_of_values_is_no_kind_of_failure() -> None:
    apart = [f"code {n}" for n in range(MOST_BRANCHES)]
    assert len(telling_words(apart, ["code x"])) == MOST_BRANCHES
    assert telling_words([*apart, "code 99"], ["code x"]) == []


def test_words_of_a_hostile_text_are_bounded() -> None:
    assert len(said("a " * 1_000_000)) <= 2_000
    assert said("x" * 101) == []


def test_each_branch_is_a_signature_of_its_own() -> None:
    assert len({branch_of("a", "1"), branch_of("a", "2"), branch_of("b", "1"), "a"}) == 4
