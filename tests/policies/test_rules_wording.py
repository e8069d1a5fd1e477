"""How two wordings differ, as a person compares them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.rules import difference, lines_of


def test_each_part_has_a_line_of_its_own() -> None:
    assert lines_of('a == 1 && b == 2 || c.contains("x")') == [
        "a == 1",
        "&& b == 2",
        '|| c.contains("x")',
    ]


@pytest.mark.parametrize("text", ['"a && b"', "'a || b'", r'"a \" && b"'])
def test_what_is_quoted_stays_whole(text: str) -> None:
    assert lines_of(f"a == {text} && b == 1") == [f"a == {text}", "&& b == 1"]


def test_only_what_changed_is_marked() -> None:
    told = difference("a == 1 && b == 2", "a == 1 && b == 3 && c")
    assert [str(line) for line in told] == ["  a == 1", "- && b == 2", "+ && b == 3", "+ && c"]


@given(st.text(max_size=60), st.text(max_size=60))
def test_both_wordings_can_be_read_from_the_difference(before: str, after: str) -> None:
    told = difference(before, after)
    assert [line.text for line in told if line.op != "+"] == lines_of(before)
    assert [line.text for line in told if line.op != "-"] == lines_of(after)
