"""What an error message blames, and how far a rule made of it reaches: told by small calls whose cause is known."""

from __future__ import annotations

from typing import Any

import pytest

from policies.synthesis import Call, Draft, Form, draft, generalise
from policies.synthesis.amounts import Beyond, Compared, Sums
from policies.synthesis.features import LeavesAsIs, Mentions, Predicate, ReadsFrom, Shaped, Together
from policies.synthesis.messages import Message
from policies.synthesis.reading import shape_of

from .blocking import blocks


def made(error: str = "", /, *, tool: str = "book", run: str = "r1", **arguments: Any) -> Call:
    return Call(tool, arguments, run, error=error, run=run, agent="scout")


def drafted(cause: Call, *earlier: Call, good: list[Call]) -> Draft:
    result = draft(cause, [cause, *earlier], good)
    assert isinstance(result, Draft), result
    assert blocks(result.condition, cause)
    assert not any(blocks(result.condition, call) for call in good)
    return result


def paid(count: int = 24) -> list[Call]:
    return [
        made(pay=f"{('credit_card', 'gift_card')[n % 2]}_{n}", order=f"A{n}", run=f"g{n}")
        for n in range(count)
    ]


def flight(number: str, day: str) -> dict[str, str]:
    return {"number": number, "day": day}


NO_FLIGHT = "Error: flight QX030 not available on date 2031-05-13"
TAKEN = [flight("QX030", "2031-05-13"), flight("QX052", "2031-05-21")]
ON_TIME = [made(flights=[flight(f"QX1{n:02}", "2031-05-13")], run=f"g{n}") for n in range(24)]


def test_a_flight_that_is_not_on_offer_is_not_for_any_booking_of_the_same_run() -> None:
    cause = made(NO_FLIGHT, flights=TAKEN, pay="card_1")
    result = drafted(cause, good=ON_TIME)

    assert result.form is Form.IN_RUN
    assert blocks(result.condition, made(flights=[*TAKEN, flight("QX124", "2031-05-22")]))
    assert not blocks(result.condition, made(flights=[flight("QX030", "2031-05-14")]))
    # The named values must stand in one flight, not in two.
    other = [flight("QX030", "2031-05-14"), flight("QX052", "2031-05-13")]
    assert not blocks(result.condition, made(flights=other))


def test_it_reaches_every_run_once_a_second_one_failed_so_and_the_very_call_always() -> None:
    first = made(NO_FLIGHT, flights=TAKEN, pay="card_1")
    alone = drafted(first, good=ON_TIME)
    again = made(NO_FLIGHT, flights=TAKEN[:1], pay="card_2", run="r2")
    both = drafted(again, first, good=ON_TIME)

    elsewhere = made(flights=[TAKEN[0], flight("QX199", "2031-06-01")], pay="card_3", run="r3")
    assert not blocks(alone.condition, elsewhere)
    assert blocks(alone.condition, made(flights=TAKEN, pay="card_1", run="r3"))
    assert both.form is Form.GENERAL
    assert blocks(both.condition, elsewhere)


CANNOT = "Error: certificate cannot be used to update reservation"


def test_a_class_of_values_that_no_good_call_has_is_blocked_whichever_it_is() -> None:
    result = drafted(made(CANNOT, pay="certificate_7", order="B1"), good=paid())

    assert result.form is Form.GENERAL
    assert blocks(result.condition, made(pay="certificate_9", order="B2", run="r2"))
    assert "certificate" in result.explanation


def test_without_good_calls_to_compare_with_only_the_call_itself_is_remembered() -> None:
    cause = made(CANNOT, pay="certificate_7", order="B1")
    result = drafted(cause, good=paid(4))

    assert not blocks(result.condition, made(pay="certificate_9", order="B2", run="r2"))


def test_what_was_remembered_is_generalised_when_good_calls_show_what_is_usual() -> None:
    cause = made(CANNOT, pay="certificate_7", order="B1")

    assert generalise(cause, [cause], paid(4)) is None
    wider = generalise(cause, [cause], paid())
    assert wider is not None
    assert blocks(wider.condition, made(pay="certificate_9", order="B2", run="r2"))


def test_a_class_that_good_calls_have_as_well_is_no_culprit() -> None:
    cause = made("Error: gift card balance is not enough", pay="gift_card_99", order="B1")
    result = drafted(cause, good=paid())

    assert not blocks(result.condition, made(pay="gift_card_98", order="B2"))


