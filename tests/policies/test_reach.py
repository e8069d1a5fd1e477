"""How far a name that an error blames reaches is learned from what became of other names."""

from __future__ import annotations

import pytest

from policies.synthesis import Call, Draft, Form, draft
from policies.synthesis.reach import BROKEN, NAMES_COMPARED, TOLD_OF_ONE_PLACE, Reach, reach_of

from .blocking import blocks

ENOUGH = 18  # names that held, of which none broke: the nineteenth is expected to break in 1 of 20


def asked(table: str, run: str, *, column: str = "amount", error: str = "") -> Call:
    query = f"SELECT {column} FROM {table} WHERE year = 2031"
    return Call("sql", {"query": query}, run, error=error, run=run, agent="scout")


def missed(table: str, run: str, *, column: str = "amount") -> Call:
    return asked(table, run, column=column, error=f"no such table: {table}")


def held(count: int) -> list[Call]:
    """Tables that two runs asked for and neither found."""
    return [missed(f"shop_{n}", f"r{n}{which}") for n in range(count) for which in "ab"]


def good(count: int = 24) -> list[Call]:
    return [asked(f"sales_{n % 4}", f"g{n}") for n in range(count)]


def broken(count: int) -> tuple[list[Call], list[Call]]:
    """Tables that one run did not find and another did: the failures, and the good calls."""
    return (
        [missed(f"moved_{n}", f"m{n}") for n in range(count)],
        [asked(f"moved_{n}", f"found{n}") for n in range(count)],
    )


def drafted(cause: Call, earlier: list[Call], well: list[Call]) -> Draft:
    result = draft(cause, [cause, *earlier], well)
    assert isinstance(result, Draft), result
    return result


def test_what_a_name_is_in_one_run_it_is_in_all_where_so_it_was_with_all_others() -> None:
    cause = missed("orders_2031", "now")
    result = drafted(cause, held(ENOUGH), good())
    assert result.form is Form.GENERAL
    assert blocks(result.condition, asked("orders_2031", "another", column="total"))
    assert not blocks(result.condition, asked("orders_2032", "now"))
    assert "failed in all others" in result.explanation


def test_with_fewer_it_is_blamed_in_its_own_run_until_others_fail_with_it() -> None:
    cause = missed("orders_2031", "now")
    result = drafted(cause, held(ENOUGH - 1), good())
    assert result.form is Form.IN_RUN
    assert not blocks(result.condition, asked("orders_2031", "another", column="total"))
    again = [missed("orders_2031", run, column=f"c_{run}") for run in ("then", "before")]
    result = drafted(cause, again, good())
    assert result.form is Form.GENERAL
    assert blocks(result.condition, asked("orders_2031", "another", column="total"))


def test_where_names_are_fine_in_other_runs_several_failures_blame_one_in_its_run_only() -> None:
    failures, found = broken(2)
    again = [missed("orders_2031", run, column=f"c_{run}") for run in ("then", "before")]
    result = drafted(missed("orders_2031", "now"), [*again, *failures], [*found, *good()])
    assert result.form is Form.IN_RUN
    assert blocks(result.condition, asked("orders_2031", "now", column="total"))
    assert not blocks(result.condition, asked("orders_2031", "another", column="total"))


@pytest.mark.parametrize(
    ("names", "are_broken", "reach"),
    [
        (0, 0, Reach.OPEN),
        (ENOUGH - 1, 0, Reach.OPEN),
        (ENOUGH, 0, Reach.EVERYWHERE),
        (0, 1, Reach.RUN),
        (18, 1, Reach.RUN),
        (19, 1, Reach.OPEN),
        (36, 1, Reach.OPEN),
        (37, 1, Reach.EVERYWHERE),
    ],
)
def test_it_takes_many_that_held_to_outweigh_one_that_broke(
    names: int, are_broken: int, reach: Reach
) -> None:
    failures, found = broken(are_broken)
    mine = missed("orders_2031", "now")
    assert reach_of(mine, [*failures, *held(names)], [*found, *good()]) is reach
    assert pytest.approx(0.05) == BROKEN


