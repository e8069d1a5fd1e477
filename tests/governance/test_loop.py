"""The engine: claim, fence, land, hand on; whatever its bridges do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.db import connections
from django.utils import timezone

from governance.actors import COMMAND
from governance.database.tenancy import tenant_scope
from governance.ids import new_id
from governance.loop import bridges, queue
from governance.loop import verbs as loop
from governance.loop.run import run, run_ready
from governance.loop.sweep import release_expired, sweep_once
from governance.models import Agent, LedgerEntry, LoopEvent, LoopStep, LoopTrace, Stage, Tenant
from tests import factories, loops

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def small_loop(settings: Any) -> Iterator[None]:
    """The engine with the bridges of tests/loops.py."""
    settings.ANTIBODY_LOOP = "tests.loops"
    bridges.bridges.cache_clear()
    bridges.decisions.cache_clear()
    loops.ASKED.clear()
    loops.AWAY_FOR[0] = 0
    loops.UNDONE.clear()
    loops.CLASHED.clear()
    yield
    bridges.bridges.cache_clear()
    bridges.decisions.cache_clear()


@pytest.fixture
def tenant() -> Tenant:
    return factories.tenant("acme")


def begin(tenant: Tenant, wish: str = "go on") -> LoopTrace:
    with tenant_scope(tenant.id):
        return loop.begin(new_id("inc"), headline=wish, actor=COMMAND, details={})


def seen(tenant: Tenant, trace: LoopTrace) -> LoopTrace:
    with tenant_scope(tenant.id):
        return LoopTrace.objects.get(pk=trace.pk)


def step(tenant: Tenant, trace: LoopTrace, stage: str = Stage.PATTERN_MATCHED) -> LoopStep:
    with tenant_scope(tenant.id):
        return LoopStep.objects.get(trace=trace, stage=stage)


def effects(tenant: Tenant) -> int:
    with tenant_scope(tenant.id):
        return Agent.objects.filter(name__startswith="effect of").count()


def test_a_loop_runs_to_its_end_in_one_process(tenant: Tenant) -> None:
    trace = begin(tenant)

    landed = run_ready()

    assert landed == 2
    assert seen(tenant, trace).state == LoopTrace.State.COMPLETE
    with tenant_scope(tenant.id):
        assert list(LoopEvent.objects.filter(trace=trace).values_list("type", flat=True)) == [
            "incident_created",
            "pattern_matched",
            "loop_complete",
        ]
        [entry] = LedgerEntry.objects.filter(subject=trace.id)
        assert entry.kind == "loop.loop_complete"
        assert json.loads(bytes(entry.body))["facts"] == {
            "incident": trace.incident_id,
            "stages": [
                {"stage": "pattern_matched", "outcome": "goon"},
                {"stage": "loop_complete", "outcome": "goon"},
            ],
        }
        assert (
            LoopStep.objects.get(trace=trace, stage=Stage.LOOP_COMPLETE).output["saw"]["first"]
            is True
        )


def test_loops_of_two_tenants_are_run_by_one_sweep_and_stay_apart(tenant: Tenant) -> None:
    other = factories.tenant("umbra")
    mine, theirs = begin(tenant), begin(other)

    run_ready()

    assert seen(tenant, mine).state == seen(other, theirs).state == LoopTrace.State.COMPLETE
    assert effects(tenant) == effects(other) == 1


def test_one_poisoned_loop_does_not_hold_its_neighbours(tenant: Tenant) -> None:
    good = [begin(tenant) for _ in range(3)]
    bad = begin(tenant, "fail")

    run_ready()

    assert {seen(tenant, each).state for each in good} == {LoopTrace.State.COMPLETE}
    poisoned = step(tenant, bad)
    assert poisoned.state == LoopStep.State.READY
    assert poisoned.failures == 1
    assert poisoned.available_at > timezone.now()
    assert "this one is poison" in poisoned.error
    assert effects(tenant) == 3


def test_a_bridge_that_never_comes_back_is_interrupted_and_its_neighbours_go_on(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("governance.loop.run.LANDS_WITHIN_SECONDS", 0.2)
    good = [begin(tenant) for _ in range(3)]
    bad = begin(tenant, "never come back")

    run_ready()

    assert {seen(tenant, each).state for each in good} == {LoopTrace.State.COMPLETE}
    caught = step(tenant, bad)
    assert (caught.state, caught.failures) == (LoopStep.State.READY, 1)
    assert caught.error == "TookTooLong: it took longer than 0.2 s"
    assert effects(tenant) == 3


def test_what_fails_late_fails_alone_and_what_came_before_it_stands(tenant: Tenant) -> None:
    good = [begin(tenant) for _ in range(3)]
    bad = begin(tenant, "fail late")

    run_ready()

    assert {seen(tenant, each).state for each in good} == {LoopTrace.State.COMPLETE}
    assert step(tenant, bad).state == LoopStep.State.DONE
    poisoned = step(tenant, bad, Stage.LOOP_COMPLETE)
    assert (poisoned.state, poisoned.failures) == (LoopStep.State.READY, 1)
    assert effects(tenant) == 4


def test_loops_that_the_server_gave_up_for_others_are_run_again_at_once(tenant: Tenant) -> None:
    traces = [begin(tenant), begin(tenant, "clash once")]

    run_ready()

    assert {seen(tenant, each).state for each in traces} == {LoopTrace.State.COMPLETE}
    assert effects(tenant) == 2
    with tenant_scope(tenant.id):
        assert not LoopEvent.objects.filter(type="failed").exists()


def test_a_step_that_fails_five_times_is_dead_and_can_be_tried_again(tenant: Tenant) -> None:
    trace = begin(tenant, "fail")
    for _ in range(5):
        run_ready()
        with tenant_scope(tenant.id):
            LoopStep.objects.filter(trace=trace, state="ready").update(available_at=timezone.now())

    assert step(tenant, trace).state == LoopStep.State.DEAD
    dead = seen(tenant, trace)
    assert dead.state == LoopTrace.State.DEAD
    with tenant_scope(tenant.id):
        LoopTrace.objects.filter(pk=trace.pk).update(headline="go on")
        loop.retry(dead, Stage.PATTERN_MATCHED, actor=COMMAND)
    run_ready()
    assert seen(tenant, trace).state == LoopTrace.State.COMPLETE


def test_a_stage_that_did_not_fail_cannot_be_tried_again(tenant: Tenant) -> None:
    trace = begin(tenant)
    run_ready()
    with tenant_scope(tenant.id), pytest.raises(loop.CannotRetry):
        loop.retry(trace, Stage.PATTERN_MATCHED, actor=COMMAND)


def test_a_waiting_loop_goes_on_when_it_is_resumed(tenant: Tenant) -> None:
    trace = begin(tenant, "wait")
    run_ready()
    waiting = seen(tenant, trace)
    assert (waiting.state, waiting.failure_state) == ("waiting", "human_checkpoint_pending")

    with tenant_scope(tenant.id):
        factories.agent("the sign")
        assert loop.resume("the-sign") == 1
    run_ready()

    after = seen(tenant, trace)
    assert after.state == LoopTrace.State.COMPLETE
    assert after.waited
    assert effects(tenant) == 1


def test_a_stopped_loop_says_why(tenant: Tenant) -> None:
    trace = begin(tenant, "stop")
    run_ready()
    stopped = seen(tenant, trace)
    assert (stopped.state, stopped.failure_state) == ("stopped", "match_failed")
    assert stopped.ended_at is not None


def test_an_outside_question_is_asked_outside_and_lands_with_its_answer(tenant: Tenant) -> None:
    trace = begin(tenant, "ask")
    run_ready()
    assert [(trace.id, trace.id)] == loops.ASKED
    assert step(tenant, trace).output["answer"] == "yes"
    assert seen(tenant, trace).state == LoopTrace.State.COMPLETE


def test_a_question_that_nobody_answers_is_no_failure_of_the_step(tenant: Tenant) -> None:
    loops.AWAY_FOR[0] = 6  # a step that failed so often would be dead
    trace = begin(tenant, "ask")
    for _ in range(6):
        run_ready()
        waiting = step(tenant, trace)
        assert (waiting.state, waiting.failures) == (LoopStep.State.READY, 0)
        assert waiting.error == "nobody is there"
        with tenant_scope(tenant.id):
            LoopStep.objects.filter(trace=trace).update(available_at=timezone.now())
    run_ready()
    assert seen(tenant, trace).state == LoopTrace.State.COMPLETE
    assert len(set(loops.ASKED)) == 1


def test_a_question_whose_asker_died_is_asked_again_with_the_same_key(tenant: Tenant) -> None:
    trace = begin(tenant, "ask")
    claim = queue.claim()
    # The process dies after writing its intent and before the answer.
    with tenant_scope(tenant.id):
        LoopStep.objects.filter(trace=trace).update(
            output={"ask": {"request": {"key": trace.id}, "seconds": 1.0}}
        )
    assert claim.works
    expire(tenant)
    sweep_once()
    assert [(trace.id, trace.id)] == loops.ASKED
    assert seen(tenant, trace).state == LoopTrace.State.COMPLETE


def expire(tenant: Tenant) -> None:
    with tenant_scope(tenant.id):
        LoopStep.objects.filter(state="running").update(
            lease_until=timezone.now() - timedelta(seconds=1)
        )


def test_an_abandoned_step_is_taken_over_and_one_lost_lease_is_no_failure(tenant: Tenant) -> None:
    trace = begin(tenant)
    assert len(queue.claim().works) == 1
    assert run_ready() == 0
    expire(tenant)

    assert release_expired() == 1
    assert step(tenant, trace).failures == 0
    run_ready()

    assert seen(tenant, trace).state == LoopTrace.State.COMPLETE
    assert effects(tenant) == 1


def test_whoever_takes_abandoned_steps_back_asks_the_workers_to_help(
    tenant: Tenant, settings: Any
) -> None:
    settings.REDIS_URL = "redis://elsewhere"  # what is sent stays in this process's own broker
    trace = begin(tenant)
    queue.claim()
    expire(tenant)
    release_expired()
    with current_app.connection_for_read() as broker:
        waiting = broker.SimpleQueue(current_app.conf.task_default_queue)
        hints: list[Any] = []
        while len(hints) < len(("begun", "taken back")):
            hint = waiting.get(timeout=10)
            hint.ack()
            # In a real Redis there are those of other tests, which nobody took.
            if hint.payload[0][0] == step(tenant, trace).id:
                hints.append(hint)
    assert {each.headers["task"] for each in hints} == {"loop.pattern_matched"}


def test_a_step_that_loses_its_lease_alone_five_times_is_dead(tenant: Tenant) -> None:
    trace = begin(tenant)
    queue.claim()
    for _ in range(5):
        expire(tenant)
        release_expired()
        with tenant_scope(tenant.id):
            LoopStep.objects.filter(trace=trace).update(available_at=timezone.now())
        assert len(queue.claim(suspects=True).works) == 1
    expire(tenant)
    release_expired()
    dead = step(tenant, trace)
    assert dead.state == LoopStep.State.DEAD
    assert "disappeared" in dead.error


def test_who_lost_his_lease_is_fenced_and_writes_nothing(tenant: Tenant) -> None:
    trace = begin(tenant)
    slow = queue.claim()
    expire(tenant)
    sweep_once()
    assert effects(tenant) == 1

    assert run(slow) == 1  # it tried, and was turned away

    assert effects(tenant) == 1
    with tenant_scope(tenant.id):
        assert LoopEvent.objects.filter(trace=trace, type="pattern_matched").count() == 1


def test_eight_workers_at_once_run_every_loop_once(tenant: Tenant) -> None:
    traces = [begin(tenant) for _ in range(60)]
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        try:
            while run_ready(limit=5):
                pass
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: work(), range(8)))
    run_ready()

    assert {seen(tenant, trace).state for trace in traces} == {LoopTrace.State.COMPLETE}
    assert effects(tenant) == 60


def test_a_switched_off_stage_waits_and_goes_on_when_it_is_on_again(tenant: Tenant) -> None:
    with tenant_scope(tenant.id):
        loop.set_switch(Stage.PATTERN_MATCHED, on=False, actor=COMMAND, reason="looking into it")
    trace = begin(tenant)
    run_ready()
    waiting = seen(tenant, trace)
    assert (waiting.state, waiting.failure_state) == ("waiting", "switched_off")
    assert effects(tenant) == 0

    with tenant_scope(tenant.id):
        loop.set_switch(Stage.PATTERN_MATCHED, on=True, actor=COMMAND, reason="fine")
    run_ready()
    assert seen(tenant, trace).state == LoopTrace.State.COMPLETE


def test_a_stage_that_is_off_everywhere_waits_in_every_tenant(tenant: Tenant) -> None:
    other = factories.tenant("umbra")
    loop.set_switch_everywhere("loop", on=False, actor=COMMAND, reason="an upgrade")
    traces = [(each, begin(each)) for each in (tenant, other)]
    run_ready()
    assert {seen(*each).failure_state for each in traces} == {"switched_off"}

    # Who does it may be at work in one of them.
    with tenant_scope(tenant.id):
        loop.set_switch_everywhere("loop", on=True, actor=COMMAND, reason="done")
        assert LedgerEntry.objects.filter(kind="switch.everywhere.on").count() == 1
    run_ready()
    assert {seen(*each).state for each in traces} == {LoopTrace.State.COMPLETE}


def test_a_reverted_loop_is_undone_once(tenant: Tenant) -> None:
    trace = begin(tenant)
    run_ready()
    with tenant_scope(tenant.id):
        loop.revert(trace, actor=COMMAND, reason="wrong")
        with pytest.raises(loop.CannotRevert):
            loop.revert(trace, actor=COMMAND, reason="wrong")
    assert [trace.id] == loops.UNDONE
    assert seen(tenant, trace).state == LoopTrace.State.REVERTED
