"""A person's yes, once; and what applying puts in force."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from governance import checkpoints
from governance.actors import Actor
from governance.checkpoints import AlreadyDecided
from governance.database.tenancy import tenant_scope
from governance.loop.bridges import GoOn, Wait
from governance.models import Checkpoint, LedgerEntry, LoopEvent, LoopStep
from governance.refusals import Conflict, Forbidden
from governance.states import IllegalMove
from recovery import services
from recovery.models import Directive
from tests import factories
from tests.factories import SCOUT

from .cast import land, pattern, question_of, recovery_of, work


@pytest.fixture
def asked(acme):
    """A work whose recovery waits for a person, as the engine leaves it."""
    new = work(pattern(), "novel", is_new=True)
    (outcome,) = land(new)
    assert isinstance(outcome, Wait)
    LoopStep.objects.filter(pk=new.step_id).update(
        state=LoopStep.State.WAITING, waits_for=outcome.waits_for
    )
    return new


def test_an_approved_checkpoint_lets_the_loop_apply_it(asked, rita):
    question = question_of(asked)
    checkpoints.decide(question, approve=True, actor=rita, digest=question.digest)
    approved = recovery_of(asked)
    assert (approved.state, approved.confidence, approved.automatic) == ("approved", 0.70, False)

    (outcome,) = land(asked)

    recovery = recovery_of(asked)
    assert isinstance(outcome, GoOn)
    assert outcome.facts == {"recovery_id": recovery.id, "recovery_state": "applied"}
    assert [told.type for told in outcome.events] == ["recovery_applied"]
    assert outcome.events[0].details["automatic"] is False
    assert recovery.directive.approved_by == str(rita)


def test_applying_closes_the_question_and_wakes_the_loop(asked, rita):
    recovery = services.apply(recovery_of(asked), actor=rita, reason="Obviously.")

    assert recovery.state == "applied"
    assert recovery.confidence == 0.70
    assert question_of(asked).state == "approved"
    assert question_of(asked).decided_by == str(rita)
    assert LoopStep.objects.get(pk=asked.step_id).state == "ready"
    assert LoopEvent.objects.filter(type="recovery_applied", subject=recovery.id).count() == 1
    (outcome,) = land(asked)
    assert isinstance(outcome, GoOn)
    assert not outcome.events, "the story has heard of it already"


def test_the_ledger_tells_who_let_it_happen(asked, rita):
    recovery = services.apply(recovery_of(asked), actor=rita)

    told = LedgerEntry.objects.filter(subject=recovery.id, actor=str(rita)).values_list(
        "kind", flat=True
    )
    assert set(told) == {"recovery.approved", "recovery.applied"}


def test_nobody_applies_it_twice(asked, rita):
    first = recovery_of(asked)
    services.apply(first, actor=rita)

    with pytest.raises(IllegalMove):
        services.apply(recovery_of(asked), actor=rita)
    with pytest.raises((AlreadyDecided, IllegalMove)):
        services.apply(first, actor=rita)


def test_an_agent_never_applies_it(asked):
    with pytest.raises(Forbidden):
        services.apply(recovery_of(asked), actor=SCOUT)

    assert recovery_of(asked).state == "suggested"
    assert question_of(asked).state == "pending"


def test_agents_are_told_what_is_in_force_for_their_tool(asked, rita):
    recovery = services.apply(recovery_of(asked), actor=rita)

    expected = {
        "id": recovery.directive_id,
        "kind": recovery.kind,
        "params": recovery.params,
        "title": recovery.title,
    }
    assert services.directives_for("sql_query") == [expected]
    assert services.directives_for("book_flight") == []
    assert services.directives_for("") == []


def test_a_directive_without_a_tool_is_for_every_tool(acme, rita):
    new = work(pattern(tool=""), tool="")
    land(new)
    services.apply(recovery_of(new), actor=rita)

    assert len(services.directives_for("anything")) == 1


def test_directives_are_found_with_one_query(asked, rita, django_assert_num_queries):
    services.apply(recovery_of(asked), actor=rita)

    with django_assert_num_queries(1):
        services.directives_for("sql_query")


def test_two_approved_recoveries_hold_one_directive(asked, rita):
    another = work(recovery_of(asked).pattern)
    land(another)

    services.apply(recovery_of(asked), actor=rita)
    services.apply(recovery_of(another), actor=rita)

    assert Directive.objects.count() == 1
    assert recovery_of(asked).directive_id == recovery_of(another).directive_id


def test_a_story_shows_where_it_is(asked):
    recovery = recovery_of(asked)

    assert services.story(recovery.id) == {"id": recovery.id, "state": "suggested"}
    assert services.story("rec_made_up") is None


@pytest.mark.django_db(transaction=True)
def test_of_five_decisions_at_once_one_counts():
    """Given three calls of the verb and two of the queue, then one is taken and four learn who was first."""
    acme = factories.tenant("acme")
    people = [
        Actor("user", str(factories.member(acme, name, "reviewer").pk), name)
        for name in ("rita", "ben", "ada", "kim", "lou")
    ]
    with tenant_scope(acme.id):
        new = work(pattern(), "novel", is_new=True)
        land(new)
        recovery, question = recovery_of(new), question_of(new)
    refused: list[Conflict] = []

    def decide(actor, by_queue):
        try:
            with tenant_scope(acme.id):
                if by_queue:
                    asked = Checkpoint.objects.get(pk=question.id)
                    checkpoints.decide(asked, approve=True, actor=actor, digest=asked.digest)
                else:
                    services.apply(recovery, actor=actor)
        except Conflict as conflict:
            refused.append(conflict)
        finally:
            connection.close()

    threads = [
        threading.Thread(target=decide, args=(actor, place % 2))
        for place, actor in enumerate(people)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(refused) == 4
    with tenant_scope(acme.id):
        (outcome,) = land(new)
        assert isinstance(outcome, GoOn)
        assert Directive.objects.count() == 1
