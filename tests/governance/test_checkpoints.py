"""A person decides once, on exactly what was shown; a clock only ever says no."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connections, transaction
from django.utils import timezone

from governance import checkpoints
from governance.actors import LOOP, Actor
from governance.database.tenancy import tenant_scope
from governance.models import Checkpoint, LedgerEntry, Tenant
from governance.rules import EXPIRES_LOW, EXPIRES_OTHERS, Priority, expires_after, priority_of
from governance.tenants import change_settings, settings
from tests import factories


def ask(type: str = Checkpoint.Type.SIMULATE_ROUTING, **details: Any) -> Checkpoint:
    asked = {
        "subject": "pol_1",
        "title": "Fine?",
        "shown": {"weight": 0.5},
        "requested_by": LOOP,
        **details,
    }
    return checkpoints.ask(type, **asked)


def test_an_approval_is_recorded_with_who_and_why(acme: Tenant, rita: Actor) -> None:
    asked = ask()
    decided = checkpoints.decide(
        asked, approve=True, actor=rita, digest=asked.digest, reason="looks right"
    )
    assert (decided.state, decided.decided_by, decided.reason) == (
        "approved",
        str(rita),
        "looks right",
    )
    assert decided.decided_at is not None
    assert LedgerEntry.objects.filter(kind="checkpoint.approved", subject=asked.id).count() == 1


def test_a_rejection_needs_a_reason(acme: Tenant, rita: Actor) -> None:
    asked = ask()
    with pytest.raises(checkpoints.ReasonMissing):
        checkpoints.decide(asked, approve=False, actor=rita, digest=asked.digest, reason="  ")
    asked.refresh_from_db()
    assert asked.state == "pending"


def test_the_second_is_told_who_was_first(acme: Tenant, rita: Actor) -> None:
    asked = ask()
    checkpoints.decide(asked, approve=True, actor=rita, digest=asked.digest)
    with pytest.raises(checkpoints.AlreadyDecided) as refused:
        checkpoints.decide(
            asked,
            approve=False,
            actor=Actor("user", "99", "otto"),
            digest=asked.digest,
            reason="no",
        )
    assert refused.value.extra["decided_by"] == str(rita)
    assert str(rita) in str(refused.value)


def test_a_digest_of_something_else_decides_nothing(acme: Tenant, rita: Actor) -> None:
    asked = ask()
    with pytest.raises(checkpoints.StaleDigest):
        checkpoints.decide(asked, approve=True, actor=rita, digest="0" * 64)
    asked.refresh_from_db()
    assert asked.state == "pending"


@pytest.mark.parametrize("actor", [Actor("service", "acc_1"), LOOP])
def test_only_people_decide(acme: Tenant, actor: Actor) -> None:
    asked = ask()
    with pytest.raises(checkpoints.NotAllowed):
        checkpoints.decide(asked, approve=True, actor=actor, digest=asked.digest)


def test_nobody_decides_what_they_asked_for(acme: Tenant, rita: Actor) -> None:
    asked = ask(requested_by=rita)
    with pytest.raises(checkpoints.NotAllowed):
        checkpoints.decide(asked, approve=True, actor=rita, digest=asked.digest)
    with pytest.raises(IntegrityError), transaction.atomic():
        Checkpoint.objects.filter(pk=asked.pk).update(decided_by=str(rita))


def test_what_nobody_decided_in_time_is_rejected(acme: Tenant) -> None:
    asked, fresh = ask(), ask(subject="pol_2")
    Checkpoint.objects.filter(pk=asked.pk).update(expires_at=timezone.now() - timedelta(days=1))
    assert checkpoints.expire_due() == 1
    asked.refresh_from_db()
    fresh.refresh_from_db()
    assert (asked.state, fresh.state) == ("expired", "pending")


def test_one_question_about_a_record_is_open_at_a_time(acme: Tenant) -> None:
    ask()
    with pytest.raises(IntegrityError), transaction.atomic():
        ask()


def test_a_withdrawn_question_cannot_be_decided(acme: Tenant, rita: Actor) -> None:
    asked = ask()
    assert checkpoints.withdraw("pol_1", actor=LOOP, reason="a new version") == 1
    with pytest.raises(checkpoints.AlreadyDecided):
        checkpoints.decide(asked, approve=True, actor=rita, digest=asked.digest)


def test_a_tenant_says_what_it_wants_to_be_asked(acme: Tenant, rita: Actor) -> None:
    change_settings(actor=rita, reason="less noise", checkpoints_off=["simulate_routing"])
    change_settings(actor=rita, reason="only looking", checkpoints_advisory=["approve_policy"])
    assert not checkpoints.is_asked("simulate_routing")
    assert checkpoints.is_asked("approve_policy")
    assert not settings().waits_for("approve_policy")
    assert settings().waits_for("approve_recovery")


@pytest.mark.django_db(transaction=True)
def test_of_eight_who_decide_at_once_one_does() -> None:
    tenant = factories.tenant("acme")
    with tenant_scope(tenant.id):
        asked = [ask(subject=f"pol_{number}") for number in range(10)]
    start = threading.Barrier(8)

    def decide(person: int) -> int:
        start.wait()
        done = 0
        for each in asked:
            try:
                with tenant_scope(tenant.id):
                    mine = Checkpoint.objects.get(pk=each.pk)
                    checkpoints.decide(
                        mine,
                        approve=person % 2 == 0,
                        actor=Actor("user", str(person)),
                        digest=each.digest,
                        reason="me",
                    )
                done += 1
            except checkpoints.AlreadyDecided:
                continue
        return done

    def person(number: int) -> int:
        try:
            return decide(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(person, range(8))) == 10
    with tenant_scope(tenant.id):
        assert (
            LedgerEntry.objects.filter(
                kind__in=["checkpoint.approved", "checkpoint.rejected"]
            ).count()
            == 10
        )


@pytest.mark.parametrize(
    ("type", "confidence", "priority"),
    [
        ("override_guardrail", None, Priority.CRITICAL),
        ("appeal", None, Priority.HIGH),
        ("revert_loop", 0.99, Priority.HIGH),
        ("approve_policy", 0.95, Priority.HIGH),
        ("approve_policy", 0.70, Priority.NORMAL),
        ("approve_recovery", 0.70, Priority.NORMAL),
        ("approve_recovery", 0.95, Priority.LOW),
        ("simulate_routing", None, Priority.NORMAL),
    ],
)
def test_priority_follows_from_type_and_confidence(
    type: str, confidence: float | None, priority: Priority
) -> None:
    assert priority_of(type, confidence) == priority
    assert expires_after(priority) == (EXPIRES_LOW if priority == Priority.LOW else EXPIRES_OTHERS)
