"""Conditions: what the language refuses, and that only a plain true is a match."""

import random
import threading
from typing import Any

import pytest
from cel_expr_python import cel

from policies.conditions import (
    SOURCE_LIMIT,
    VARIABLES,
    Answer,
    Condition,
    ConditionError,
    Facts,
    UnsafeEnvironment,
    activation,
    check_environment,
    compile_condition,
)


def facts(arguments: dict[str, Any] | None = None, **changed: Any) -> Facts:
    given: dict[str, Any] = {
        "action": {"kind": "tool_call", "tool": "refund"},
        "arguments": arguments or {},
        "context": {},
        "agent": {"id": "scout"},
        "run": {"id": "run-1", "step": 3},
    }
    return activation(**given | changed)


@pytest.mark.parametrize(
    "source",
    [
        'action.kind == "tool_call" && action.tool == "refund"',
        'agent.id == "scout" && run.id == "run-1" && run.step > 2',
        "has(arguments.amount) && arguments.amount > 100",
        "arguments.amount == 120.0",
        'arguments.items.exists(item, item.sku == "b")',
        'arguments.items.all(i, i.tags.exists(t, t == "x"))',
        'arguments["odd key"] == null',
        r'arguments.note.matches("\\bgift card\\b")',
        "!has(context.approved)",
    ],
)
def test_a_true_condition_matches(source: str) -> None:
    arguments = {
        "amount": 120,
        "odd key": None,
        "note": "pay by gift card",
        "items": [{"sku": "a", "tags": ["x"]}, {"sku": "b", "tags": ["y", "x"]}],
    }
    assert compile_condition(source).matches(facts(arguments)).answer is Answer.YES


@pytest.mark.parametrize(
    "source",
    [
        'action.tool == "pay"',
        "has(arguments.amount) && arguments.amount > 100",
        "arguments.text == 1",
        "arguments.yes == 1",
    ],
)
def test_a_false_condition_does_not_match(source: str) -> None:
    arguments = {"text": "1", "yes": True}
    assert compile_condition(source).matches(facts(arguments)).answer is Answer.NO


@pytest.mark.parametrize(
    ("source", "arguments"),
    [
        ("arguments.amount > 100", {}),
        ("arguments.amount > 100", {"amount": "many"}),
        ("arguments.amount > 100", {"amount": 2**70}),
        ("arguments.amount > 100", {"amount": object()}),
        ('arguments.note == "x"', {"note": "\ud800"}),
        ("arguments.ids.exists(id, id == 1)", {"ids": [0] * 10_001}),
        ("arguments.text.matches(arguments.text)", {"text": "["}),
    ],
)
def test_what_cannot_be_evaluated_is_an_error_with_its_reason(
    source: str, arguments: dict[str, Any]
) -> None:
    match = compile_condition(source).matches(facts(arguments))
    assert match.answer is Answer.ERROR
    assert match.text


def test_a_value_that_cel_cannot_hold_spoils_only_its_own_variable() -> None:
    spoilt = facts({"amount": 2**70}, context={"channel": "mail"})
    assert compile_condition("arguments.other == 1").matches(spoilt).answer is Answer.ERROR
    condition = compile_condition('action.tool == "refund" && context.channel == "mail"')
    assert condition.matches(spoilt).answer is Answer.YES


def test_an_unknown_step_spoils_only_conditions_about_it() -> None:
    without = facts(run={"id": "run-1"})
    assert compile_condition("run.step == 1").matches(without).answer is Answer.ERROR
    assert compile_condition('run.id == "run-1"').matches(without).answer is Answer.YES


