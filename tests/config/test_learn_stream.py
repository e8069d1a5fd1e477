"""What a stream of calls may look like, and what is said of one that cannot be played."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from config.learning.stream import BadStream, Recorded, read, shuffled


def written(folder: Path, *lines: Any) -> Path:
    file = folder / "calls.jsonl"
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    file.write_text("\n".join(texts), encoding="utf-8")
    return file


def test_a_whole_line_is_read(tmp_path):
    line = {
        "seq": 7,
        "id": "x-7",
        "run_id": "r1",
        "agent_id": "scout",
        "step": 2,
        "tool": "sql_query",
        "arguments": {"query": "SELECT 1"},
        "outcome": {"ok": False, "error": "no such column: a"},
        "run_reward": 1.0,
    }

    assert read(written(tmp_path, line)) == [
        Recorded("scout", "r1", 2, "sql_query", {"query": "SELECT 1"}, False, "no such column: a")
    ]


def test_only_the_tool_and_how_it_went_must_be_said(tmp_path):
    [call] = read(written(tmp_path, {"tool": "ping", "outcome": {"ok": True}}))

    assert (call.agent, call.run, call.step, call.arguments) == ("agent", "run", None, {})


def test_an_error_may_be_an_object_and_nothing_at_all(tmp_path):
    file = written(
        tmp_path,
        {"tool": "ping", "outcome": {"ok": False, "error": {"type": "E", "message": "gone"}}},
        "",
        {"tool": "ping", "outcome": {"ok": False, "error": None}},
    )

    assert [call.error for call in read(file)] == ["gone", ""]


def test_what_no_text_of_ours_can_hold_is_replaced(tmp_path):
    line = '{"tool": "cat", "arguments": {"file": "a\\u0000b\\ud800"}, "outcome": {"ok": true}}'

    assert read(written(tmp_path, line))[0].arguments == {"file": "a\ufffdb\ufffd"}


def test_a_line_separator_inside_a_text_ends_no_line(tmp_path):
    line = '{"tool": "cat", "arguments": {"file": "a\u2028b"}, "outcome": {"ok": true}}'

    assert len(read(written(tmp_path, line))) == 1


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", "calls.jsonl:2: "),
        ("[]", "one JSON object"),
        ({"tool": "x"}, "outcome.ok"),
        ({"tool": "x", "outcome": {"ok": "yes"}}, "outcome.ok"),
        ({"outcome": {"ok": True}}, "tool"),
        ({"tool": "x", "arguments": [1], "outcome": {"ok": True}}, "arguments"),
        ({"tool": "x", "arguments": {"n": 2**70}, "outcome": {"ok": True}}, "64 bits"),
        ({"tool": "x", "step": -1, "outcome": {"ok": True}}, "step"),
        ({"tool": "x", "run_id": "r" * 300, "outcome": {"ok": True}}, "run_id has 300"),
        ({"tool": "x", "agent_id": ["a"], "outcome": {"ok": True}}, "agent_id"),
    ],
)
def test_a_line_that_cannot_be_played_is_named_with_its_fault(tmp_path, line, fault):
    with pytest.raises(BadStream) as said:
        read(written(tmp_path, {"tool": "ping", "outcome": {"ok": True}}, line))

    assert fault in str(said.value)
    assert "calls.jsonl:2" in str(said.value)


def test_a_file_that_is_empty_or_not_there_is_said_to_be_so(tmp_path):
    with pytest.raises(BadStream, match="holds no calls"):
        read(written(tmp_path, ""))
    with pytest.raises(BadStream, match="cannot be read"):
        read(tmp_path / "nowhere.jsonl")


def test_shuffling_moves_whole_runs_and_the_same_seed_moves_them_alike():
    calls = [Recorded("a", f"run-{n // 3}", n % 3, "t", {}, True, "") for n in range(30)]

    once, again = shuffled(calls, 5), shuffled(calls, 5)

    assert once == again != calls
    assert sorted(once, key=calls.index) == calls
    for start in range(0, 30, 3):
        assert [call.step for call in once[start : start + 3]] == [0, 1, 2]
        assert len({call.run for call in once[start : start + 3]}) == 1
