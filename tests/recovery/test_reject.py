"""A person's no, or nobody's answer: the loop stops and says which."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from governance import checkpoints
from governance.loop.bridges import Stop, Wait
from governance.models import Checkpoint, FailureState, LoopEvent
from governance.refusals import Forbidden, Invalid
from governance.states import IllegalMove
from recovery import services
from recovery.models import Directive
from tests.factories import SCOUT

from .cast import land, pattern, question_of, recovery_of, work


@pytest.fixture
def asked(acme):
    new = work(pattern(), "novel", is_new=True)
    land(new)
    return new


def test_a_rejected_checkpoint_stops_the_loop(asked, rita):
    question = question_of(asked)
    checkpoints.decide(
        question, approve=False, actor=rita, digest=question.digest, reason="Too much."
    )

    (outcome,) = land(asked)

    assert isinstance(outcome, Stop)
    assert outcome.failure_state == FailureState.RECOVERY_REJECTED
    assert "Too much." in outcome.headline
    assert recovery_of(asked).state == "rejected"
    assert not Directive.objects.exists()


def test_an_expired_checkpoint_stops_the_loop_as_undecided(asked):
    Checkpoint.objects.update(expires_at=timezone.now() - timedelta(days=1))
    assert checkpoints.expire_due() == 1

    (outcome,) = land(asked)

    assert isinstance(outcome, Stop)
    assert outcome.failure_state == FailureState.HUMAN_CHECKPOINT_REJECTED
    assert recovery_of(asked).state == "rejected"


def test_rejecting_closes_the_question(asked, rita):
    recovery = services.reject(recovery_of(asked), actor=rita, reason="Not like this.")

    assert recovery.state == "rejected"
    assert question_of(asked).state == "rejected"
    assert question_of(asked).reason == "Not like this."
    assert LoopEvent.objects.filter(type="recovery_rejected", subject=recovery.id).count() == 1


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_no_needs_a_reason(asked, rita, reason):
    with pytest.raises(Invalid):
        services.reject(recovery_of(asked), actor=rita, reason=reason)


def test_an_agent_never_rejects(asked):
    with pytest.raises(Forbidden):
        services.reject(recovery_of(asked), actor=SCOUT, reason="I would rather not.")


def test_nobody_rejects_it_twice(asked, rita):
    services.reject(recovery_of(asked), actor=rita, reason="No.")

    with pytest.raises(IllegalMove):
        services.reject(recovery_of(asked), actor=rita, reason="No.")


def test_who_tries_the_stage_again_is_asked_again(asked, rita):
    services.reject(recovery_of(asked), actor=rita, reason="Not today.")
    (stopped,) = land(asked)
    assert isinstance(stopped, Stop)

    (again,) = land(asked)

    assert isinstance(again, Wait)
    assert recovery_of(asked).state == "suggested"
    assert question_of(asked).id == again.waits_for
    assert question_of(asked).state == "pending"
