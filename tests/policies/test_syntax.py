"""Conditions as trees: what they read, what they can only be about, what they cost."""

from __future__ import annotations

import pytest

from policies import syntax
from policies.conditions import LOOP_ASSUMED, compile_condition
from policies.synthesis.literals import literal


@pytest.mark.parametrize(
    ("source", "reads"),
    [
        ('action.tool == "a" && !has(arguments.x)', {"action.tool", "arguments"}),
        ("arguments.items.exists(x, x.n > run.step)", {"arguments", "run.step"}),
        ("[1].exists(arguments, arguments == 1)", set()),
        ("[1].exists(x, arguments.x == x) || history.calls > 3", {"arguments", "history.calls"}),
        ('{"a": arguments.x} == {"a": agent.id}', {"arguments", "agent.id"}),
        ("run.step > 1 ? model.name == 'x' : cost.usd > 1.0", {"run.step", "model.name", "cost.usd"}),
        ('matches(agent.id, "x") && data_sources[0] == run.id', {"agent.id", "data_sources", "run.id"}),
    ],
)  # fmt: skip
def test_what_a_condition_reads(source: str, reads: set[str]) -> None:
    assert compile_condition(source).reads == reads


@pytest.mark.parametrize(
    ("source", "head"),
    [
        ('action.tool == "a"', {"action.tool": {"a"}}),
        ('"a" == action.tool && arguments.n > 1', {"action.tool": {"a"}}),
        ('arguments.n > 1 && (agent.id in ["x", "y"] && action.kind == "command")',
         {"agent.id": {"x", "y"}, "action.kind": {"command"}}),
        ('action.tool in ["a", "b"] && action.tool in ["b", "c"]', {"action.tool": {"b"}}),
        ('action.tool == "a" && action.tool == "b"', {"action.tool": set()}),
        ('action.tool == "a" || true', {}),
        ('!(action.tool == "a")', {}),
        ('action.tool == agent.id', {}),
        ('action.tool in ["a", agent.id]', {}),
        ('action.tool in []', {"action.tool": set()}),
        ('(action.tool == "a" ? true : false) && true', {}),
        ('["a"].exists(x, action.tool == x)', {}),
        ('arguments.tool == "a"', {}),
    ],
)  # fmt: skip
def test_what_a_condition_can_only_be_true_of(source: str, head: dict[str, set[str]]) -> None:
    assert compile_condition(source).head == head


@pytest.mark.parametrize(
    "value",
    [None, True, False, 0, -1, 2**63 - 1, -(2**63), 0.0, -1.5, 1e300, "", "ä\n\"\\", [], [1, "a"], {"a": {"b": [None]}}],
)  # fmt: skip
def test_a_literal_is_read_back_as_it_was_written(value: object) -> None:
    tree = _tree(f"arguments.x == {literal(value)}")
    assert isinstance(tree, syntax.Call)
    assert _plain(tree.arguments[1]) == value


def test_the_cost_of_a_loop_is_what_is_inside_it_each_time() -> None:
    one = _cost("arguments.a == 1")
    assert _cost("arguments.a == 1 && arguments.a == 1") == 2 * one + 1
    unknown = _cost("arguments.all(x, arguments.a == 1)")
    assert unknown > LOOP_ASSUMED * one
    assert _cost("[1, 2].all(x, arguments.a == 1)") < unknown


@pytest.mark.parametrize(
    "serialized", [b"", b"\x0a", b"\x12\x02\xff\xff", b"\x22\x02\x08\x01", b"\x0b\x01"]
)
def test_a_form_that_is_not_known_is_an_error(serialized: bytes) -> None:
    with pytest.raises(syntax.UnreadableTree):
        syntax.read(serialized)


def _tree(source: str) -> syntax.Tree:
    return compile_condition(source).tree()


def _cost(source: str) -> int:
    return syntax.cost_of(_tree(source), LOOP_ASSUMED)


def _plain(tree: syntax.Tree) -> object:
    match tree:
        case syntax.Constant(_, value):
            return value
        case syntax.ListOf(elements):
            return [_plain(one) for one in elements]
        case syntax.MapOf(entries):
            return {_plain(key): _plain(value) for key, value in entries}
        case syntax.Call("-_", (part,)):
            inner = _plain(part)
            return -inner if isinstance(inner, int | float) else inner
    raise AssertionError(tree)
