"""Two templates side by side show where they say something else."""

from __future__ import annotations

import pytest

from catalog.rules.marking import marked


@pytest.mark.parametrize(
    ("template", "other", "expected"),
    [
        ("flight <id> is full", "flight <id> is full", "flight [<id>] is full"),
        ("flight <id> is full", "flight <id> is late", "flight [<id>] is {full}"),
        ("card <num> was refused", "card was refused", "card [<num>] was refused"),
        ("a word more is here", "a word is here", "a word {more} is here"),
        ("", "flight", ""),
        ("<num>, <num> of <id>", "nothing", "[<num>, <num>] {of} [<id>]"),
        ("нет мест!", "нет рейса!", "нет {мест}!"),
    ],
)
def test_what_is_a_value_and_what_is_said_otherwise(
    template: str, other: str, expected: str
) -> None:
    around = {"same": "{0}", "value": "[{0}]", "other": "{{{0}}}"}
    marks = marked(template, other)
    assert "".join(mark.text for mark in marks) == template
    assert "".join(around[mark.kind].format(mark.text) for mark in marks) == expected


def test_a_template_longer_than_what_is_looked_at_is_whole() -> None:
    template = "word " * 2_000
    assert "".join(mark.text for mark in marked(template, "other")) == template
