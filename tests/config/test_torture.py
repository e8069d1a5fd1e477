"""The torture can fail: its invariants see what is not so, its verdict says it, and a short run finds nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from config.torture import client
from config.torture.faults import FULL, KILLS, SHORT, Form, Kind, plan
from config.torture.figures import Figures
from config.torture.invariants import LATE, NEVER, UNCLAIMED, Violation, ask
from config.torture.run import torture
from governance import checkpoints, ledger
from governance.actors import LOOP, Actor
from governance.models import Checkpoint, LoopStep, LoopTrace, Stage, Tenant
from governance.story.events import tell
from incidents.services import Opened
from tests import factories

Tamper = Callable[[Opened], object]


def broken_rules(*acknowledged: tuple[str, str]) -> set[tuple[str, str]]:
    """What is not so in acme, as (promise, rule), without what the client's journal and the loop's end decide."""
    assert connection.connection is not None
    with connection.connection.cursor() as cursor:
        found = ask(cursor, acknowledged)
        cursor.execute("DROP TABLE acknowledged")
    return {(each.promise, each.rule) for each in found if each.promise in NEVER | {LATE}}


# --- Invariants


def test_an_incident_that_was_just_reported_breaks_no_promise(acme: Tenant) -> None:
    opened = factories.report()
    assert broken_rules(("incident", opened.incident.id)) == set()


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("incident", "an acknowledged incident has a row"),
        ("incident", "an acknowledged incident has its loop, the first step and the first event"),
        ("incident", "an acknowledged incident is in the ledger"),
        ("decision", "an answer of the guard was kept"),
        ("outcome", "an outcome was kept"),
        ("approved", "a decision of a person stands as it was made"),
    ],
)
def test_what_was_acknowledged_and_is_not_there_is_lost(acme: Tenant, kind: str, rule: str) -> None:
    factories.report()
    assert ("lost", rule) in broken_rules((kind, "made_up"))


def steps(opened: Opened, **changes: object) -> None:
    LoopStep.objects.filter(trace=opened.trace).update(**changes)


def trace(opened: Opened, **changes: object) -> None:
    LoopTrace.objects.filter(pk=opened.trace.pk).update(**changes)


def a_lease_that_ran_out(opened: Opened) -> None:
    steps(opened, state="running", lease_until=timezone.now() - timedelta(minutes=1))


def a_second_beginning(opened: Opened) -> None:
    tell(opened.trace.id, Stage.INCIDENT_CREATED, "again", actor=LOOP)


def a_second_opening(opened: Opened) -> None:
    ledger.append("incident.opened", opened.incident.id, actor=LOOP)


def a_stage_told_twice(opened: Opened) -> None:
    steps(opened, state="done")
    for _ in range(2):
        tell(opened.trace.id, "pattern_matched", "x", actor=LOOP, stage="pattern_matched")


def a_decision_slept_through(opened: Opened) -> None:
    question = checkpoints.question(
        Checkpoint.Type.APPROVE_RECOVERY,
        subject="rec_1",
        title="May it?",
        shown={},
        requested_by=LOOP,
    )
    question.state = Checkpoint.State.APPROVED
    question.save()
    steps(opened, state="waiting", waits_for=question.id, failure_state="human_checkpoint_pending")
    trace(opened, state="waiting", failure_state="human_checkpoint_pending")


@pytest.mark.parametrize(
    ("tamper", "promise", "rule"),
    [
        (a_lease_that_ran_out, LATE, "no lease ran out long ago"),
        (a_second_beginning, "duplicated", "one beginning of a story"),
        (a_second_opening, "duplicated", "one opening of an incident in the ledger"),
        (a_stage_told_twice, "broken", "a done step has told its stage exactly once"),
        (
            lambda opened: steps(opened, state="done"),
            "broken",
            "a done step has exactly one entry in the ledger",
        ),
        (
            lambda opened: steps(opened, state="done"),
            "broken",
            "a running loop has a step that is ready or running",
        ),
        (
            lambda opened: tell(
                opened.trace.id, "waiting", "x", actor=LOOP, stage="pattern_matched"
            ),
            "broken",
            "story and ledger tell of the same waits",
        ),
        (
            lambda opened: trace(opened, state="stopped"),
            "broken",
            "a loop that does not run has no step that does",
        ),
        (
            lambda opened: trace(opened, state="waiting"),
            "broken",
            "a waiting loop says for what, and a step of it waits",
        ),
        (
            lambda opened: trace(opened, state="complete"),
            "broken",
            "a complete loop has five done steps",
        ),
        (
            lambda opened: steps(opened, stage="policy_generated"),
            "broken",
            "a step begins when the one before it is done",
        ),
        (
            a_decision_slept_through,
            "broken",
            "nobody sleeps through the decision that was waited for",
        ),
        (lambda opened: steps(opened, state="dead"), "dead", "no step died"),
    ],
)
def test_a_database_that_was_tampered_with_is_found_out(
    acme: Tenant, tamper: Tamper, promise: str, rule: str
) -> None:
    opened = factories.report()
    assert (promise, rule) not in broken_rules()
    tamper(opened)
    assert (promise, rule) in broken_rules()


def test_a_decision_that_was_turned_round_is_lost(acme: Tenant, rita: Actor) -> None:
    question = checkpoints.question(
        Checkpoint.Type.REVERT_LOOP, subject="trc_1", title="May it?", shown={}, requested_by=LOOP
    )
    question.state = Checkpoint.State.REJECTED
    question.save()
    assert broken_rules(("rejected", question.id)) == set()
    assert ("lost", "a decision of a person stands as it was made") in broken_rules(
        ("approved", question.id)
    )


# --- The plan


@pytest.mark.parametrize("form", [SHORT, FULL])
def test_every_kind_of_fault_is_in_both_forms(form: Form) -> None:
    assert {fault.kind for fault in plan(form, form.loops, seed=1)} == set(Kind)


def test_the_full_form_kills_fifty_times_flushes_five_times_and_restarts_three_times() -> None:
    kinds = [fault.kind for fault in plan(FULL, FULL.loops, seed=1)]
    assert sum(kind in KILLS for kind in kinds) == 50
    assert kinds.count(Kind.FLUSH_BROKER) == 5
    assert kinds.count(Kind.KILL_POSTGRES) + kinds.count(Kind.STOP_POSTGRES) == 3


def test_the_same_seed_is_the_same_torture_and_another_seed_is_not() -> None:
    assert plan(FULL, 500, seed=7) == plan(FULL, 500, seed=7)
    assert plan(FULL, 500, seed=7) != plan(FULL, 500, seed=8)


def test_every_fault_has_a_stretch_of_work_of_its_own() -> None:
    faults = plan(SHORT, 50, seed=3)
    edges = [0, *(fault.granted for fault in faults)]
    assert edges[-1] == 50
    for fault, begin in zip(faults, edges, strict=False):
        assert begin <= fault.after < fault.granted


def test_fewer_loops_than_faults_are_refused() -> None:
    with pytest.raises(ValueError, match="14 faults"):
        plan(SHORT, 13, seed=1)


# --- The journal and the verdict


def test_a_journal_holds_what_was_written_once_and_no_half_lines(tmp_path: Path) -> None:
    path = tmp_path / "acknowledged.jsonl"
    assert client.read_journal(path) == []
    journal = client.Journal(path)
    for pair in [("incident", "inc_1"), ("incident", "inc_1"), ("decision", "dec_1")]:
        journal.write(*pair)
    with path.open("a") as file:
        file.write('["incident", "inc')
    assert client.read_journal(path) == [("incident", "inc_1"), ("decision", "dec_1")]


@pytest.mark.parametrize("name", Figures.MUST_BE_ZERO)
def test_whatever_must_be_zero_and_is_not_fails_the_torture(name: str) -> None:
    figures = Figures("short", 1, "redis")
    assert figures.ok
    setattr(figures, name, 1)
    assert not figures.ok


def test_a_row_that_no_answer_told_of_counts_as_duplicated() -> None:
    figures = Figures("short", 1, "redis")
    figures.count([Violation(UNCLAIMED, "every incident was acknowledged to the client", "inc_1")])
    assert figures.duplicated == 1


# --- For real


@pytest.mark.slow
def test_killing_the_product_and_its_database_loses_and_doubles_nothing() -> None:
    form = Form("tiny", 12, apart={}, whole={Kind.KILL_WHOLE: 1, Kind.KILL_POSTGRES: 1})
    figures = torture(form, loops=form.loops, seed=5, say=lambda words: None)
    # How long processes take to start is the machine's affair: the short form in CI has the last word on that.
    wrong = {name for name in Figures.MUST_BE_ZERO if getattr(figures, name)} - {"unfinished"}
    assert not wrong, figures.table()
    assert figures.settled_after_s is not None, figures.table()
    assert (figures.loops, figures.faults) == (form.loops, 2)