def test_a_match_has_no_truth_of_its_own() -> None:
    match = compile_condition("run.step == 99").matches(facts())
    with pytest.raises(TypeError):
        bool(match)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("arguments.amount >", "1:"),
        ("amount > 100", "amount"),
        ('action.tol == "refund"', "action.tol"),
        ("action.tool == 1", "_==_"),
        ("arguments.flag", "true or false"),
        ("1", "true or false"),
        ('["a"].map(x, x) == []', "map|undeclared"),
        ('"a" + "b" == "ab"', r"_\+_"),
        ("arguments.a + arguments.b == 2", r"_\+_"),
        ('arguments.a.matches("[")', "missing ]"),
        ("arguments.a.matches(r'(')", "missing \\)"),
        ("[1].exists(a, [2].exists(b, [3].exists(c, true)))", "2 deep"),
        ("[1].all(a, [2] . exists /* */ (b, true))", "1:"),
        ("history.failures > 1", "history.failures"),
        ("model == 'm'", "model"),
        ("tokens.input == 'many'", "_==_"),
        (
            "arguments.a.exists(x, arguments.b.exists(y, "
            + " || ".join(f"x == {n}" for n in range(30))
            + "))",
            "steps, and at most 5000",
        ),
        ('arguments.a == "\0"', "NUL"),
        ('arguments.a == "\ud800"', "Unicode"),
        ("arguments.a == " + "(" * 100 + "1" + ")" * 100, "recursion"),
    ],
)
def test_a_condition_that_cannot_work_is_refused_when_saved(source: str, complaint: str) -> None:
    with pytest.raises(ConditionError, match=complaint) as refused:
        compile_condition(source)
    assert refused.value.field == "condition"
    assert refused.value.message


@pytest.mark.parametrize(
    "source",
    [
        'arguments.a == ".exists(.exists(.exists("',
        r'arguments.a == "matches(\"[\")"',
        "arguments.a == 'matches(\"[\")' && arguments.a.matches('''a\"b''')",
        'arguments.a == 1 // [.exists(.exists(.exists( matches("[")',
        r'arguments.a.matches(r"a\(")',
    ],
)
def test_text_that_only_looks_like_code_is_accepted(source: str) -> None:
    assert compile_condition(source).source == source


def test_the_limit_is_in_bytes() -> None:
    frame = 'arguments.a == ""'
    fits = f'arguments.a == "{"a" * (SOURCE_LIMIT - len(frame))}"'
    assert compile_condition(fits).source == fits
    with pytest.raises(ConditionError, match=str(SOURCE_LIMIT)):
        compile_condition(fits.replace("a" * 10, "ä" * 10))


NOTES: list[dict[str, Any]] = [
    {"note": "pay by gift card"},
    {"note": "xé", "amount": 2, "pattern": "é"},
    {"note": "nothing of it", "items": [1], "pattern": "("},
    {"note": ["gift card"], "order": {"note": "a card"}, "amount": 2},
    {"note": None, "order": "card"},
    {"order": {"note": "none"}},
    {"note": "nothing of it", "too_large": 2**70},
    {"note": "half \ud83d", "amount": 2},
    {"note": "pay by gift card", "other": "\ud83d"},
    {"note": "pay by gift card\0and more"},
    {"note": "x", "amount": 1.0},
    {},
]
SOUGHT = [
    r'arguments.note.matches("(?i)\bGIFT\b")',
    r'arguments.note.matches("^.é$")',
    r'arguments.note.matches("")',
    r'arguments["note"].matches("card")',
    r"arguments.note.matches(arguments.pattern)",
    r'action.arguments.note.matches("card")',
    r'arguments.order.note.matches("card")',
    r'arguments == {"note": "pay by gift card"}',
    r'{"note": "x", "amount": 1} == arguments',
    r'arguments == {"note": "x", "amount": 1}',
    r'arguments == {"note": "x", "note": "y"}',
    r'arguments == {"note": "x", "amount": 1 / (size(arguments) - size(arguments))}',
    r'arguments == {"note": "x", "items": [1, {"a": null}]}',
    r'arguments == {"note": "xé", 1: "y"}',
    r'run.id == "run-1"',
    r'run.id == "run-2"',
    r'agent.id == "scout"',
    r'agent.id == "rover"',
    r'model.name == "m"',
    r"arguments.missing == 1",
    r"arguments.amount > 1",
    r"has(arguments.note)",
    r"arguments.items.exists(i, i == 1)",
]


