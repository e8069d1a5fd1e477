"""``manage.py match``: the real matcher over a file, nothing left behind."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from governance.models import Tenant

SHARED = Path(__file__).parents[3] / "shared" / "data"


def match(file: Path, out: Path) -> dict[str, Any]:
    """Run the command and return its last line."""
    said = io.StringIO()
    call_command("match", str(file), out=out, json=True, stdout=said)
    return json.loads(said.getvalue().splitlines()[-1])


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line]


def write(path: Path, made: list[Any]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in made))
    return path


@pytest.mark.django_db
def test_each_line_gets_its_pattern_and_nothing_stays(tmp_path: Path) -> None:
    def told(name: str, message: str, **more: Any) -> dict[str, Any]:
        given = {"error_type": "E", "tool": None, "skill": "book", "message": message, **more}
        return {"id": name, "input": given, "expected": {"group": "the answer"}, "meta": {}}

    file = write(
        tmp_path / "in.jsonl",
        [
            told("a", "flight HAT101 is full"),
            told("b", "flight HAT122 is full"),
            told("c", "flight HAT144 is full", skill="search"),
            told("d", "", error_type=None),
        ],
    )
    tenants = set(Tenant.objects.values_list("slug"))

    counts = match(file, tmp_path / "out.jsonl")

    a, b, c, d = rows(tmp_path / "out.jsonl")
    assert (a["id"], a["band"], a["confidence"]) == ("a", "novel", 0.0)
    assert (b["id"], b["band"], b["confidence"]) == ("b", "strong", 1.0)
    assert (c["id"], c["band"], c["confidence"]) == ("c", "weak", 0.8)
    assert d == {"id": "d", "pattern": None, "confidence": None, "band": None}
    assert a["pattern"] == b["pattern"] == c["pattern"]
    del counts["seconds"]
    assert counts == {
        "incidents": 4,
        "strong": 1,
        "weak": 1,
        "novel": 1,
        "unmatched": 1,
        "patterns": 1,
    }
    assert set(Tenant.objects.values_list("slug")) == tenants


@pytest.mark.django_db
def test_log_lines_are_failures_of_their_system(tmp_path: Path) -> None:
    lines = [
        {"system": "Apache", "line": n, "content": f"child {n} in error state {n}"} for n in (1, 2)
    ]
    assert match(write(tmp_path / "in.jsonl", lines), tmp_path / "out.jsonl")["patterns"] == 1
    first, second = rows(tmp_path / "out.jsonl")
    assert (first["id"], second["id"]) == ("Apache:1", "Apache:2")


@pytest.mark.django_db
@pytest.mark.parametrize("line", ["no JSON", "[]", "{}", '{"id": "a", "input": {}}'])
def test_a_line_that_is_no_failure_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "in.jsonl").write_text(f"{line}\n")
    with pytest.raises(CommandError, match="Line 1"):
        match(tmp_path / "in.jsonl", tmp_path / "out.jsonl")


@pytest.mark.django_db
def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="nowhere"):
        match(tmp_path / "nowhere.jsonl", tmp_path / "out.jsonl")


@pytest.mark.django_db
def test_labelled_incidents_are_never_merged_wrongly(tmp_path: Path) -> None:
    file = SHARED / "incidents_dev.jsonl"
    if not file.exists():
        pytest.skip(f"the labelled incidents are not here: {file.name}")
    counts = match(file, tmp_path / "out.jsonl")
    groups = [row["expected"]["group"] for row in rows(file)]
    patterns = [row["pattern"] for row in rows(tmp_path / "out.jsonl")]
    assert counts["incidents"] == len(groups) == len(patterns)
    # No pattern holds incidents of two groups.
    assert len(set(zip(patterns, groups, strict=True))) == counts["patterns"]