COLUMN = "Error executing query: 1054 (42S22): Unknown column 'country' in 'field list'"
QUERIES = [made(tool="sql", query=f"SELECT id FROM singer WHERE id = {n}") for n in range(5)]


def asked(query: str, error: str = "", *, run: str = "r1") -> Call:
    return made(error, tool="sql", query=query, run=run)


@pytest.mark.parametrize(
    ("query", "is_blocked"),
    [
        ("SELECT country, name FROM singer", True),
        ("select country from singer order by id", True),
        ("SELECT country FROM stadium", False),
        ("SELECT T2.country FROM singer T1 JOIN stadium T2 ON T1.id = T2.id", False),
        ("SELECT country FROM singer JOIN stadium ON singer.id = stadium.id", False),
        ("SELECT id FROM singer WHERE id IN (SELECT country FROM stadium)", False),
        ("SELECT country_code FROM singer", False),
    ],
)
def test_a_column_is_missing_from_its_table_and_not_from_others(
    query: str, is_blocked: bool
) -> None:
    result = drafted(asked("SELECT country FROM singer", COLUMN), good=QUERIES)

    assert blocks(result.condition, asked(query)) is is_blocked


@pytest.mark.parametrize(
    "error",
    [
        "no such table: singers",
        "Table 'concerts.singers' doesn't exist",
        'relation "singers" does not exist',
    ],
)
def test_a_table_that_does_not_exist_does_not_for_the_next_query_either(error: str) -> None:
    result = drafted(asked("SELECT name FROM singers", error), good=QUERIES)

    assert blocks(result.condition, asked("SELECT count(*) FROM singers WHERE age > 3"))
    assert not blocks(result.condition, asked("SELECT count(*) FROM singers", run="r2"))


@pytest.mark.parametrize(
    "error", ['near "FROM": syntax error', "unexpected EOF while looking for matching `''"]
)
def test_where_reading_stopped_is_not_what_was_wrong(error: str) -> None:
    result = drafted(asked("SELECT (name FROM singer", error), good=QUERIES)

    assert result.form is Form.EXACT


def ran(command: str, error: str = "", *, run: str = "r1", tool: str = "bash") -> Call:
    return made(error, tool=tool, command=command, run=run)


@pytest.mark.parametrize(
    ("command", "is_blocked"),
    [
        ("cat notes.txt | head", True),
        ("cat /opt/notes.txt", False),
        ("cat notes.txt.bak", False),
        ("cat other.txt", False),
    ],
)
def test_a_missing_file_is_missing_under_this_name(command: str, is_blocked: bool) -> None:
    cause = ran("cat notes.txt", "cat: notes.txt: No such file or directory")
    result = drafted(cause, good=[ran("cat a.txt"), ran("ls")])

    assert blocks(result.condition, ran(command)) is is_blocked


@pytest.mark.parametrize(
    ("tool", "error", "is_gone"),
    [
        ("exiftool", "/bin/bash: line 1: exiftool: command not found", True),
        ("python", 'exec: "python": executable file not found in $PATH', True),
        ("weather", '{"message": "You are not subscribed to this API."}', True),
        ("weather", "Error: no such tool: weather", True),
        ("tar", "tar (child): a.tar.gz: Cannot open: No such file or directory", False),
        ("python3", "python3: can't open file 'x.py': No such file or directory", False),
        ("jq", "sh: 1: jq: not found", True),
        ("get_order", "Error: order not found", False),
        ("get_order", "get_order: not found", False),
        ("ls", "bash: Out-File: command not found\nls: cannot access 'x': No such file", False),
    ],
)
def test_a_tool_that_is_not_there_is_blocked_whatever_its_arguments(
    tool: str, error: str, is_gone: bool
) -> None:
    cause = ran("first --try a.png", error, tool=tool)
    result = drafted(cause, good=[])

    assert blocks(result.condition, ran("another b.png", run="r2", tool=tool)) is is_gone


def test_an_argument_that_the_error_asks_for_must_be_there() -> None:
    good = [made(title=f"t{n}", project=n) for n in range(6)]
    cause = made('{"detail": [{"loc": ["body", "title"], "msg": "field required"}]}', project=3)
    result = drafted(cause, good=good)

    assert blocks(result.condition, made(project=9, run="r2"))


