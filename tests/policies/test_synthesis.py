"""Rules from failures: what is drafted, what is refused, and what it would have done to real agents."""

import json
import random
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from governance import redaction
from policies.conditions import SOURCE_LIMIT, Answer, activation, compile_condition
from policies.rules.history import History
from policies.synthesis import Call, Draft, Form, TooThin, broaden, draft, literal, narrow
from policies.synthesis.calls import identity

DATA = Path(__file__).parents[2].parent / "shared" / "data"


def answer(condition: str, call: Call) -> Answer:
    facts = activation(
        action={"kind": call.kind, "tool": call.tool},
        arguments=call.arguments,
        context={},
        agent={"id": "scout"},
        run={"id": call.run_id, "step": 1},
    )
    return compile_condition(condition).matches(facts).answer


def call(run: str = "run-0", /, **arguments: Any) -> Call:
    return Call("query", arguments, run)


def drafted(cause: Call, failures: list[Call], successes: list[Call]) -> Draft:
    result = draft(cause, failures, successes)
    assert isinstance(result, Draft), result
    assert answer(result.condition, cause) is Answer.YES
    assert all(answer(result.condition, good) is Answer.NO for good in successes)
    assert result.backtest.false_rejections == 0
    return result


def good_queries(count: int = 30) -> list[Call]:
    columns = ["id", "name", "city", "joined"]
    return [
        call(f"run-{n}", sql=f"select {columns[n % 4]} from customer where id = {n}", limit=n % 3)
        for n in range(count)
    ]


# --- Literals ---------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
# Names and values of secrets are no arguments that a condition may hold; Hypothesis takes some from our own code.
json_arguments = st.dictionaries(texts, json_values, max_size=4).filter(
    lambda arguments: redaction.masked(arguments) == arguments
)


@given(json_values)
def test_any_json_value_equals_its_literal(value: Any) -> None:
    source = f"arguments.a == {literal(value)}"
    assume(len(source.encode()) <= SOURCE_LIMIT)
    assert answer(source, call(a=value)) is Answer.YES


