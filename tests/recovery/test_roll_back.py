"""Taking an applied recovery back, alone or with its whole loop."""

from __future__ import annotations

import pytest

from governance.loop.bridges import GoOn, Wait
from governance.models import LoopEvent
from governance.refusals import Forbidden, Invalid
from governance.states import IllegalMove
from recovery import bridge, services
from recovery.models import Directive
from tests.factories import SCOUT

from .cast import land, pattern, question_of, recovery_of, work


@pytest.fixture
def applied(acme, rita):
    new = work(pattern(), "novel", is_new=True)
    land(new)
    services.apply(recovery_of(new), actor=rita)
    return new


def test_rolling_back_withdraws_the_directive(applied, rita):
    recovery = services.roll_back(
        recovery_of(applied), actor=rita, reason="It slowed everybody down."
    )

    assert recovery.state == "rolled_back"
    assert not Directive.objects.get().active
    assert services.directives_for("sql_query") == []
    told = LoopEvent.objects.get(type="recovery_rolled_back")
    assert (told.trace_id, told.subject) == (applied.trace_id, recovery.id)
    assert told.details["reason"] == "It slowed everybody down."


def test_a_directive_that_another_recovery_holds_stays(applied, rita):
    joined = work(recovery_of(applied).pattern)
    assert isinstance(land(joined)[0], GoOn)

    services.roll_back(recovery_of(applied), actor=rita, reason="Once was enough.")
    assert Directive.objects.get().active

    services.roll_back(recovery_of(joined), actor=rita, reason="No more.")
    assert not Directive.objects.get().active


def test_after_a_withdrawal_the_next_incident_is_asked_about_again(applied, rita):
    services.roll_back(recovery_of(applied), actor=rita, reason="It did harm.")

    (outcome,) = land(work(recovery_of(applied).pattern))

    assert isinstance(outcome, Wait)


def test_only_what_is_applied_can_be_rolled_back(acme, rita):
    new = work(pattern(), "novel", is_new=True)
    land(new)

    with pytest.raises(IllegalMove):
        services.roll_back(recovery_of(new), actor=rita, reason="Why not.")


def test_nobody_rolls_it_back_twice_or_without_a_reason(applied, rita):
    with pytest.raises(Invalid):
        services.roll_back(recovery_of(applied), actor=rita, reason=" ")
    services.roll_back(recovery_of(applied), actor=rita, reason="It did harm.")
    with pytest.raises(IllegalMove):
        services.roll_back(recovery_of(applied), actor=rita, reason="It did harm.")


def test_an_agent_never_rolls_back(applied):
    with pytest.raises(Forbidden):
        services.roll_back(recovery_of(applied), actor=SCOUT, reason="It binds me.")


def test_reverting_a_loop_takes_back_what_only_it_caused(applied, rita):
    joined = work(recovery_of(applied).pattern)
    land(joined)

    bridge.undo(applied.incident_id, applied.trace_id, rita, "A false alarm.")

    assert recovery_of(applied).state == "rolled_back"
    assert recovery_of(joined).state == "applied"
    assert Directive.objects.get().active


def test_reverting_a_loop_that_waits_closes_its_question(acme, rita):
    new = work(pattern(), "novel", is_new=True)
    land(new)

    bridge.undo(new.incident_id, new.trace_id, rita, "A false alarm.")

    assert recovery_of(new).state == "rejected"
    assert question_of(new).state == "void"


def test_reverting_a_loop_without_a_recovery_does_nothing(acme, rita):
    new = work(pattern(), "novel", is_new=True)

    bridge.undo(new.incident_id, new.trace_id, rita, "A false alarm.")


def test_a_loop_that_is_run_again_asks_again(applied, rita):
    bridge.undo(applied.incident_id, applied.trace_id, rita, "A false alarm.")

    (outcome,) = land(applied)

    assert isinstance(outcome, Wait)
    assert recovery_of(applied).state == "suggested"
    assert recovery_of(applied).directive is None