def test_an_argument_that_no_good_call_has_and_the_error_names_must_not() -> None:
    good = [made(title=f"t{n}") for n in range(6)]
    cause = made("book() got an unexpected keyword argument 'assignee'", title="a", assignee="x")
    result = drafted(cause, good=good)

    assert blocks(result.condition, made(title="b", assignee="y", run="r2"))


def limited(count: int) -> list[Call]:
    return [made(q=f"q{n}", limit=(10, 20, 50, 100)[n % 4]) for n in range(count)]


def test_a_number_past_all_good_ones_is_a_bound_where_the_error_is_about_it() -> None:
    cause = made("limit is too large", q="a", limit=150)
    result = drafted(cause, good=limited(24))

    assert blocks(result.condition, made(q="b", limit=500, run="r2"))
    assert not blocks(result.condition, made(q="b", limit=120, run="r2"))
    few = drafted(cause, good=limited(12))
    assert not blocks(few.condition, made(q="b", limit=500, run="r2"))


@pytest.mark.parametrize(
    "error",
    [
        "limit must not exceed 100",
        "400 Bad Request: limit must be <= 100",
        "Invalid limit: must be between 1 and 100",
        "limit: Input should be less than or equal to 100",
        "the limit is too high (max 100)",
    ],
)
def test_a_bound_that_the_error_states_is_that_bound(error: str) -> None:
    result = drafted(made(error, q="a", limit=150), good=limited(12))

    assert blocks(result.condition, made(q="b", limit=101, run="r2"))
    assert not blocks(result.condition, made(q="b", limit=100, run="r2"))


@pytest.mark.parametrize(
    "error",
    ["limit exceeds 100, what is left today", "limit: at most 100 available at this moment"],
)
def test_a_bound_of_this_moment_is_none_of_the_next(error: str) -> None:
    result = drafted(made(error, q="a", limit=150), good=limited(12))

    assert not blocks(result.condition, made(q="b", limit=140, run="r2"))


def test_two_amounts_that_the_error_names_are_compared_and_neither_is_a_bound() -> None:
    good = [made(low=20 + n, high=40 + n, run=f"g{n}") for n in range(9)]
    result = drafted(made("low must not exceed high", low=90, high=10), good=good)

    assert blocks(result.condition, made(low=31, high=30, run="r2"))
    assert not blocks(result.condition, made(low=3, high=5, run="r2"))
    assert not blocks(result.condition, made(low=91, high=99, run="r2"))
    assert "high is less than low" in result.explanation


def test_a_sum_that_does_not_add_up_is_told_from_one_failure() -> None:
    good = [made(fare=100 + n, bag=n % 3, total=100 + n + n % 3, run=f"g{n}") for n in range(9)]
    error = "the total is 500 but fare and bag come to 545"
    result = drafted(made(error, fare=500, bag=45, total=500), good=good)

    assert blocks(result.condition, made(fare=200, bag=7, total=200, run="r2"))
    assert not blocks(result.condition, made(fare=500, bag=0, total=500, run="r2"))


def test_what_most_good_calls_name_too_says_where_it_happened_and_not_what_was_wrong() -> None:
    good = [made(folder="issued", name=f"R{n}.json", run=f"g{n}") for n in range(7)]
    cause = made("[Errno 21] Is a directory: '/srv/vouchers/issued'", folder="issued", name=".")
    result = drafted(cause, good=good)

    assert not blocks(result.condition, made(folder="issued", name="R9.json"))


def test_what_was_refused_to_one_agent_is_kept_from_that_agent_where_others_may() -> None:
    good = [Call("book", {"budget": n}, f"g{n}", run=f"g{n}", agent="ops") for n in range(30)]
    cause = made("403 Forbidden: missing scope projects:budget", budget=77)
    result = drafted(cause, good=good)

    other = Call("book", {"budget": 77}, "r2", run="r2", agent="ops")
    assert not blocks(result.condition, other)
    assert blocks(result.condition, made(budget=77, run="r2"))


