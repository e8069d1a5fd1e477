"""What a run has done so far: counted when a condition asks, and the same again for stored calls."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.database.tenancy import tenant_scope
from governance.models import Run, Tenant
from policies.conditions import Answer, compile_condition
from policies.models import Decision
from policies.rules import FIRST, History, Tally, digest_of
from policies.services import calls, guard, history, ruleset
from policies.services.acted import Acted, answers
from tests import factories
from tests.factories import SCOUT

from .guarding import ask, decided, policy

EVERYTHING = "history.calls >= 0 && history.tool_calls >= 0"
TWICE = 'action.tool == "search" && history.same_call_failures >= 2'


@pytest.fixture(autouse=True)
def fresh() -> None:
    ruleset.forget()


def report(decision: Decision, *, ok: bool) -> None:
    guard.report_outcome(decision, ok=ok, error_type="" if ok else "Timeout", actor=SCOUT)


def counted(arguments: dict[str, Any], tool: str = "search") -> History:
    """What the guard would count for this call of run-1."""
    run = Run.objects.get(name="run-1")
    return history.of_next_call(run, tool, arguments, asked={"history.calls"})


def test_the_same_call_failed_twice_and_is_stopped_the_third_time(acme: Tenant) -> None:
    policy(tool="", condition=TWICE)
    for _ in range(2):
        allowed = decided("search", {"q": "a"})
        assert allowed.verdict == "allow"
        report(allowed, ok=False)
    assert ask("search", {"q": "a"}).verdict == "block"
    assert ask("search", {"q": "b"}).verdict == "allow"
    assert ask("search", {"q": "a"}, run_name="run-2").verdict == "allow"


def test_each_counter_counts_what_its_name_says(acme: Tenant) -> None:
    report(decided("search", {"q": "a"}), ok=False)
    report(decided("search", {"q": "a"}), ok=True)
    report(decided("search", {"q": "b"}), ok=False)
    decided("search", {"q": "a"})  # nobody has said how it went
    report(decided("fetch", {"q": "a"}), ok=False)
    assert counted({"q": "a"}) == History(
        same_call_failures=1, same_call_successes=1, tool_failures=2, tool_calls=4, calls=5
    )


def test_what_was_denied_was_no_call(acme: Tenant) -> None:
    policy(tool="search", condition="true")
    ask("search", {"q": "a"})
    assert counted({"q": "a"}) == FIRST


@pytest.mark.parametrize("same", [{"n": 1.0, "m": {"x": [2]}}, {"m": {"x": [2.0]}, "n": 1}])
def test_equal_is_what_conditions_call_equal(acme: Tenant, same: dict[str, Any]) -> None:
    report(decided("search", {"n": 1, "m": {"x": [2]}}), ok=False)
    assert counted(same).same_call_failures == 1


@pytest.mark.parametrize("other", [{"n": True}, {"n": "1"}, {"n": 1, "m": None}, {}])
def test_what_conditions_tell_apart_is_another_call(acme: Tenant, other: dict[str, Any]) -> None:
    report(decided("search", {"n": 1}), ok=False)
    assert counted(other).same_call_failures == 0
    assert digest_of(other) != digest_of({"n": 1})


def test_history_costs_a_statement_only_where_a_condition_asks(acme: Tenant) -> None:
    def statements(tool: str) -> int:
        with CaptureQueriesContext(connection) as caught:
            ask(tool)
        return len(caught)

    policy(tool="other", condition=EVERYTHING)
    ask("sql_query")
    without = statements("sql_query")
    policy(tool="sql_query", condition=EVERYTHING)
    ask("sql_query")
    assert statements("sql_query") == without + 1


def test_a_runs_first_call_has_no_history_to_ask_for(acme: Tenant) -> None:
    policy(tool="sql_query", condition="history.calls == 0")
    assert ask(run_name="new").verdict == "block"
    assert guard.simulate(
        agent_name="scout", run_name="newer", step=None, kind="tool_call", tool="sql_query", arguments={}, context={}
    ).verdict == "block"  # fmt: skip


@pytest.mark.parametrize(
    "asked",
    [
        {"history.same_call_failures"},
        {"history.tool_calls", "history.same_call_failures"},
        {"history.calls", "history.tool_failures"},
    ],
)
def test_a_narrower_question_has_the_same_answer(acme: Tenant, asked: set[str]) -> None:
    report(decided("search", {"q": "a"}), ok=False)
    report(decided("fetch", {"q": "a"}), ok=False)
    run = Run.objects.get(name="run-1")
    narrow = history.of_next_call(run, "search", {"q": "a"}, asked=asked)
    for name in asked:
        field = name.removeprefix("history.")
        assert getattr(narrow, field) == getattr(counted({"q": "a"}), field)


def test_a_stored_call_has_the_history_it_had_when_it_was_decided(acme: Tenant) -> None:
    """Given what the guard would have counted at each of these calls."""
    seen: dict[str, History] = {}
    calls_made: list[tuple[dict[str, Any], bool | None]] = [
        ({"q": 1}, False),
        ({"q": 2}, True),
        ({"q": 1.0}, None),
        ({"q": 1}, False),
    ]
    for arguments, ok in calls_made:
        now = counted(arguments) if Run.objects.exists() else FIRST
        decision = decided("search", arguments)
        seen[decision.id] = now
        if ok is not None:
            report(decision, ok=ok)
    policy(tool="search", condition="true")
    seen[decided("search", {"q": 1}).id] = counted({"q": 1})
    assert history.before(seen) == seen
    assert history.before([]) == {}


def test_a_backtest_asks_with_the_history_of_the_time(acme: Tenant) -> None:
    for _ in range(3):
        report(decided("search", {"q": "a"}), ok=True)
    condition = compile_condition("history.same_call_successes >= 2")
    assert calls.backtest(condition, "search").false_rejections == 1
    stored = Decision.objects.select_related("agent", "run").order_by("id")
    asked = [Acted.of(decision) for decision in stored]
    assert answers(condition, asked) == [Answer.NO, Answer.NO, Answer.YES]


@pytest.mark.django_db(transaction=True)
def test_an_outcome_that_is_not_committed_is_not_counted() -> None:
    tenant = factories.tenant("acme")
    with tenant_scope(tenant.id):
        first = decided("search", {"q": "a"})
    reported, counting = threading.Event(), threading.Event()

    def other_process() -> None:
        try:
            with tenant_scope(tenant.id):
                report(Decision.objects.select_related("agent", "run").get(pk=first.pk), ok=False)
                reported.set()
                counting.wait(10)
        finally:
            connection.close()

    other = threading.Thread(target=other_process)
    other.start()
    try:
        assert reported.wait(10)
        with tenant_scope(tenant.id):
            assert counted({"q": "a"}) == History(tool_calls=1, calls=1)
    finally:
        counting.set()
        other.join()
    with tenant_scope(tenant.id):
        assert counted({"q": "a"}).same_call_failures == 1


def test_a_tally_counts_as_the_guard_does(acme: Tenant) -> None:
    tally = Tally()
    for arguments, ok in [({"q": 1}, False), ({"q": 2}, True), ({"q": 1}, None), ({"q": 1}, True)]:
        decision = decided("search", arguments)
        tally.allow("search")
        if ok is not None:
            report(decision, ok=ok)
            tally.report("search", digest_of(arguments), ok=ok)
    assert tally.before("search", digest_of({"q": 1})) == counted({"q": 1})
    assert tally.before("other", "").calls == 4