@pytest.mark.parametrize(
    "value",
    ["a\0b", "\ud800", 2**63, -(2**63) - 1, float("nan"), float("inf"), object(), {"a": [2**64]}],
)
def test_what_cel_cannot_hold_has_no_literal(value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        literal(value)


# --- Remembering one call ---------------------------------------------------------------------


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    if not inner or not value:
        yield path
    else:
        for step, child in inner:
            yield from leaves(child, (*path, step))


def changed(value: Any, path: tuple[str | int, ...], leaf: Any) -> Any:
    if not path:
        return leaf
    copy = value.copy()
    copy[path[0]] = changed(value[path[0]], path[1:], leaf)
    return copy


def leaf_at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def is_same(one: Any, other: Any) -> bool:
    """As CEL sees it: an integer and a float are compared as floats."""
    numbers = [value for value in (one, other) if type(value) in (int, float)]
    if len(numbers) == 2 and float in map(type, numbers):
        return float(one) == float(other)
    return identity(one) == identity(other)


@given(json_arguments, scalars, st.data())
def test_a_remembered_call_is_matched_and_no_call_with_one_changed_leaf(
    arguments: dict[str, Any], leaf: Any, data: st.DataObject
) -> None:
    assume(
        redaction.masked(arguments) == arguments
    )  # what looks like a secret is left out of rules
    cause = Call("query", arguments, "run-1")
    result = drafted(cause, [], [])
    assert result.form is Form.EXACT
    path = data.draw(st.sampled_from(list(leaves(arguments))))
    assume(path)
    assume(not is_same(leaf, leaf_at(arguments, path)))
    other = Call("query", changed(arguments, path, leaf), "run-1")
    assert answer(result.condition, other) is Answer.NO


@given(json_arguments, texts)
def test_a_remembered_call_takes_no_more_and_no_fewer_arguments(
    arguments: dict[str, Any], name: str
) -> None:
    assume(name not in arguments)
    result = drafted(Call("query", arguments), [], [])
    more = Call("query", {**arguments, name: None})
    assert answer(result.condition, more) is Answer.NO
    for left_out in arguments:
        fewer = {key: value for key, value in arguments.items() if key != left_out}
        assert answer(result.condition, Call("query", fewer)) is Answer.NO


def test_another_tool_is_never_matched() -> None:
    result = drafted(call(sql="x"), [], [])
    assert answer(result.condition, Call("other", {"sql": "x"})) is Answer.NO


def test_a_single_failure_is_remembered_however_much_is_known_to_work() -> None:
    result = drafted(call(sql="select custmer_id from customer"), [], good_queries())
    assert result.form is Form.EXACT
    assert (result.covers, result.backtest.sample, result.backtest.is_thin) == (1, 30, False)


def test_failures_without_enough_good_calls_are_remembered() -> None:
    failures = [call(f"run-{n}", sql=f"select custmer_id from t{n}") for n in range(5)]
    result = drafted(failures[0], failures, good_queries(19))
    assert result.form is Form.EXACT
    assert result.backtest.is_thin


def test_a_call_that_has_succeeded_after_failing_as_often_is_too_thin() -> None:
    good = Call("query", {"sql": "select 1"}, "run-9", history=History(same_call_failures=3))
    result = draft(call(sql="select 1"), [], [*good_queries(), good])
    assert isinstance(result, TooThin)
    assert "1 of 31" in result.reason


@pytest.mark.parametrize("failures", [0, 1])
def test_a_call_that_went_well_in_other_runs_is_blocked_where_it_has_failed_more_often(
    failures: int,
) -> None:
    good = Call("query", {"sql": "select 1"}, "run-9", history=History(same_call_failures=failures))
    result = draft(call(sql="select 1"), [], [*good_queries(), good])
    assert isinstance(result, Draft)
    assert result.form is Form.AGAIN
    assert f"history.same_call_failures >= {failures + 1}" in result.condition


@pytest.mark.parametrize("value", ["a\0b", 2**70, "\udfff"])
def test_a_call_that_no_condition_can_hold_is_too_thin(value: Any) -> None:
    assert isinstance(draft(call(sql=value), [], good_queries()), TooThin)


def test_a_long_text_is_compared_by_its_length_and_ends() -> None:
    script = "".join(f"print({n})\n" for n in range(1_000))
    result = drafted(call(code=script), [], [])
    assert result.form is Form.ABRIDGED
    for other in (script[:-1], "x" + script[1:], script + "x"):
        assert answer(result.condition, call(code=other)) is Answer.NO


def test_what_does_not_fit_is_left_out_beginning_with_what_good_calls_share() -> None:
    settings = {f"option {n}": "x" * 30 for n in range(80)}
    good = [call(order=f"o-{n}", settings=settings) for n in range(5)]
    result = drafted(call(order="o-99", settings=settings), [], good)
    assert result.form is Form.ABRIDGED
    assert '"o-99"' in result.condition
    assert answer(result.condition, call(order="o-98", settings=settings)) is Answer.NO


def test_too_long_to_tell_apart_is_too_thin() -> None:
    one, other = ({f"option {n}": str(value) * 30 for n in range(80)} for value in (1, 2))
    assert isinstance(draft(call(settings=one), [], [call(settings=other)]), TooThin)


def test_arguments_too_deep_for_a_literal_are_still_told_apart_or_refused() -> None:
    deep: Any = 1
    for _ in range(31):
        deep = [deep]
    result = drafted(call(order="o-1", deep=deep), [], [call(order="o-2", deep=deep)])
    assert result.form is Form.ABRIDGED


# --- Generalising -----------------------------------------------------------------------------


def pairs(*arguments: dict[str, Any]) -> list[Call]:
    return [call(f"bad-{n}", **some) for n, some in enumerate(arguments)]


GENERAL = {
    "a misspelt column inside a query": (
        pairs(
            {"sql": "select custmer_id from a", "limit": 1},
            {"sql": "select b.custmer_id, x from b where y", "limit": 2},
        ),
        good_queries(),
        call(sql="delete from c where custmer_id = 3", limit=1),
        call(sql="select customer_id from a", limit=1),
    ),
    "a prefix": (
        pairs({"pay": "certificate_111", "who": "ann"}, {"pay": "certificate_222", "who": "bob"}),
        [call(pay=f"{kind}_{n}", who=f"u{n}") for n in range(12) for kind in ("gift_card", "credit_card")],
        call(pay="certificate_333", who="cy"),
        call(pay="gift_card_999", who="ann"),
    ),
    "a value": (
        pairs({"cabin": "first", "seat": "1A"}, {"cabin": "first", "seat": "2B"}),
        [call(cabin=("economy", "business")[n % 2], seat=f"{n}C") for n in range(30)],
        call(cabin="first", seat="9F"),
        call(cabin="economy", seat="1A"),
    ),
    "a small set": (
        pairs({"mode": "fast", "id": 15}, {"mode": "turbo", "id": 25}),
        [call(mode=("slow", "safe")[n % 2], id=n + 10) for n in range(30)],
        call(mode="fast", id=77),
        call(mode="slow", id=15),
    ),
    "a missing argument": (
        pairs({"city": "Oslo"}, {"city": "Rome"}),
        [call(city=f"c{n}", country="x") for n in range(30)],
        call(city="Lima"),
        call(city="Oslo", country="x"),
    ),
    "an argument that does not exist": (
        pairs({"city": "Oslo", "retries": 3}, {"city": "Rome", "retries": 5}),
        [call(city=f"c{n}") for n in range(30)],
        call(city="Lima", retries=1),
        call(city="Oslo"),
    ),
    "a wrong type": (
        pairs({"amount": "12"}, {"amount": "a dozen"}),
        [call(amount=n * 1.5) for n in range(30)],
        call(amount="7"),
        call(amount=12),
    ),
    "an empty list": (
        pairs({"to": [], "text": "hello"}, {"to": [], "text": "bye"}),
        [call(to=[f"p{n}"], text=f"t{n}") for n in range(30)],
        call(to=[], text="again"),
        call(to=["p1"], text="hello"),
    ),
    "a number past a bound": (
        pairs({"nights": 31, "room": "a"}, {"nights": 45, "room": "b"}),
        [call(nights=n % 30, room=f"r{n}") for n in range(60)],
        call(nights=40, room="c"),
        call(nights=29, room="a"),
    ),
    "an element of a list": (
        pairs(
            {"legs": [{"date": "d1", "no": "H30"}, {"date": "d2", "no": "H7"}]},
            {"legs": [{"date": "d3", "no": "H8"}, {"date": "d1", "no": "H30"}]},
        ),
        [call(legs=[{"date": f"d{n % 5}", "no": f"H{n}"}]) for n in range(29)]
        + [call(legs=[{"date": "d1", "no": "H7"}]), call(legs=[{"date": "d9", "no": "H30"}])],
        call(legs=[{"date": "d1", "no": "H30"}]),
        call(legs=[{"date": "d2", "no": "H30"}]),
    ),
    "one amount beside another": (
        pairs({"low": 9, "high": 3}, {"low": 70, "high": 65}),
        [call(low=n * 3 % 50, high=n * 3 % 50 + n % 5) for n in range(30)],
        call(low=20, high=19.5),
        call(low=60, high=61),
    ),
    "one day beside another": (
        pairs(
            {"from": "2031-05-20", "to": "2031-05-02"}, {"from": "2031-06-11", "to": "2030-12-30"},
            {"from": "2031-07-11", "to": "2031-07-09"},
        ),
        [call(**{"from": f"2031-05-{n:02}", "to": f"2031-06-{31 - n:02}"}) for n in range(1, 29)],
        call(**{"from": "2032-01-02", "to": "2032-01-01"}),
        call(**{"from": "2031-05-20", "to": "2031-05-21"}),
    ),
    "parts that do not come to their sum": (
        pairs(
            {"fare": 100, "tax": 20, "bag": 45, "total": 120},
            {"fare": 300, "tax": 20, "bag": 45, "total": 320},
            {"fare": 400, "tax": 20, "bag": 45, "total": 420},
        ),
        [
            call(fare=100 + n, tax=20, bag=45 * (n % 2), total=120 + n + 45 * (n % 2))
            for n in range(30)
        ],
        call(fare=500, tax=30, bag=10, total=530),
        call(fare=500, tax=30, bag=0, total=530),
    ),
    "two things together": (
        pairs({"kind": "refund", "currency": "JPY", "n": "a"}, {"kind": "refund", "currency": "JPY", "n": "b"}),
        [
            call(kind=kind, currency=currency, n=f"{n}")
            for n in range(10)
            for kind, currency in (("refund", "EUR"), ("charge", "JPY"), ("charge", "EUR"))
        ],
        call(kind="refund", currency="JPY", n="c"),
        call(kind="refund", currency="EUR", n="a"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", GENERAL)
def test_what_failures_share_and_good_calls_lack_is_found(case: str) -> None:
    failures, successes, recurrence, harmless = GENERAL[case]
    result = drafted(failures[-1], failures, successes)
    assert result.form is Form.GENERAL
    assert result.covers == len(failures)
    assert answer(result.condition, recurrence) is Answer.YES
    assert answer(result.condition, harmless) is Answer.NO


@pytest.mark.parametrize("case", GENERAL)
@pytest.mark.parametrize(
    "odd", [None, True, 1, 1.5, "", "x", [], [1], {}, {"date": 1}, [[]], [None]]
)
def test_a_general_condition_is_never_an_error_whatever_the_arguments(case: str, odd: Any) -> None:
    failures, successes, recurrence, _ = GENERAL[case]
    condition = drafted(failures[-1], failures, successes).condition
    for name in recurrence.arguments:
        other = Call("query", {**recurrence.arguments, name: odd})
        assert answer(condition, other) is not Answer.ERROR
    assert answer(condition, Call("query", {})) is not Answer.ERROR


def too_many(error: str) -> tuple[list[Call], list[Call]]:
    causes = [
        Call("query", {"to": [f"p{n}"] * (30 + n), "text": f"x{n}"}, f"bad-{n}", error=error)
        for n in range(3)
    ]
    return causes, [call(f"g{n}", to=[f"p{n}"] * (n % 20), text=f"t{n}") for n in range(30)]


def test_how_long_something_is_matters_where_the_error_is_about_an_amount() -> None:
    causes, good = too_many("413 Payload Too Large: too many recipients")
    result = drafted(causes[0], causes, good)
    assert result.form is Form.GENERAL
    assert answer(result.condition, call(to=["p7"] * 40, text="again")) is Answer.YES
    assert answer(result.condition, call(to=["p1"] * 5, text="hello")) is Answer.NO

    causes, good = too_many("exit code 1")
    assert drafted(causes[0], causes, good).form is not Form.GENERAL


def test_retries_of_one_run_do_not_condemn_an_identifier() -> None:
    """An order that failed twice in one run may yet succeed: no good call had its id, as none has any other's."""
    failures = [call("run-1", order="o-99", note=f"try {n}") for n in range(2)]
    good = [call(f"run-{n}", order=f"o-{n}", note="first") for n in range(30)]
    result = draft(failures[1], failures, good)
    assert isinstance(result, Draft)
    assert answer(result.condition, call("run-1", order="o-99", note="paid by card")) is Answer.NO


def test_failures_of_separate_runs_may_condemn_an_identifier() -> None:
    failures = [call(f"run-{n}", order="o-99", note=f"by agent {n} of {n}") for n in range(2)]
    good = [call(f"run-{n}", order=f"o-{n}", note=f"by agent {n % 2} of 2") for n in range(30)]
    result = drafted(failures[1], failures, good)
    assert result.form is Form.GENERAL


def test_no_good_call_is_rejected_for_the_sake_of_generality() -> None:
    failures = pairs({"sql": "select custmer_id from a"}, {"sql": "select custmer_id from b"})
    good = [*good_queries(), call(sql="select custmer_id from legacy")]
    result = drafted(failures[0], failures, good)
    assert answer(result.condition, good[-1]) is Answer.NO


def test_the_draft_tells_a_person_what_it_saw() -> None:
    failures, successes, _, _ = GENERAL["a prefix"]
    result = drafted(failures[-1], failures, successes)
    assert result.explanation == (
        'Blocks query when pay starts with "certificate_": so it was in 2 failing calls and in none of '
        "24 good ones."
    )
    assert len(result.evidence) == 3
    assert set(map(id, result.evidence)) <= set(map(id, successes))
    assert result.backtest.interval[1] == pytest.approx(0.138, abs=1e-3)


@pytest.mark.parametrize("case", GENERAL)
def test_the_same_facts_in_any_order_draft_the_same_condition(case: str) -> None:
    failures, successes, _, _ = GENERAL[case]
    expected = drafted(failures[-1], failures, successes).condition
    for seed in range(3):
        mixed, good = failures.copy(), successes.copy()
        random.Random(seed).shuffle(mixed)
        random.Random(seed).shuffle(good)
        assert drafted(failures[-1], mixed, good).condition == expected


# --- Broadening and narrowing -----------------------------------------------------------------


def test_broadening_keeps_what_was_blocked() -> None:
    first, second = call("run-1", sql="select a from b"), call("run-2", sql="drop table c")
    old = drafted(first, [], [])
    result = broaden(old.condition, second, [first, second], [])
    assert isinstance(result, Draft)
    assert result.covers == 2
    assert all(answer(result.condition, one) is Answer.YES for one in (first, second))


def test_broadening_prefers_one_condition_over_a_list_of_memories() -> None:
    failures, successes, recurrence, _ = GENERAL["a prefix"]
    old = drafted(failures[0], [], successes)
    result = broaden(old.condition, failures[1], failures, successes)
    assert isinstance(result, Draft)
    assert result.form is Form.GENERAL
    assert "||" not in result.condition
    assert answer(result.condition, recurrence) is Answer.YES


def test_broadening_for_what_is_blocked_already_changes_nothing() -> None:
    cause = call(sql="select a from b")
    old = drafted(cause, [], [])
    result = broaden(old.condition, cause, [cause], [])
    assert isinstance(result, Draft)
    assert result.condition == old.condition


def test_broadening_past_the_limit_is_too_thin() -> None:
    first, second = call(sql="a" * 1_500), call(sql="b" * 1_500)
    old = drafted(first, [], [])
    assert isinstance(broaden(old.condition, second, [first], []), TooThin)


def test_narrowing_lets_the_wronged_call_through() -> None:
    failures, successes, _, _ = GENERAL["a prefix"]
    old = drafted(failures[-1], failures, successes)
    wronged = call(pay="certificate_444", who="dee")
    assert answer(old.condition, wronged) is Answer.YES
    result = narrow(old.condition, failures[-1], failures, [wronged, *successes])
    assert isinstance(result, Draft)
    assert answer(result.condition, wronged) is Answer.NO
    assert answer(result.condition, failures[-1]) is Answer.YES


def test_narrowing_gives_up_when_the_cause_itself_succeeds() -> None:
    failures, successes, _, _ = GENERAL["a prefix"]
    old = drafted(failures[-1], failures, successes)
    works = replace(failures[-1], history=History(same_call_failures=3))
    assert isinstance(narrow(old.condition, failures[-1], failures, [works, *successes]), TooThin)


# --- Speed and real agents --------------------------------------------------------------------


def test_ten_thousand_good_calls_are_read_in_a_moment() -> None:
    cities = ["Oslo", "Rome", "Lima", "Cairo"]
    good = [
        call(
            f"run-{n}",
            sql=f"select name from t{n % 50} where id = {n}",
            city=cities[n % 4],
            page=n % 9,
        )
        for n in range(10_000)
    ]
    failures = [
        call(
            f"bad-{n}",
            sql=f"select custmer_id from t{n} where id = {n}",
            city=cities[n % 4],
            page=n,
        )
        for n in range(20)
    ]
    started = time.process_time()
    result = draft(failures[-1], failures, good)
    spent = time.process_time() - started
    assert isinstance(result, Draft)
    assert result.form is Form.GENERAL
    assert (
        spent < 2.0
    )  # about 0.5 s on one core, a third of it the real CEL; busy machines included


class Stream:
    """A recorded agent, played in order: every draft blocks from its birth."""

    def __init__(self, file: str) -> None:
        path = DATA / file
        if not path.exists():
            pytest.skip(f"{path} is not there")
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        self.calls = [
            (Call(row["tool"], row["arguments"], row["run_id"]), row["outcome"]) for row in rows
        ]
        self.conditions: dict[str, list[str]] = defaultdict(list)
        self.prevented = self.good_blocked = 0

    def is_blocked(self, one: Call) -> bool:
        return any(answer(condition, one) is Answer.YES for condition in self.conditions[one.tool])

    def play(self) -> None:
        good: dict[str, list[Call]] = defaultdict(list)
        failed: dict[tuple[str, str], list[Call]] = defaultdict(list)
        for one, outcome in self.calls:
            blocked = self.is_blocked(one)
            if outcome["ok"]:
                self.good_blocked += blocked
                good[one.tool].insert(0, one)
                continue
            self.prevented += blocked
            pattern = failed[one.tool, re.sub(r"\w*\d\w*", "#", outcome["error"])]
            pattern.append(one)
            if not blocked:
                result = draft(one, pattern, good[one.tool])
                if isinstance(result, Draft):
                    self.conditions[one.tool].append(result.condition)


def test_the_airline_agent_fails_no_call_twice_and_loses_no_good_one() -> None:
    stream = Stream("tool_calls_dev.jsonl")
    stream.play()
    failures = [one for one, outcome in stream.calls if not outcome["ok"]]
    goods = [one for one, outcome in stream.calls if outcome["ok"]]
    assert len(failures) == 52
    assert stream.prevented >= 23  # what memorising prevents
    assert stream.good_blocked == 0
    assert all(stream.is_blocked(one) for one in failures)
    assert not any(stream.is_blocked(one) for one in goods)


def test_the_shell_agent_loses_at_most_two_good_calls() -> None:
    stream = Stream("tool_calls_ctf_dev.jsonl")
    stream.play()
    assert stream.prevented >= 44  # what memorising prevents
    assert stream.good_blocked <= 2


# --- Secrets ----------------------------------------------------------------------------------

SECRET = "plntd00Zx9Qw7Er5Ty3Ui"


@pytest.mark.parametrize(
    "arguments",
    [
        {"page": "nowhere", "password": SECRET},
        {"page": "nowhere", "headers": {"X-Api-Key": SECRET, "accept": "text/html"}},
        {"page": "nowhere", "note": f"login with password='{SECRET}'"},
        {"page": "nowhere", "tried": ["plain", f"Bearer {SECRET}"]},
        {"page": "nowhere", "tries": [{"token": SECRET}]},
    ],
)
def test_a_condition_never_holds_a_secret(arguments: dict[str, Any]) -> None:
    """It is told by what else was sent, both where few calls are known and where many are."""
    failures = [call(f"run-{n}", **{**arguments, "n": n}) for n in range(6)]
    for known in ([], failures):
        found = drafted(call("run-x", **arguments), known, good_queries())
        assert SECRET not in found.condition + found.explanation


def test_a_call_that_nothing_but_a_secret_tells_apart_gets_no_rule() -> None:
    assert draft(call(password=SECRET), [], [call(password="another")]) == TooThin(
        "Its arguments are secrets, and no condition may hold one."
    )
