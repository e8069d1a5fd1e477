"""Policy files: what is taken, and every problem with its line."""

from __future__ import annotations

import pytest

from policies.as_code import reading
from policies.as_code.reading import DEPTH_LIMIT, SIZE_LIMIT, Case, FiledPolicy, PolicyFile, parse
from policies.as_code.writing import written
from policies.models import Decision, Policy

GOOD = """\
antibody: 1
policies:
  - name: no first class
    condition: |
      arguments.cabin == "first"
    tool: book_flight
    tests:
      - name: first is stopped
        call: {tool: book_flight, arguments: {cabin: first, seats: 2}, history: {calls: 3}}
        expect: block
tests:
  - call: {kind: llm_call, context: {gen_ai.request.model: small}, step: null}
    expect: allow
"""


ODD_ARGUMENTS = """\
antibody: 1
tests:
  - expect: allow
    call:
      tool: t
      arguments:
        day: 2026-01-01
        2: x
        a: 1
        a: 2
        n: .nan
"""


def problems(text: str) -> list[tuple[int, str]]:
    _, found = parse(text.encode(), "p.yaml")
    return [(each.line, each.code) for each in found]


def policy(rest: str) -> str:
    return f"antibody: 1\npolicies:\n  - name: p\n    condition: run.step == 1\n{rest}"


def test_a_good_file_is_read_with_its_lines() -> None:
    file, found = parse(GOOD.encode(), "p.yaml")
    assert found == []
    (rule,) = file.policies
    assert (rule.name, rule.line, rule.action, rule.failure_mode) == (
        "no first class", 3, "block", "fail_closed",
    )  # fmt: skip
    (test,), (case,) = rule.tests, file.tests
    assert (test.line, test.expect, test.arguments) == (8, "block", {"cabin": "first", "seats": 2})
    assert test.history == {"calls": 3}
    assert (case.line, case.kind, case.step) == (12, "llm_call", None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [(1, "empty")]),
        ("- a\n", [(1, "type")]),
        ("policies: []\n", [(1, "missing")]),
        ("antibody: 2\n", [(1, "version")]),
        ("antibody: 1\npolicy: []\n", [(2, "unknown")]),
        ("antibody: 1\nantibody: 1\n", [(2, "twice")]),
        ("antibody: 1\npolicies: {}\n", [(2, "type")]),
        ("antibody: 1\npolicies:\n  - name: p\n", [(3, "missing")]),
        ("antibody: 1\npolicies:\n  - name: 7\n    condition: 'true'\n", [(3, "type")]),
        ("antibody: 1\npolicies:\n  - {name: p, condition: true}\n", [(3, "type")]),
        (policy("    action: stop\n"), [(5, "choice")]),
        (policy("    action: [block]\n"), [(5, "choice")]),
        (policy("    tool: ''\n"), [(5, "type")]),
        (policy(f"    tool: {'t' * 201}\n"), [(5, "too-long")]),
        (policy("    tests:\n      - call: {tool: t}\n"), [(6, "missing")]),
        (policy("    tests:\n      - {call: {}, expect: allow}\n"), [(6, "missing")]),
        (policy("    tests:\n      - {call: {tool: t, step: -1}, expect: allow}\n"), [(6, "type")]),
        (policy("    tests:\n      - {call: {tool: t, history: {x: 1}}, expect: allow}\n"),
         [(6, "unknown")]),
        (ODD_ARGUMENTS, [(7, "type"), (8, "type"), (10, "twice"), (11, "type")]),
        ("antibody: 1\nx: !!python/object/apply:os.system [ls]\n", [(2, "unknown")]),
        ("antibody: !!python/name:os.system\n", [(1, "type"), (1, "version")]),
        ("a: &a [1]\nb: *a\n", [(2, "alias")]),
        ("a: [1\n", [(2, "not-yaml")]),
        ("a: b: c\n", [(1, "not-yaml")]),
        ("\ta: 1\n", [(1, "not-yaml")]),
        ("antibody: 1\n---\nantibody: 1\n", [(2, "not-yaml")]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_at_its_line(text: str, expected: list[tuple[int, str]]) -> None:
    assert problems(text) == expected


def test_a_condition_in_a_block_is_wrong_at_its_own_line() -> None:
    text = "antibody: 1\npolicies:\n  - name: p\n    condition: |\n      run.step == 1\n      && run.stepp == 2\n"
    assert problems(text) == [(6, "condition")]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"a" * (SIZE_LIMIT + 1), "too-large"),
        (b"\xff", "not-utf-8"),
        (b"[" * (DEPTH_LIMIT + 1), "too-deep"),
        (b"a: " + b"[" * 100_000, "too-deep"),
        (b"[" + b"1," * 200_000 + b"]", "too-large"),
        (b"a: &a [x]\nb: &b [*a,*a]\nc: [*b,*b]", "alias"),
    ],
)
def test_what_is_too_much_is_refused_quickly(content: bytes, code: str) -> None:
    file, (problem,) = parse(content, "p.yaml")
    assert (problem.code, file.policies) == (code, ())


def test_what_is_written_is_read_back_unchanged() -> None:
    case = Case(0, "n", "block", "t", {"a": [1.5, None, {"b": "x\ny"}], "d": "2026-01-01"}, "command",
                {"c": True}, "scout", "run-7", None, {"calls": 2})  # fmt: skip
    policies = [
        FiledPolicy("", 0, "one", 'arguments.a == "ü\\n"\n&& true', "warn", "safety", "scout", "t",
                    "fail_open", "run_start", (case,)),
        FiledPolicy("", 0, "yes", "run.step == 1"),
    ]  # fmt: skip
    file, found = parse(written(policies).encode(), "p.yaml")
    assert found == []
    assert [each.content for each in file.policies] == [each.content for each in policies]
    (back,) = file.policies[0].tests
    assert {name: getattr(back, name) for name in ("arguments", "context", "history", "step")} == {
        "arguments": case.arguments, "context": case.context, "history": case.history, "step": None,
    }  # fmt: skip
    assert written(file.policies) == written(policies)
    assert isinstance(file, PolicyFile)


def test_the_words_of_a_file_are_those_of_the_records() -> None:
    assert set(reading.ACTIONS) == set(Policy.Action.values)
    assert set(reading.CATEGORIES) == set(Policy.Category.values)
    assert set(reading.FAILURE_MODES) == set(Policy.FailureMode.values)
    assert set(reading.MOMENTS) == set(Policy.BindAt.values)
    assert set(reading.KINDS) == set(Decision.Kind.values)
