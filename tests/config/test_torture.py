"""The torture can fail: its invariants see what is not so, its verdict says it, and a short run finds nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from catalog.models import Pattern, PatternMatch
from config.torture.breaking.table import BREAKS
from config.torture.client.journal import Journal, read_journal
from config.torture.faults import FULL, SHORT, Form, Kind, kills, only, plan
from config.torture.figures import Figures
from config.torture.invariants import LATE, NEVER, SURVIVED, UNCLAIMED, Violation, ask
from config.torture.outside import Arrival
from config.torture.run import torture
from config.torture.settling import Settling
from governance import checkpoints, ledger
from governance.actors import LOOP, Actor
from governance.database.tenancy import tenant_scope
from governance.ledger.sequencer import number_entries
from governance.models import Checkpoint, LedgerEntry, LoopStep, LoopTrace, Stage, Tenant
from governance.story.events import tell
from incidents.services import Opened
from recovery.models import OutsideCall
from tests import factories
from tests.isolation.logins import without_row_security

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
Tamper = Callable[[Opened], object]


COUNTED = NEVER | {LATE, SURVIVED}


def broken_rules(
    *acknowledged: tuple[str, str], arrived: Sequence[Arrival] = ()
) -> set[tuple[str, str]]:
    """What is not so in acme, as (promise, rule), without what the client's journal and the loop's end decide."""
    LoopStep.objects.exists()  # the tenant goes to the database with Django's first statement
    assert connection.connection is not None
    with connection.connection.cursor() as cursor:
        found = ask(cursor, acknowledged, arrived)
        cursor.execute("DROP TABLE acknowledged, arrived")
    return {(each.promise, each.rule) for each in found if each.promise in COUNTED}


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


def an_entry_without_a_number(opened: Opened) -> None:
    LedgerEntry.objects.create(
        kind="x",
        subject="x",
        actor="x",
        body=b"{}",
        hash=sha256(b"{}").digest(),
        created_at=LONG_AGO,
    )


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


def a_question_that_nobody_waits_for(opened: Opened) -> None:
    checkpoints.ask(
        Checkpoint.Type.APPROVE_RECOVERY,
        subject="rec_1",
        title="May it?",
        shown={},
        requested_by=LOOP,
        trace_id=opened.trace.id,
    )


@pytest.mark.parametrize(
    ("tamper", "promise", "rule"),
    [
        (a_lease_that_ran_out, LATE, "no lease ran out long ago"),
        (an_entry_without_a_number, LATE, "an entry of the ledger has its number soon"),
        (a_second_beginning, "duplicated", "one beginning of a story"),
        (a_second_opening, "duplicated", "one opening of an incident in the ledger"),
        (a_stage_told_twice, "broken", "a done step has told its stage exactly once"),
        (
            lambda opened: steps(opened, state="done"),
            "broken",
            "a done step is told exactly once in the ledger",
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
        (lambda opened: steps(opened, state="dead"), "dead", "only poison kills a step"),
        (
            lambda opened: steps(opened, state="dead", error="ValueError: x"),
            "broken",
            "a dead step tells its cause, in its story and in the ledger",
        ),
        (
            lambda opened: tell(
                opened.trace.id, "failed", "x", actor=LOOP, details={"error": "Poisoned: x"}
            ),
            "broken",
            "poison is tasted by nobody who was not fed it",
        ),
        (
            a_question_that_nobody_waits_for,
            "broken",
            "a question that holds a loop is waited for",
        ),
    ],
)
def test_a_database_that_was_tampered_with_is_found_out(
    acme: Tenant, tamper: Tamper, promise: str, rule: str
) -> None:
    opened = factories.report()
    assert (promise, rule) not in broken_rules()
    tamper(opened)
    assert (promise, rule) in broken_rules()


@pytest.mark.parametrize(
    ("tampering", "rule"),
    [
        ("SET hash = sha256(hash)", "a number in the ledger is that of an entry and of its bytes"),
        ("SET id = 'led_x'", "a number in the ledger is that of an entry and of its bytes"),
        ("SET seq = seq + 1", "the numbers of a ledger begin at 0 and have no gap"),
    ],
)
def test_a_number_of_the_ledger_that_was_tampered_with_is_found_out(
    transactional_db: None, tampering: str, rule: str
) -> None:
    tenant = factories.tenant("acme")
    with tenant_scope(tenant.id):
        factories.report()
    assert number_entries()
    with tenant_scope(tenant.id):
        assert broken_rules() == set()
    with without_row_security(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE governance_ledgerleaf DISABLE TRIGGER append_only")
        last = "seq = (SELECT max(seq) FROM governance_ledgerleaf)"
        cursor.execute(f"UPDATE governance_ledgerleaf {tampering} WHERE {last}")
        cursor.execute("ALTER TABLE governance_ledgerleaf ENABLE ALWAYS TRIGGER append_only")
    with tenant_scope(tenant.id):
        assert broken_rules() == {("broken", rule)}


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


RACED = "one failure is one pattern, however many report it at once"


def test_one_failure_that_became_two_patterns_is_found_out(acme: Tenant) -> None:
    patterns = [
        Pattern.objects.create(
            name="x",
            error_type="RaceError",
            tool="desk",
            template="x",
            signature=digit * 64,
            signature_version=1,
        )
        for digit in "12"
    ]
    for pattern in patterns[:1] * 2 + patterns[1:]:
        assert ("duplicated", RACED) not in broken_rules()
        opened = factories.report(error_type="RaceError", source="race")
        PatternMatch.objects.create(
            incident=opened.incident, pattern=pattern, confidence=1.0, band="strong"
        )
    assert ("duplicated", RACED) in broken_rules()


CALL = Arrival("webhook", "rec_1", "body")


@pytest.mark.parametrize(
    ("attempts", "arrived", "rule"),
    [
        (2, [CALL, CALL], None),
        (2, [CALL, replace(CALL, body="other")], "a call that is repeated says the same again"),
        (1, [CALL, CALL], "a call outside is counted before it is sent"),
        (
            1,
            [replace(CALL, key="rec_2")],
            "a call outside carries the key that it was announced with",
        ),
        (
            1,
            [replace(CALL, purpose="suggestion")],
            "a call outside carries the key that it was announced with",
        ),
    ],
)
def test_an_outside_call_that_came_with_another_key_or_body_or_uncounted_is_found_out(
    acme: Tenant, attempts: int, arrived: list[Arrival], rule: str | None
) -> None:
    OutsideCall.objects.create(purpose="webhook", key="rec_1", attempts=attempts)
    assert broken_rules(arrived=arrived) == ({("duplicated", rule)} if rule else set())


def fed(poison: str, *, stage: str = "pattern_matched", cause: str) -> None:
    """An incident that poisons a stage, whose first step died of a cause."""
    opened = factories.report(source="poison", source_key=f"{poison}/{stage}/1")
    steps(opened, state="dead", error=cause)
    trace(opened, state="dead")
    tell(
        opened.trace.id,
        "dead",
        "x",
        actor=LOOP,
        stage="pattern_matched",
        details={"error": cause},
    )
    ledger.append("loop.dead", opened.trace.id, actor=LOOP)


DIED_OF_IT = (SURVIVED, "poison is what its step died of")
FED_ELSEWHERE = ("dead", "poison kills the step that it was fed to")


@pytest.mark.parametrize(
    ("poison", "cause"),
    [
        ("error", "Poisoned: x"),
        ("memory", "MemoryError: "),
        ("endless", "TookTooLong: x"),
        ("killed", "the process that ran it disappeared"),
    ],
)
def test_a_step_that_died_of_its_poison_breaks_no_promise_and_of_another_cause_it_does(
    acme: Tenant, poison: str, cause: str
) -> None:
    fed(poison, cause=cause)
    assert broken_rules() == set()
    fed(f"{poison}", stage="policy_generated", cause=cause)
    assert broken_rules() == {DIED_OF_IT, FED_ELSEWHERE}


def test_poison_that_killed_nothing_or_of_another_cause_was_survived(acme: Tenant) -> None:
    fed("error", cause="KeyError: x")
    assert broken_rules() == {DIED_OF_IT}


def test_poison_that_killed_nothing_was_survived(acme: Tenant) -> None:
    factories.report(source="poison", source_key="error/pattern_matched/1")
    assert broken_rules() == {DIED_OF_IT}


# --- The plan


@pytest.mark.parametrize("form", [SHORT, FULL])
def test_every_kind_of_fault_is_in_both_forms(form: Form) -> None:
    assert {fault.kind for fault in plan(form, form.loops, seed=1)} == set(Kind) == set(BREAKS)


def test_the_full_form_has_a_thousand_deaths_at_points_and_ten_thousand_loops() -> None:
    faults = plan(FULL, FULL.loops, seed=1)
    assert sum(fault.kind == Kind.DIE_AT_POINTS for fault in faults) * 25 == 1_000
    assert sum(fault.loops for fault in faults) == 10_000


def test_one_kind_alone_can_be_asked_for() -> None:
    chosen = only(SHORT, [Kind.MISLEAD, Kind.KILL_WHOLE])
    assert [fault.kind for fault in plan(chosen, 10, seed=1)] == [Kind.MISLEAD, Kind.KILL_WHOLE]
    assert [fault.number for fault in plan(kills(3), 30, seed=1)] == [0, 1, 2]


def test_poison_is_fed_first_because_it_takes_its_time() -> None:
    first = {fault.kind for fault in plan(FULL, FULL.loops, seed=4)[:4]}
    assert first == {kind for kind in Kind if kind.startswith("poison")}


def test_the_same_seed_is_the_same_torture_and_another_seed_is_not() -> None:
    assert plan(FULL, 500, seed=7) == plan(FULL, 500, seed=7)
    assert plan(FULL, 500, seed=7) != plan(FULL, 500, seed=8)


def test_every_fault_has_a_stretch_of_work_of_its_own() -> None:
    faults = plan(SHORT, 50, seed=3)
    assert sum(fault.loops for fault in faults) == 50
    assert all(0 <= fault.after < fault.loops for fault in faults)


def test_fewer_loops_than_faults_are_refused() -> None:
    with pytest.raises(ValueError, match="faults need at least as many loops"):
        plan(SHORT, 13, seed=1)


# --- The journal and the verdict


def test_a_journal_holds_what_was_written_once_and_no_half_lines(tmp_path: Path) -> None:
    path = tmp_path / "acknowledged.jsonl"
    assert read_journal(path) == []
    journal = Journal(path)
    for pair in [("incident", "inc_1"), ("incident", "inc_1"), ("decision", "dec_1")]:
        journal.write(*pair)
    with path.open("a") as file:
        file.write('["incident", "inc')
    assert read_journal(path) == [("incident", "inc_1"), ("decision", "dec_1")]


@pytest.mark.parametrize("name", Figures.MUST_BE_ZERO)
def test_whatever_must_be_zero_and_is_not_fails_the_torture(name: str) -> None:
    figures = Figures("short", 1, "redis")
    assert figures.ok
    setattr(figures, name, 1)
    assert not figures.ok


def test_a_loop_has_fifteen_seconds_from_the_last_fault_or_its_own_beginning() -> None:
    settling = Settling(began=100.0)
    settling.look({"held", "quick"}, 101.0)
    settling.look({"held", "begun"}, 114.9)
    assert settling.late == set()
    settling.look({"held", "begun"}, 115.1)
    assert settling.late == {"held"}
    settling.look({"begun"}, 129.8)
    settling.look({"quick"}, 129.9)
    settling.look({"begun", "quick"}, 131.0)
    assert settling.late == {"held"}
    settling.look({"begun", "quick"}, 145.0)
    assert settling.late == {"held", "quick"}


def test_a_loop_that_poison_holds_up_has_its_fifteen_seconds_from_the_end_of_it() -> None:
    settling = Settling(began=100.0)
    settling.look({"behind it", "soon over"}, 101.0)
    settling.look({"behind it", "soon over"}, 112.0, is_poison_at_work=True)
    settling.look({"behind it"}, 126.9)
    assert settling.late == set()
    settling.look({"behind it"}, 127.1)
    assert settling.late == {"behind it"}
    settling.look({"begun"}, 128.0)
    settling.look({"begun"}, 140.0, is_poison_at_work=True)
    settling.look({"begun"}, 154.9)
    assert settling.late == {"behind it"}
    settling.look({"begun"}, 155.1)
    assert settling.late == {"behind it", "begun"}


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
