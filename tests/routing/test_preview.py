"""What a policy would do to routing, shown before it is let loose."""

from __future__ import annotations

import pytest

from governance import checkpoints
from governance.actors import Actor
from governance.models import Checkpoint, LedgerEntry, LoopEvent, Settings, Tenant, User
from policies.models import Evidence, Policy
from routing import services
from routing.models import Adjustment, Freeze
from tests import factories

from .making import TOOL, adjustment, policy


@pytest.fixture
def shadow(acme: Tenant) -> Policy:
    """A shadow policy with incidents of two agents behind it, and one that was taken back."""
    made = policy(state="shadow")
    for agent, kind in (("scout", "origin"), ("rover", "confirmation"), ("scout", "support")):
        _speak(made, agent, kind)
    _speak(made, "ace", "confirmation", withdrawn=True)
    return made


@pytest.fixture
def olga(acme: Tenant) -> Actor:
    """An operator: who asks cannot be who decides."""
    user: User = factories.member(acme, "olga", "operator")
    return Actor("user", str(user.pk), "olga")


def test_a_preview_says_what_would_be_adjusted_and_writes_nothing(shadow: Policy) -> None:
    shown = services.preview(shadow)
    assert [(one["agent"], one["capability"]) for one in shown["adjustments"]] == [
        ("rover", TOOL),
        ("scout", TOOL),
    ]
    assert shown["adjustments"][0]["now"] == 1.0
    assert shown["adjustments"][0]["then"] == pytest.approx(0.82)
    assert shown["more"] is False
    assert not Adjustment.objects.exists()
    assert not Freeze.objects.exists()


def test_a_preview_shows_what_is_open_or_would_be_held_back(shadow: Policy) -> None:
    Policy.objects.filter(pk=shadow.pk).update(state="active")
    adjustment(shadow)
    for place in range(5):
        adjustment(shadow, agent="rover", capability=f"tool {place}")
    rover, scout = services.preview(shadow)["adjustments"]
    assert scout["is_open"]
    assert scout["then"] == scout["now"]
    assert "5 adjustments of this agent" in rover["held_back"]


def test_a_policy_that_leaves_routing_alone_previews_nothing(acme: Tenant) -> None:
    assert services.preview(policy(action="warn"))["adjustments"] == []


def test_a_looked_at_preview_is_kept_with_the_policy(
    shadow: Policy, olga: Actor, rita: Actor
) -> None:
    question = services.ask_preview(shadow, actor=olga)
    assert question is not None
    assert question.shown == services.preview(shadow) | {
        "adjustments": question.shown["adjustments"]
    }
    checkpoints.decide(question, approve=True, actor=rita, digest=question.digest)
    assert LedgerEntry.objects.filter(kind="routing.preview_approved", subject=shadow.id).exists()
    assert LoopEvent.objects.filter(trace_id=shadow.trace_id, type="checkpoint_approved").exists()
    assert not Adjustment.objects.exists()


def test_a_newer_preview_makes_the_older_question_void(shadow: Policy, olga: Actor) -> None:
    first, second = (
        services.ask_preview(shadow, actor=olga),
        services.ask_preview(shadow, actor=olga),
    )
    assert first is not None
    assert second is not None
    first.refresh_from_db()
    assert (first.state, second.state) == (Checkpoint.State.VOID, Checkpoint.State.PENDING)


def test_where_nobody_is_asked_no_question_is_opened(shadow: Policy, olga: Actor) -> None:
    Settings.objects.update(checkpoints_off=["simulate_routing"])
    assert services.ask_preview(shadow, actor=olga) is None
    assert not Checkpoint.objects.exists()


def _speak(of: Policy, agent: str, kind: str, *, withdrawn: bool = False) -> None:
    incident = factories.incident(agent=agent)
    for withdraws in (False, True) if withdrawn else (False,):
        Evidence.objects.create(
            policy=of,
            version=1,
            kind=kind,
            incident=incident,
            actor="system:loop",
            withdraws=withdraws,
        )