def test_a_word_before_which_reading_stopped_is_found_by_what_the_queries_share() -> None:
    good = [asked(f"SELECT id FROM singer WHERE age > {n}", run=f"g{n}") for n in range(40)]
    error = 'near "10": syntax error'
    causes = [
        asked(f"SELECT TOP 10 {column} FROM {table}", error, run=f"r{n}")
        for n, (column, table) in enumerate([("a", "b"), ("c", "d"), ("e", "f")])
    ]
    result = drafted(causes[0], *causes[1:], good=good)

    assert blocks(result.condition, asked("SELECT TOP 10 name FROM singer", run="r9"))
    assert not blocks(result.condition, asked("SELECT name FROM singer LIMIT 10", run="r9"))


def test_a_value_that_is_built_as_no_good_one_is_blocked_where_good_ones_are_alike() -> None:
    good = [made(order=f"#W{1000 + n}", run=f"g{n}") for n in range(24)]
    result = drafted(made("Error: order not found", order="W1003"), good=good)

    assert blocks(result.condition, made(order="X77", run="r2"))
    assert not blocks(result.condition, made(order="#W9", run="r2"))


def test_letters_where_good_values_have_none() -> None:
    good = [made(expression=f"{n} * ({n} + 2)", run=f"g{n}") for n in range(24)]
    cause = made("Error: invalid characters in expression", expression="total = 3 + 4")
    result = drafted(cause, good=good)

    assert blocks(result.condition, made(expression="10 percent", run="r2"))
    assert not blocks(result.condition, made(expression="3 + (4 * 5)", run="r2"))


@pytest.mark.parametrize(
    "error",
    ["Command timed out", "429 Too Many Requests", "503 Service Unavailable for order 17"],
)
def test_what_may_pass_by_itself_is_at_most_remembered(error: str) -> None:
    result = drafted(made(error, order=17, page=1), good=[])

    assert result.form is Form.EXACT


def test_what_differs_did_not_matter_unless_the_error_is_about_it() -> None:
    error = "Error: non-pending request cannot be changed"
    first = made(error, ticket="T-4711", seats=["12A"], note="x")
    second = made(error, ticket="T-4711", seats=["14C"], note="x")
    result = drafted(
        second, first, good=[made(ticket=f"T-{n}", seats=["1A"], note="x") for n in range(5)]
    )
    assert blocks(result.condition, made(ticket="T-4711", seats=["15D"], note="x", run="r2"))

    about = "Error: these seats are taken"
    first, second = (made(about, ticket="T-4711", seats=[one], note="x") for one in ("12A", "14C"))
    result = drafted(second, first, good=[])
    assert not blocks(result.condition, made(ticket="T-4711", seats=["15D"], note="x"))


@pytest.mark.parametrize(
    ("feature", "value", "arguments"),
    [
        (Mentions(("q",), "a.b"), "a.b", [{"q": "x a.b,"}, {"q": "a.b.c"}, {"q": "axb"}, {"q": 1}, {}]),
        (
            Together(("f",), ("n", "d")),
            {"n": "1", "d": 2},
            [{"f": {"n": "1", "d": 2.0, "e": 3}}, {"f": {"n": "1"}}, {"f": "1"}, {}],
        ),
        (
            ReadsFrom(("q",)),
            ("a", "b"),
            [
                {"q": "select 1 FROM a JOIN  b on 1"},
                {"q": "select 1 from a"},
                {"q": "from a join b join c"},
                {"q": "from b join a"},
            ],
        ),
        (
            Compared("a", "b"),
            ">",
            [{"a": 2, "b": 1.5}, {"a": 1, "b": 1}, {"a": True, "b": 0}, {"a": 2}, {"a": "2", "b": "1"}],
        ),
        (Compared("a", "b"), "!=", [{"a": 2, "b": 3}, {"a": 2, "b": 2.0}, {"a": None, "b": 1}, {}]),
        (
            Compared("a", "b", r"^[0-9]{2}\:[0-9]{2}$"),
            "<",
            [{"a": "09:30", "b": "10:15"}, {"a": "9:30", "b": "10:15"}, {"a": "10:15", "b": "09:30"}, {}],
        ),
        (
            Sums("t", ("a", "b")),
            "!=",
            [{"t": 4, "a": 1, "b": 2}, {"t": 3, "a": 1, "b": 2}, {"t": 4, "a": 1.5, "b": 2}, {"t": 4}],
        ),
        (
            Beyond(("q",), 3, True, "string", is_strict=True),
            3,
            [{"q": "æøå!"}, {"q": "æøå"}, {"q": ["a"] * 9}, {"q": 9}, {}],
        ),
        (Beyond(("q",), 2, False, "list"), 2, [{"q": []}, {"q": [1, 2, 3]}, {"q": ""}, {"q": 1}]),
        (LeavesAsIs(("q",)), "", [{"q": "jq ."}, {"q": "apt install jq"}, {"q": "a\nINSTALL b"}, {"q": "installer"},
                                  {"q": "pre-install"}, {"q": "x/install.sh"}, {"q": ""}, {"q": 1}, {}]),
        (LeavesAsIs(("q",), frozenset({"cd"})), "", [{"q": "cd a"}, {"q": "cd a; mkdir b"}]),
        (Shaped(("q",)), shape_of("#AB1"), [{"q": "#AB1"}, {"q": "#AB1\n"}, {"q": "AB1"}, {"q": "#a1"}]),
    ],
)  # fmt: skip
def test_a_feature_reads_in_python_what_its_condition_asks(
    feature: Any, value: Any, arguments: list[dict[str, Any]]
) -> None:
    term = Predicate(feature, (value,))
    answers = [term.is_true_of(each) for each in arguments]

    assert answers[0] is True
    assert answers == [blocks(term.source, made(**each)) for each in arguments]


