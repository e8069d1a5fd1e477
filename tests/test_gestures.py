"""Everything that one gesture caused shares its id, also what the loop does because of it in another process."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

import pytest
from rest_framework.test import APIClient

from governance import ledger
from governance.actors import COMMAND, Actor
from governance.database.tenancy import tenant_scope
from governance.gestures import Gestured, caused_by, current_gesture, new_gesture
from governance.loop.run import run_ready
from governance.models import Checkpoint, LedgerEntry, LoopEvent, LoopStep, Tenant, User
from tests import factories

Api = Callable[..., APIClient]


def gestures(**which: str) -> set[str]:
    entries = LedgerEntry.objects.filter(**which).values_list("gesture", flat=True)
    return set(entries)


def test_what_is_written_outside_any_gesture_is_one_of_its_own(acme: Tenant) -> None:
    ledger.append("test.said", "a", actor=COMMAND)
    ledger.append("test.said", "b", actor=COMMAND)
    found = gestures(kind="test.said")
    assert len(found) == 2
    assert all(each.startswith("ges_") for each in found)


def test_the_bytes_of_an_entry_name_the_gesture(acme: Tenant) -> None:
    with new_gesture() as made:
        entry = ledger.append("test.said", "a", actor=COMMAND)
    assert json.loads(bytes(LedgerEntry.objects.get(pk=entry).body))["gesture"] == made


def test_a_cause_that_is_not_known_leaves_the_gesture_at_hand() -> None:
    with new_gesture() as made:
        with caused_by(""):
            assert current_gesture() == made
        with caused_by("ges_other"):
            assert current_gesture() == "ges_other"
        assert current_gesture() == made


@pytest.mark.django_db(transaction=True)
def test_a_report_and_a_decision_are_two_gestures_and_the_loop_goes_on_under_each(api: Api) -> None:
    acme = factories.tenant("acme")
    factories.member(acme, "rita", "reviewer")
    agent = api(factories.agent_token(acme))
    body = {
        "error_type": "OperationalError",
        "message": "no such column: custmer_id",
        "agent_id": "scout",
        "tool": "sql_query",
        "context": {"arguments": {"query": "SELECT custmer_id FROM orders"}},
    }
    reported = agent.post("/api/v1/incidents", body)
    assert reported.status_code == 202
    report = reported["Gesture-Id"]
    run_ready()  # as a sweeper would, in a gesture of nobody

    with tenant_scope(acme.id):
        asked = Checkpoint.objects.get(state="pending")
        opened = {"incident.opened", "loop.recovery_suggested"}
        told = set(LedgerEntry.objects.filter(gesture=report).values_list("kind", flat=True))
        assert opened | {"checkpoint.pending"} <= told
        assert set(LoopEvent.objects.values_list("gesture", flat=True)) == {report}

    rita = api(factories.person_token(acme, User.objects.get(username="rita")))
    decided = rita.post(f"/api/v1/checkpoints/{asked.id}/approve", {"digest": asked.digest})
    assert decided.status_code == 200
    decision = decided["Gesture-Id"]
    assert decision != report
    run_ready()

    with tenant_scope(acme.id):
        kinds = set(LedgerEntry.objects.filter(gesture=decision).values_list("kind", flat=True))
        caused = {"checkpoint.approved", "recovery.approved", "recovery.applied"}
        assert caused | {"directive.enforced", "loop.routing_adjusted", "policy.shadow"} <= kinds
        events = set(LoopEvent.objects.filter(gesture=decision).values_list("type", flat=True))
        assert {"recovery_applied", "policy_born", "policy_generated"} <= events
        steps = dict(LoopStep.objects.values_list("stage", "gesture"))
        assert steps["pattern_matched"] == report
        assert steps["routing_adjusted"] == decision
        assert "" not in set(LedgerEntry.objects.values_list("gesture", flat=True))


@pytest.mark.django_db(transaction=True)
def test_of_a_batch_each_loop_keeps_its_own_gesture() -> None:
    acme = factories.tenant("acme")
    causes: dict[str, str] = {}
    for number in range(6):
        with tenant_scope(acme.id), new_gesture() as made:
            # Kinds of failure with letters of their own: what is alike would share a pattern.
            causes[factories.report(f"column {'abcdef'[number] * 9} is missing").trace.id] = made
    run_ready()
    with tenant_scope(acme.id):
        for trace, made in causes.items():
            entries = LedgerEntry.objects.filter(subject=trace)
            assert set(entries.values_list("gesture", flat=True)) == {made}
            asked = Checkpoint.objects.get(trace_id=trace)
            assert LedgerEntry.objects.get(subject=asked.id).gesture == made


def test_a_line_of_the_log_names_the_gesture() -> None:
    record = logging.LogRecord("antibody", logging.INFO, __file__, 1, "said", (), None)
    assert Gestured().filter(record)
    assert record.gesture == "-"  # type: ignore[attr-defined]
    with new_gesture() as made:
        Gestured().filter(record)
    assert record.gesture == made  # type: ignore[attr-defined]


def test_a_task_is_a_gesture_of_its_own() -> None:
    from config.celery import app

    seen = app.task(current_gesture)
    first, second = seen(), seen()
    assert first != second


def test_a_retry_belongs_to_who_tried_again(acme: Tenant, rita: Actor) -> None:
    from governance.loop import verbs

    trace = factories.report().trace
    LoopStep.objects.filter(trace=trace).update(state="failed", gesture="ges_before")
    with new_gesture() as made:
        step = verbs.retry(trace, "pattern_matched", actor=rita, reason="now")
    step.refresh_from_db()
    assert step.gesture == made
