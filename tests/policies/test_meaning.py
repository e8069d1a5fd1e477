"""Whether conditions say the same: what is shown, what is left open, and that nothing shown is wrong."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from policies.conditions import Answer, ConditionError, activation, compile_condition
from policies.meaning import (
    always_true,
    meaning,
    never_together,
    never_true,
    same,
    subsumes,
)
from policies.meaning.reading import tree
from policies.meaning.tree import text

CABIN = 'action.tool == "book" && arguments.cabin in ["economy", "business"]'


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("run.step == 1 && agent.id == 'a'", "agent.id == 'a' && 1 == run.step"),
        ('arguments["cabin"] == "x"', 'arguments.cabin == "x"'),
        ('"cabin" in arguments', "has(arguments.cabin)"),
        ('arguments.c in ["b", "a", "a"]', 'arguments.c == "a" || arguments.c == "b"'),
        ("!(run.step == 1 || run.step == 2)", "run.step != 2 && run.step != 1"),
        ("arguments.l.exists(x, x == 1)", "arguments.l.exists(item, item == 1)"),
        ("5 < run.step", "run.step > 5"),
        ("action.arguments.n == 1", "arguments.n == 1"),
        ("arguments.n == 1.0", "arguments.n == 1"),
        ("run.step == 1 && (run.step == 1 || run.step == 2)", "run.step == 1"),
        ("true && run.step > 0", "run.step > 0"),
        (
            "run.step > 3 ? agent.id == 'a' : false",
            "agent.id == 'a' && run.step > 3",
        ),
        ("run.step in [] || agent.id == 'a'", "agent.id == 'a'"),
    ],
)
def test_two_spellings_of_one_question_are_the_same(a: str, b: str) -> None:
    assert same(a, b)
    assert same(b, a)


@pytest.mark.parametrize(
    ("wider", "narrower"),
    [
        ('action.tool == "book"', CABIN),
        ('run.id in ["a", "b"]', 'run.id == "a" && arguments.n == 1'),
        ('run.id in ["a", "b"]', 'run.id in ["a", "c"] && run.id in ["a", "d"]'),
        ('run.id == "a" && arguments.n > 0', 'arguments == {"n": 1} && run.id == "a"'),
        ('run.id == "a"', 'run.id == "b" && arguments.n == 1 && arguments.n == 2'),
        ('arguments.cabin in ["economy", "business", "first"]', CABIN),
        ("has(arguments.cabin)", CABIN),
        ("has(arguments.a)", "arguments.a.b.contains('x')"),
        ("type(arguments.a) == map", "arguments.a.b.contains('x')"),
        ("type(arguments.q) == string", "arguments.q.contains('x')"),
        ("arguments.n >= 5", "arguments.n > 5"),
        ("arguments.n >= 5", "arguments.n == 7 || arguments.n == 8.5"),
        ("arguments.n != 3", "arguments.n > 5"),
        ("history.calls >= 2", "history.calls in [2, 3] && has(arguments.n)"),
        ("cost.usd > 0.5", "cost.usd == 1.0"),
        ("!(arguments.n < 5)", "arguments.n > 5"),
        ("arguments.q.startsWith('se')", "arguments.q.startsWith('select ')"),
        ("arguments.q.contains('lect')", "arguments.q.startsWith('select ')"),
        ("!arguments.q.startsWith('selected')", "!arguments.q.contains('select')"),
        ("arguments.q != 'drop'", "arguments.q.startsWith('select')"),
        ("arguments.q.matches('^sel')", "arguments.q in ['select 1', 'select 2']"),
        ("arguments.q != 'c'", "arguments.q in ['a', 'b']"),
        (
            # What synthesis writes about numbers is two alternatives; a remembered call has one of them.
            "(type(arguments.n) == int || type(arguments.n) == double) && arguments.n >= 5",
            'action.tool == "pay" && arguments == {"n": 7, "to": "x"}',
        ),
        (
            "has(arguments.l) && type(arguments.l) == list && arguments.l.exists(item, item == 'b')",
            'arguments == {"l": ["a", "b"]}',
        ),
        ("!has(arguments.limit)", 'arguments == {"sql": "select 1"}'),
        ("agent.id == 'x'", "run.step == 1 && run.step == 2"),
    ],
)
def test_a_wider_condition_is_seen_to_hold_for_the_narrower_and_not_the_other_way(
    wider: str, narrower: str
) -> None:
    assert subsumes(wider, narrower)
    assert not subsumes(narrower, wider)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ('arguments.cabin == "economy"', 'arguments.cabin == "first"'),
        ("arguments.n > 5", "arguments.n > 6"),
        ("arguments.n == 1", "type(arguments.n) == int"),  # 1.0 is 1 and no int
        ("arguments.a.b == 1", "has(arguments.b)"),
        ("arguments.l.exists(x, x.k == 1)", "has(arguments.l.k)"),
        ("has(arguments.a) || true", "has(arguments.a)"),
        ("arguments.q.matches('a')", "arguments.q.matches('aa')"),
        ("agent.id == 'a' || arguments.x == 1", "arguments.x == 1 && run.step == 1"),
    ],
)
def test_different_questions_are_not_the_same(a: str, b: str) -> None:
    assert not same(a, b)


def test_a_number_may_be_an_int_or_a_double() -> None:
    assert not subsumes("type(arguments.n) == int", "arguments.n == 1")
    assert subsumes("type(arguments.n) in [int, double]", "arguments.n == 1")
    assert subsumes("type(arguments.n) == double", "arguments.n == 1.5")


@pytest.mark.parametrize(
    "condition",
    [
        "false",
        "run.step == 1 && run.step == 2",
        "run.step > 5 && run.step < 3",
        "run.step > 5 && !(run.step > 4)",
        "arguments.q.startsWith('a') && arguments.q.startsWith('b')",
        "arguments.q.endsWith('a') && arguments.q.endsWith('b')",
        "has(arguments.q) && !has(arguments.q)",
        "!has(arguments.q) && arguments.q == 1",
        "type(arguments.q) == int && arguments.q.contains('x')",
        "type(arguments.q) == int && arguments.q == 'x'",
        'arguments == {"n": 7} && arguments.n == 8',
        'action.tool in ["a", "b"] && action.tool != "a" && action.tool != "b"',
        'action.tool == "a" && (run.step == 1 && run.step == 2 || action.tool == "b")',
    ],
)
def test_what_can_never_be_true_is_seen(condition: str) -> None:
    assert never_true(condition)
    assert not never_true(f"({condition}) || agent.id == 'x'")


@pytest.mark.parametrize(
    "condition",
    ["true", "run.step == 1 || run.step != 1", "!(run.step > 5 && run.step < 3)", "1 == 1"],
)
def test_what_is_always_true_is_seen(condition: str) -> None:
    assert always_true(condition)
    assert not always_true(f"({condition}) && agent.id == 'x'")


def test_two_that_no_call_meets_together() -> None:
    assert never_together("arguments.n > 5", "arguments.n <= 5")
    assert not never_together("arguments.n > 5", "arguments.n <= 6")


def test_the_tool_and_the_agent_of_a_policy_belong_to_what_it_asks() -> None:
    every, one = meaning("run.step > 3"), meaning("run.step > 3", tool="pay", agent="scout")
    assert subsumes(every, one)
    assert not subsumes(one, every)
    assert same(one, 'action.tool == "pay" && agent.id == "scout" && run.step > 3')
    assert never_together(one, meaning("true", tool="book"))


def test_a_condition_with_too_many_alternatives_shows_nothing() -> None:
    wide = " && ".join(f"(arguments.a{n} == 1 || arguments.b{n} == 1)" for n in range(12))
    assert meaning(wide).yes is None
    assert not subsumes(wide, wide + " && run.step == 1")
    assert not same(wide, "run.step == 1")
    assert not never_true(wide)


def test_a_broken_condition_is_refused() -> None:
    with pytest.raises(ConditionError):
        same("run.stepp == 1", "run.step == 1")


# --- Nothing that is shown is wrong ------------------------------------------------------------

VALUES: list[Any] = [None, True, False, 0, 1, 2, 2.0, 2.5, "", "a", "ab", "b", [], ["a"], [1], {}]
LITERALS = ["null", "true", "0", "1", "2", "2.0", "2.5", '""', '"a"', '"ab"', '"b"', "[]", '["a"]']
PATHS = ["arguments.x", "arguments.y", 'arguments["x"]', "context.x", "arguments.x.k"]

paths = st.sampled_from(PATHS)
terms = st.one_of(
    st.builds("{} == {}".format, paths, st.sampled_from(LITERALS)),
    st.builds("{} != {}".format, paths, st.sampled_from(LITERALS)),
    st.builds("{} {} {}".format, paths, st.sampled_from(["<", "<=", ">", ">="]), st.integers(0, 3)),
    st.builds("{} in [{}, {}]".format, paths, st.sampled_from(LITERALS), st.sampled_from(LITERALS)),
    st.builds(
        "{}.{}({})".format,
        paths,
        st.sampled_from(["startsWith", "endsWith", "contains", "matches"]),
        st.sampled_from(['"a"', '"ab"', '""', '"b"']),
    ),
    st.builds("has({})".format, st.sampled_from(["arguments.x", "context.x", "arguments.x.k"])),
    st.builds(
        "type({}) == {}".format, paths, st.sampled_from(["int", "double", "string", "map", "list"])
    ),
    st.builds("size({}) {} 1".format, paths, st.sampled_from(["==", ">", "<"])),
    st.builds("{}.exists(e, e == {})".format, paths, st.sampled_from(LITERALS)),
    st.sampled_from(
        ['arguments == {"x": 2}', 'arguments == {"x": "a", "y": 1}', "run.step == 1", "true"]
    ),
)
conditions = st.recursive(
    terms,
    lambda inner: st.one_of(
        st.builds("({} && {})".format, inner, inner),
        st.builds("({} || {})".format, inner, inner),
        st.builds("!({})".format, inner),
        st.builds("({} ? {} : {})".format, inner, inner, inner),
    ),
    max_leaves=5,
)
facts = st.dictionaries(
    st.sampled_from(["x", "y"]),
    st.one_of(
        st.sampled_from(VALUES),
        st.dictionaries(st.just("k"), st.sampled_from(VALUES), max_size=1),
    ),
)


def answers(condition: str, arguments: dict[str, Any], step: int) -> Answer:
    asked = activation(
        action={"kind": "tool_call", "tool": "t"},
        arguments=arguments,
        context={"x": arguments.get("y")} if "y" in arguments else {},
        agent={"id": "a"},
        run={"id": "r", "step": step},
    )
    return compile_condition(condition).matches(asked).answer


def compiles(condition: str) -> bool:
    try:
        compile_condition(condition)
    except ConditionError:
        return False
    return True


readable = conditions.filter(compiles)


@settings(max_examples=250)
@given(readable, readable, st.lists(facts, min_size=20, max_size=20), st.integers(0, 2))
@example("arguments.x == 2", "type(arguments.x) == int", [{"x": 2.0}, {"x": 2}], 0)
def test_what_is_shown_holds_for_every_call(
    a: str, b: str, calls: list[dict[str, Any]], step: int
) -> None:
    shown = {
        "subsumes": subsumes(a, b),
        "same": same(a, b),
        "apart": never_together(a, b),
        "never": never_true(a),
        "always": always_true(a),
    }
    for arguments in calls:
        of_a, of_b = answers(a, arguments, step), answers(b, arguments, step)
        yes_a, yes_b = of_a is Answer.YES, of_b is Answer.YES
        assert not shown["subsumes"] or yes_a or not yes_b
        assert not shown["same"] or yes_a == yes_b
        assert not shown["apart"] or not (yes_a and yes_b)
        assert not shown["never"] or not yes_a
        assert not shown["always"] or of_a is not Answer.NO


@settings(max_examples=100)
@given(readable, readable)
def test_a_condition_covers_itself_whatever_is_added(a: str, b: str) -> None:
    if meaning(a).yes is not None and meaning(f"({a}) && ({b})").yes is not None:
        assert same(a, a)
        assert subsumes(a, f"({b}) && ({a})")
        assert subsumes(f"({b}) || ({a})", a) or meaning(f"({b}) || ({a})").yes is None


@settings(max_examples=100)
@given(readable, st.lists(facts, min_size=5, max_size=5))
def test_a_tree_written_as_text_is_the_same_condition(
    condition: str, calls: list[dict[str, Any]]
) -> None:
    written = text(tree(condition))
    assert tree(written) == tree(condition)
    for arguments in calls:
        assert answers(written, arguments, 1) is answers(condition, arguments, 1)
