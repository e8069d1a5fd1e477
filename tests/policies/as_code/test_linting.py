"""Linting and testing files: no call, no database."""

from __future__ import annotations

from typing import Any

import pytest

from policies.as_code.linting import lint
from policies.as_code.reading import FiledPolicy, PolicyFile, parse
from policies.as_code.testing import tried


def filed(*policies: dict[str, Any]) -> PolicyFile:
    made = [
        FiledPolicy("p.yaml", 10 * number, **{"name": f"p{number}", **policy})
        for number, policy in enumerate(policies, 1)
    ]
    return PolicyFile("p.yaml", tuple(made), ())


def found(*policies: dict[str, Any]) -> list[tuple[int, str]]:
    return [(each.line, each.code) for each in lint([filed(*policies)]) if each.code != "untested"]


FIRST = {"condition": 'arguments.cabin == "first"', "tool": "book"}


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ([FIRST], []),
        ([{"condition": "run.step == 1 && run.step == 2"}], [(10, "never-true")]),
        ([{"condition": 'action.tool == "pay"', "tool": "book"}], [(10, "never-true")]),
        ([{"condition": "true"}], [(10, "always-true")]),
        ([{"condition": "true", "tool": "book"}], [(10, "always-true")]),
        ([{"condition": 'run.id == "r"'}], [(10, "single-run")]),
        ([{"condition": 'arguments.a == "run.id"'}], []),
        ([FIRST, {**FIRST, "name": "p1"}], [(20, "duplicate"), (20, "name-twice")]),
        ([FIRST, {**FIRST, "condition": '"first" == arguments["cabin"]'}], [(20, "duplicate")]),
        ([FIRST, {**FIRST, "action": "warn"}], [(20, "conflict")]),
        ([FIRST, {**FIRST, "tool": "pay"}], []),
        ([FIRST, {**FIRST, "agent": "scout"}], [(20, "redundant")]),
        ([{**FIRST, "agent": "scout"}, FIRST], [(10, "redundant")]),
        ([{**FIRST, "agent": "scout"}, {**FIRST, "agent": "other"}], []),
        ([FIRST, {**FIRST, "agent": "scout", "action": "warn"}], [(20, "overruled")]),
        # Narrower and stricter is an exception, and makes sense.
        ([{**FIRST, "action": "warn"}, {**FIRST, "agent": "scout", "action": "kill"}], []),
        ([{"condition": "has(arguments.cabin)"}, FIRST], [(20, "redundant")]),
    ],
)
def test_what_can_be_seen_without_a_call(
    policies: list[dict[str, Any]], expected: list[tuple[int, str]]
) -> None:
    assert found(*policies) == expected


def test_a_finding_names_both_places() -> None:
    (problem,) = [
        each for each in lint([filed(FIRST, {**FIRST, "action": "warn"})]) if each.is_error
    ]
    assert str(problem).startswith("p.yaml:20: error: 'p2' says warn to the very calls")
    assert "'p1' (p.yaml:10) says block" in str(problem)


CASES = """\
antibody: 1
policies:
  - {name: a, tool: book, condition: arguments.cabin == "first", action: warn}
  - {name: b, condition: history.tool_failures >= 2, action: block}
  - {name: c, tool: pay, condition: arguments.n > 5, action: escalate, failure_mode: fail_open}
tests:
  - {call: {tool: book, arguments: {cabin: first}}, expect: warn}
  - {call: {tool: book, arguments: {cabin: first}, history: {tool_failures: 2}}, expect: block}
  - {call: {tool: book, arguments: {}}, expect: warn}
  - {call: {tool: pay, arguments: {}}, expect: allow}
  - {call: {tool: pay, arguments: {n: 9}}, expect: allow}
"""


def test_cases_are_answered_as_the_guard_would() -> None:
    file, problems = parse(CASES.encode(), "p.yaml")
    assert problems == []
    results = tried([file])
    # Without a cabin the first cannot tell and fails closed; without n the last cannot and fails open.
    assert [each.is_passed for each in results] == [True, True, True, True, False]
    assert str(results[-1]) == (
        "p.yaml:11: failed: pay {'n': 9}: expected allow, got escalate by 'c'"
    )


def test_the_default_verdict_is_what_no_policy_speaks_of() -> None:
    file, _ = parse(b"antibody: 1\ntests:\n  - {call: {tool: t}, expect: block}\n", "p.yaml")
    assert [each.is_passed for each in tried([file])] == [False]
    assert [each.is_passed for each in tried([file], default_verdict="block")] == [True]