def by_the_engine(asked: Condition, given: Facts) -> Answer:
    try:
        said = asked.expression.eval(given.activation).value()
    except (RuntimeError, UnicodeError):
        return Answer.ERROR
    return {True: Answer.YES, False: Answer.NO}.get(said, Answer.ERROR)


@pytest.mark.parametrize("seed", range(8))
def test_what_is_looked_for_first_changes_no_answer(seed: int) -> None:
    chance = random.Random(seed)

    def condition(depth: int) -> str:
        if depth == 0 or chance.random() < 0.25:
            return chance.choice(SOUGHT)
        negated = "!" * (chance.random() < 0.15)
        operator = chance.choice([" && ", " && ", " || "])
        return f"{negated}({condition(depth - 1)}{operator}{condition(depth - 1)})"

    looked_for = 0
    for _ in range(150):
        asked = compile_condition(condition(3))
        for arguments in NOTES:
            for run in ("run-1", "run-2\0", "run-\ud83d", None):
                given = facts(arguments, run={"id": run, "step": 1})
                expected = by_the_engine(asked, given)
                assert asked.matches(given).answer is expected, (asked, arguments, run)
                looked_for += any(search.fails(given) for search in asked.searches)
    assert looked_for > 100


@pytest.mark.parametrize(
    ("source", "sought"),
    [
        (
            'arguments.missing == 1 && arguments.note.matches("card")',
            [[(("arguments", "note"), "card")]],
        ),
        ('action.tool == "a" && arguments == {"q": "x"}', [[(("arguments", "q"), "x")]]),
        (
            '(arguments == {"q": "x"}) || (agent.id == "a" && run.id == "r" && arguments.q.matches("y"))',
            [[(("arguments", "q"), "x"), (("run.id",), "r")]],
        ),
        ('!arguments.note.matches("card")', []),
        ('arguments.note.matches("card") || arguments.amount > 1', []),
        ('arguments.items.exists(i, i == 1) && arguments.note.matches("card")', []),
        ('action.tool == "a" && agent.id == "b" && action.kind == "tool_call"', []),
    ],
)
def test_the_engine_is_not_asked_where_a_text_does_not_show_what_it_must(
    source: str, sought: list[Any]
) -> None:
    """Most of a tool's policies are about other words than a call's, or about another run."""
    asked = compile_condition(source)
    found = [
        [(sign.where, sign.text or sign.pattern.pattern) for sign in search.signs]
        for search in asked.searches
    ]
    assert found == sought


def test_the_same_source_is_compiled_once() -> None:
    assert compile_condition("run.step == 3") is compile_condition("run.step == 3")


def test_the_environment_proves_itself() -> None:
    check_environment()


@pytest.mark.parametrize(
    ("language", "variables", "complaint"),
    [
        ("name: stock", VARIABLES, r"accepts .*map"),
        ('stdlib: {exclude_macros: ["map", "filter", "exists_one"]}', VARIABLES, r'accepts "a" \+'),
        # The engine does not notice the misspelt key.
        (
            'stdlib: {exclude_macros: ["exists_one"], exclude_function: [{name: "_+_"}]}',
            VARIABLES,
            "accepts .*map",
        ),
        (
            'stdlib: {exclude_macros: ["exists_one", "has"], exclude_functions: [{name: "_+_"}]}',
            VARIABLES,
            "answers .* to ",
        ),
    ],
)
def test_a_wider_or_broken_environment_is_found_at_start(
    language: str, variables: dict[str, cel.Type], complaint: str
) -> None:
    loose = cel.NewEnv(config=cel.NewEnvConfigFromYaml(language), variables=variables)
    with pytest.raises(UnsafeEnvironment, match=complaint):
        check_environment(loose)


def test_one_condition_and_one_activation_serve_many_threads() -> None:
    condition = compile_condition("arguments.n > 10")
    above, below = facts({"n": 11}), facts({"n": 10})
    wrong: list[str] = []

    def ask() -> None:
        for _ in range(2_000):
            if condition.matches(above).answer is not Answer.YES:
                wrong.append("above")
            if condition.matches(below).answer is not Answer.NO:
                wrong.append("below")

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