def test_a_name_alone_in_its_run_says_nothing() -> None:
    mine = missed("orders_2031", "now")
    once = [missed(f"shop_{n}", f"r{n}") for n in range(40)]
    assert reach_of(mine, once, good()) is Reach.OPEN


@pytest.mark.parametrize("query", ["CREATE TABLE shop_0 (amount int)", "SELECT 1 FROM shop_0"])
def test_where_runs_mend_what_is_missing_only_the_very_call_is_remembered(query: str) -> None:
    mended = Call("sql", {"query": query}, "r0a", run="r0a", agent="scout")
    result = drafted(missed("orders_2031", "now"), held(9), [mended, *good()])
    assert result.form is Form.EXACT
    assert blocks(result.condition, missed("orders_2031", "another"))
    assert not blocks(result.condition, asked("orders_2031", "now", column="total"))
    looked = "SELECT 1 FROM sqlite_master WHERE name = 'shop_0'"
    looking = Call("sql", {"query": looked}, "r0a", run="r0a", agent="scout")
    result = drafted(missed("orders_2031", "now"), held(9), [looking, *good()])
    assert result.form is Form.IN_RUN
    itself = Call(
        "sql", {"query": "CREATE TABLE orders_2031 (n int)"}, "then", run="then", agent="scout"
    )
    earlier = [missed("orders_2031", "then"), *held(40)]
    result = drafted(missed("orders_2031", "now"), earlier, [itself, *good()])
    assert result.form is Form.EXACT
    elsewhere = Call("sql", {"query": query}, "g0", run="g0", agent="scout")
    result = drafted(missed("orders_2031", "now"), held(9), [elsewhere, *good()])
    assert blocks(result.condition, asked("orders_2031", "now", column="total"))


def placed(table: str, run: str, *, place: str, column: str = "amount") -> Call:
    error = f"1146 (42S02): Table '{place}.{table}' doesn't exist"
    return asked(table, run, column=column, error=error)


def test_where_errors_tell_places_that_no_call_tells_a_name_is_blamed_in_its_run_alone() -> None:
    cause = placed("orders_2031", "now", place="eu")
    again = [
        placed("orders_2031", run, place="eu", column=f"c_{run}") for run in ("then", "before")
    ]
    result = drafted(cause, again, good())
    assert not blocks(result.condition, asked("orders_2031", "another", column="total"))
    # Until so many have told of this one place alone that it is believed to be the only one.
    others = [placed(f"visits_{n}", f"v{n}", place="eu") for n in range(TOLD_OF_ONE_PLACE - 3)]
    result = drafted(cause, [*again, *others], good())
    assert blocks(result.condition, asked("orders_2031", "another", column="total"))
    result = drafted(cause, [*again, *others, placed("visits", "r1", place="us")], good())
    assert not blocks(result.condition, asked("orders_2031", "another", column="total"))


def test_a_place_that_the_call_tells_as_well_is_no_reason_for_doubt() -> None:
    cause = placed("eu.orders_2031", "now", place="eu")
    told = Call(
        cause.tool, cause.arguments, "now", error=cause.error.replace("eu.eu", "eu"), run="now"
    )
    assert reach_of(told, [told], good()) is Reach.OPEN
    untold = placed("orders_2031", "now", place="eu")
    assert reach_of(untold, [untold], good()) is Reach.RUN


def test_only_the_latest_names_count() -> None:
    failures, found = broken(5)
    mine = missed("orders_2031", "now")
    latest_first = [*held(NAMES_COMPARED), *failures]
    assert reach_of(mine, latest_first, [*found, *good()]) is Reach.EVERYWHERE
    assert reach_of(mine, latest_first[::-1], [*found, *good()]) is Reach.RUN