def test_a_message_of_any_length_and_sort_is_read() -> None:
    for text in ("", "\n" * 9_000, "'" * 50_000, "a:" * 20_000, "\ud7ff\uffff'x'", "x" * 20_000):
        message = Message.of(text)
        assert isinstance(message.names("orders"), bool)
        assert isinstance(message.says_there_is_no("tool" * 50), bool)
        assert isinstance(message.names_key("order_id"), bool)
        assert message.places_of("orders") == []


@pytest.mark.parametrize(
    "text",
    ["limit" + "  is" * 1_300, "max" + " " * 4_000, "between 1 and " * 300, "limit " + "9" * 3_000,
     "limit " + "1." * 1_900, "limit < " * 500, "max 1" + "a.1" * 1_200],
)  # fmt: skip
def test_bounds_are_read_from_any_text_at_once(text: str) -> None:
    """Two ways to read each blank would be more ways than there are seconds."""
    assert all(abs(limit) < 10**15 for limit in Message.of(text).limits)


@pytest.mark.parametrize(
    ("command", "error", "as_well", "and_not"),
    [
        (
            "jq . a.json",
            "bash: line 1: jq: command not found",
            ["cat b.json | jq .", "jq --version"],
            ["apt-get install -y jq", "which jq", "git clone https://example.com/jq"],
        ),
        (
            "python3 -c 'import numpy'",
            "ModuleNotFoundError: No module named 'numpy'",
            ["python3 -c 'import numpy; numpy.zeros(3)'"],
            ["pip install numpy", "pip install numpy && python3 -c 'import numpy'"],
        ),
        (
            "cat notes.txt",
            "cat: notes.txt: No such file or directory",
            ["cat notes.txt | wc", "cat -n notes.txt"],
            ["touch notes.txt && cat notes.txt", "cd src && cat notes.txt"],
        ),
        (
            "find . -delete; cd build && make",
            "bash: line 1: cd: build: No such file or directory",
            ["cd build; ls", "find . | xargs cd build"],
            ["mkdir build && cd build && cmake ."],
        ),
        (
            "SELECT name FROM singers",
            "1146 (42S02): Table 'stage.singers' doesn't exist",
            ["DESC singers", "SELECT count(*) FROM concerts JOIN singers ON 1 = 1"],
            [
                "SELECT column_name FROM information_schema.columns WHERE table_name = 'singers'",
                "CREATE TABLE singers (name text)",
            ],
        ),
    ],
)
def test_whoever_makes_what_is_missing_or_looks_for_it_is_not_held_up(
    command: str, error: str, as_well: list[str], and_not: list[str]
) -> None:
    well = [made(command=f"ls /srv/{n}", run=f"g{n}") for n in range(24)]
    result = drafted(made(error, command=command), good=well)
    assert result.form is Form.IN_RUN
    assert all(blocks(result.condition, made(command=each)) for each in as_well)
    assert not any(blocks(result.condition, made(command=each)) for each in and_not)
