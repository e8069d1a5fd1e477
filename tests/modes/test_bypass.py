"""Bypass: two people, a reason, at most an hour, and the ledger first; over by itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from rest_framework.test import APIClient

from governance.actors import LOOP, Actor
from governance.database.tenancy import leave_tenant, tenant_scope
from governance.ledger import leaves
from governance.ledger.sequencer import number_entries
from governance.models import Bypass, LedgerEntry, LedgerNote, Tenant
from governance.modes import bypassing
from governance.refusals import Invalid
from governance.signing.notes import origin_of, sign
from governance.signing.signer import make_key
from governance.states import IllegalMove, Stale

from .. import factories
from ..factories import SCOUT
from ..policies.guarding import ask, decided, policy
from .conftest import bypassed

Api = Callable[..., APIClient]


def request(actor: Actor, minutes: int = 30) -> Bypass:
    return bypassing.ask(minutes=minutes, actor=actor, reason="The guard is wrong about all")


# --- Two people -------------------------------------------------------------------------------------------------


def test_one_person_changes_nothing(acme: Tenant, ada: Actor) -> None:
    policy()
    bypass = request(ada)
    assert not bypassing.come_into_force()
    assert ask().verdict == "block"
    with pytest.raises(bypassing.SamePerson):
        bypassing.confirm(bypass, actor=ada)
    assert not bypassing.come_into_force()
    assert ask().verdict == "block"


def test_a_second_person_and_the_ledger_bring_it_into_force(
    acme: Tenant, ada: Actor, abel: Actor
) -> None:
    policy()
    bypass = request(ada)
    bypassing.confirm(bypass, actor=abel, reason="I saw it too")
    assert not bypassing.come_into_force()
    assert ask().verdict == "block"  # agreed, and not sealed yet
    number_entries()
    assert bypassing.come_into_force()
    assert ask().verdict == "allow"
    told = LedgerEntry.objects.filter(subject=bypass.id).order_by("id")
    assert [(entry.kind, entry.actor) for entry in told] == [
        ("bypass.requested", str(ada)),
        ("bypass.confirmed", str(abel)),
        ("bypass.active", "system:clock"),
    ]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("hand", ["signer", "forger", "liar"])
def test_where_a_signer_runs_its_signature_is_waited_for(settings: Any, hand: str) -> None:
    """Given a note about the tree as it was before, the entry is numbered, and not yet under a signature.

    A note that somebody else signed, and one about another tree, are none.
    """
    tenant, key = factories.tenant("acme"), make_key(settings.LEDGER_DIR)

    def note(by: Ed25519PrivateKey, *, root: bytes = b"") -> None:
        size = leaves.size()
        signed = sign(origin_of(tenant.id), size, root or leaves.root(size), by)
        LedgerNote.objects.create(size=size, root=signed.root, note=signed.text)

    with tenant_scope(tenant.id):
        policy()
        bypass = request(Actor("user", "1"))
    number_entries()
    with tenant_scope(tenant.id):
        note(key)
        bypassing.confirm(bypass, actor=Actor("user", "2"))
    assert bypassing.tend() == 0
    with tenant_scope(tenant.id):
        assert ask().verdict == "block"
        match hand:
            case "signer":
                note(key)
            case "forger":
                note(Ed25519PrivateKey.generate())
            case "liar":
                note(key, root=b"r" * 32)
    assert bypassing.tend() == (1 if hand == "signer" else 0)
    with tenant_scope(tenant.id):
        assert ask().verdict == ("allow" if hand == "signer" else "block")


@pytest.mark.django_db(transaction=True)
def test_notes_without_the_key_that_signed_them_seal_nothing(tmp_path: Path) -> None:
    tenant, key = factories.tenant("acme"), make_key(tmp_path / "elsewhere")
    with tenant_scope(tenant.id):
        bypass = request(Actor("user", "1"))
        bypassing.confirm(bypass, actor=Actor("user", "2"))
    number_entries()
    with tenant_scope(tenant.id):
        size = leaves.size()
        signed = sign(origin_of(tenant.id), size, leaves.root(size), key)
        LedgerNote.objects.create(size=size, root=signed.root, note=signed.text)
    assert bypassing.tend() == 0


@pytest.mark.parametrize("who", [SCOUT, LOOP])
def test_only_people_ask_and_confirm(acme: Tenant, ada: Actor, who: Actor) -> None:
    with pytest.raises(bypassing.NotAPerson):
        request(who)
    bypass = request(ada)
    with pytest.raises(bypassing.NotAPerson):
        bypassing.confirm(bypass, actor=who)


@pytest.mark.parametrize(
    ("constraint", "change"),
    [
        ("bypass_two_people", {"confirmed_by": F("requested_by")}),
        ("bypass_two_people", {"confirmed_by": "service:acc_x"}),
        ("bypass_two_people", {"requested_by": "service:acc_x"}),
        ("bypass_minutes", {"minutes": 61}),
        ("bypass_minutes", {"minutes": 0}),
        ("bypass_ends", {"ends_at": F("confirmed_at") + timedelta(minutes=61)}),
        ("bypass_confirmed_in_time", {"confirmed_at": F("expires_at") + timedelta(seconds=1)}),
        ("bypass_confirmed_in_time", {"expires_at": Now() + timedelta(days=1)}),
        ("bypass_confirmed_first", {"confirmed_by": ""}),
        ("bypass_confirmed_first", {"ends_at": None}),
    ],
)
def test_the_database_itself_refuses_what_the_verbs_do(
    acme: Tenant, ada: Actor, abel: Actor, constraint: str, change: dict[str, Any]
) -> None:
    bypass = bypassed(ada, abel)
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Bypass.objects.filter(pk=bypass.pk).update(**change)


def test_one_person_cannot_be_both_in_raw_sql(acme: Tenant, ada: Actor) -> None:
    bypass = request(ada)
    with (
        pytest.raises(IntegrityError, match="bypass_two_people"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "UPDATE governance_bypass SET state = 'active', confirmed_by = requested_by, confirmed_at = now(),"
            " ends_at = now() + interval '5 minutes' WHERE id = %s",
            [bypass.id],
        )


# --- A reason, and at most an hour ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minutes", "reason", "field"), [(61, "x", "minutes"), (0, "x", "minutes"), (5, " ", "reason")]
)
def test_it_lasts_at_most_an_hour_and_has_a_reason(
    acme: Tenant, ada: Actor, minutes: int, reason: str, field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        bypassing.ask(minutes=minutes, actor=ada, reason=reason)
    assert refused.value.extra["field"] == field
    assert not Bypass.objects.exists()


def test_its_minutes_count_from_when_it_was_confirmed(
    acme: Tenant, ada: Actor, abel: Actor
) -> None:
    bypass = bypassed(ada, abel, minutes=60)
    assert bypass.ends_at - bypass.confirmed_at <= timedelta(minutes=60)  # type: ignore[operator]
    assert bypass.ends_at - bypass.confirmed_at > timedelta(minutes=59)  # type: ignore[operator]


def test_it_is_over_with_the_first_decision_after_its_end(
    acme: Tenant, ada: Actor, abel: Actor
) -> None:
    policy()
    bypass = bypassed(ada, abel)
    assert ask().verdict == "allow"
    # Nobody closed it: its state still says active.
    Bypass.objects.filter(pk=bypass.pk).update(ends_at=Now())
    assert Bypass.objects.get().state == "active"
    assert ask().verdict == "block"


def test_what_closes_it_afterwards_is_the_clock(acme: Tenant, ada: Actor, abel: Actor) -> None:
    bypass = bypassed(ada, abel)
    assert bypassing.close_due() == 0
    Bypass.objects.filter(pk=bypass.pk).update(ends_at=Now())
    leave_tenant()
    assert bypassing.tend() == 1
    with tenant_scope(acme.id):
        bypass.refresh_from_db()
        assert (bypass.state, bypass.closed_by) == ("ended", "system:clock")
        assert LedgerEntry.objects.filter(kind="bypass.ended", subject=bypass.id).exists()


def test_a_request_that_nobody_confirms_expires(acme: Tenant, ada: Actor, abel: Actor) -> None:
    bypass = request(ada)
    Bypass.objects.update(expires_at=Now())
    bypass.refresh_from_db()
    with pytest.raises(bypassing.TooLate):
        bypassing.confirm(bypass, actor=abel)
    assert bypassing.close_due() == 1
    bypass.refresh_from_db()
    assert bypass.state == "expired"


def test_what_was_agreed_and_never_sealed_expires_unused(
    acme: Tenant, ada: Actor, abel: Actor
) -> None:
    policy()
    bypass = request(ada)
    bypassing.confirm(bypass, actor=abel)
    Bypass.objects.update(ends_at=Now())
    assert not bypassing.come_into_force()
    assert ask().verdict == "block"
    assert bypassing.close_due() == 1
    bypass.refresh_from_db()
    assert bypass.state == "expired"
    assert "no receipt" in bypass.close_reason


# --- One at a time, decided once ----------------------------------------------------------------------------------


def test_a_tenant_has_one_at_a_time(acme: Tenant, ada: Actor, abel: Actor) -> None:
    first = request(ada)
    with pytest.raises(bypassing.OneAtATime):
        request(abel)
    bypassing.confirm(first, actor=abel)
    with pytest.raises(bypassing.OneAtATime):
        request(abel)
    bypassing.finish(first, actor=ada, reason="over")
    assert request(abel).state == "requested"


def test_one_that_lapsed_is_not_in_the_way(acme: Tenant, ada: Actor, abel: Actor) -> None:
    old = bypassed(ada, abel)
    Bypass.objects.update(ends_at=Now())
    assert request(ada).state == "requested"
    old.refresh_from_db()
    assert old.state == "ended"


def test_it_is_confirmed_once(acme: Tenant, ada: Actor, abel: Actor) -> None:
    bypass = request(ada)
    copy = Bypass.objects.get()
    bypassing.confirm(bypass, actor=abel)
    with pytest.raises(Stale):
        bypassing.confirm(copy, actor=Actor("user", "999"))
    with pytest.raises(IllegalMove):
        bypassing.confirm(bypass, actor=abel)


@pytest.mark.parametrize("stage", ["requested", "confirmed", "active"])
def test_anybody_may_end_it_early_with_a_reason(
    acme: Tenant, ada: Actor, abel: Actor, otto: Actor, stage: str
) -> None:
    policy()
    bypass = request(ada)
    if stage != "requested":
        bypassing.confirm(bypass, actor=abel)
    if stage == "active":
        number_entries()
        assert bypassing.come_into_force()
    with pytest.raises(Invalid):
        bypassing.finish(bypass, actor=otto, reason="")
    bypassing.finish(bypass, actor=otto, reason="enough")
    assert bypass.state == ("ended" if stage == "active" else "withdrawn")
    assert (bypass.closed_by, bypass.close_reason) == (str(otto), "enough")
    assert not bypassing.come_into_force()
    assert ask().verdict == "block"
    with pytest.raises(bypassing.TooLate):
        bypassing.finish(bypass, actor=otto, reason="again")


@pytest.mark.django_db(transaction=True)
def test_of_two_who_ask_at_once_one_is_told_to_wait() -> None:
    tenant = factories.tenant("acme")
    together, answers = threading.Barrier(2), []

    def one(number: int) -> None:
        try:
            with tenant_scope(tenant.id):
                together.wait()
                answers.append(request(Actor("user", str(number))).state)
        except bypassing.OneAtATime:
            answers.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["refused", "requested"]


@pytest.mark.django_db(transaction=True)
def test_in_another_connection_the_next_decision_obeys() -> None:
    tenant = factories.tenant("acme")
    with tenant_scope(tenant.id):
        policy()
        bypass = bypassed(Actor("user", "1"), Actor("user", "2"))
    found: list[str] = []

    def elsewhere() -> None:
        try:
            with tenant_scope(tenant.id):
                found.append(ask().verdict)
        finally:
            connection.close()

    for after in (lambda: None, lambda: bypassing.finish(bypass, actor=SCOUT, reason="over")):
        with tenant_scope(tenant.id):
            after()
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert found == ["allow", "block"]


# --- What it leaves behind -----------------------------------------------------------------------------------------


def test_each_call_is_recorded_with_what_the_answer_would_have_been(
    acme: Tenant, ada: Actor, abel: Actor
) -> None:
    rule = policy()
    bypass = bypassed(ada, abel)
    answer, record = ask(), decided()
    assert (answer.verdict, answer.mode, answer.would_be) == ("allow", "bypass", "block")
    assert (record.verdict, record.mode, record.would_be) == ("allow", "bypass", "block")
    assert [each["id"] for each in record.policies] == [rule.id]
    assert bypass.id in record.reason
    entry = LedgerEntry.objects.get(subject=record.id)
    facts = json.loads(bytes(entry.body))["facts"]
    assert (facts["mode"], facts["would_be"], facts["bypass"]) == ("bypass", "block", bypass.id)
    assert "retryable" not in facts


# --- Over HTTP --------------------------------------------------------------------------------------------------------


def admins(acme: Tenant, api: Api) -> tuple[APIClient, APIClient]:
    ada, abel = (
        api(factories.person_token(acme, factories.member(acme, name, "admin")))
        for name in ("ada", "abel")
    )
    leave_tenant()
    return ada, abel


def test_two_admins_bypass_over_http_and_one_ends_it(acme: Tenant, api: Api) -> None:
    ada, abel = admins(acme, api)
    asked = ada.post("/api/v1/ops/bypass", {"minutes": 5, "reason": "wrong about all"})
    assert asked.status_code == 201
    path = f"/api/v1/ops/bypass/{asked.json()['id']}"
    assert ada.post(f"{path}/confirm", {}).status_code == 403
    assert ada.post("/api/v1/ops/bypass", {"minutes": 5, "reason": "again"}).status_code == 409
    assert ada.get("/api/v1/ops/state").json()["bypass"]["state"] == "requested"
    confirmed = abel.post(f"{path}/confirm", {})
    assert (confirmed.status_code, confirmed.json()["state"]) == (200, "confirmed")
    assert abel.post(f"{path}/confirm", {}).status_code == 409
    bypassing.tend()
    state = ada.get("/api/v1/ops/state").json()
    assert (state["state"], state["bypass"]["state"]) == ("DEGRADED", "active")
    assert state["reasons"][0]["name"] == "bypass"
    assert ada.post(f"{path}/end", {}).status_code == 400
    ended = ada.post(f"{path}/end", {"reason": "over"})
    assert (ended.status_code, ended.json()["state"]) == (200, "ended")
    assert ada.get("/api/v1/ops/state").json()["state"] == "READY"
    assert ada.get("/api/v1/ops/bypass").json()["results"][0]["close_reason"] == "over"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"minutes": 61, "reason": "x"}, "minutes"),
        ({"minutes": 0, "reason": "x"}, "minutes"),
        ({"minutes": "many", "reason": "x"}, "minutes"),
        ({"minutes": 5}, "reason"),
        ({"reason": "x"}, "minutes"),
    ],
)
def test_a_request_that_asks_too_much_is_told_the_limit(
    acme: Tenant, api: Api, body: dict[str, Any], field: str
) -> None:
    answer = admins(acme, api)[0].post("/api/v1/ops/bypass", body)
    assert answer.status_code == 400
    assert field in str(answer.json())


@pytest.mark.parametrize("who", ["agent", "viewer", "reviewer", "operator"])
def test_who_is_no_admin_neither_asks_nor_confirms(
    acme: Tenant, ada: Actor, api: Api, who: str
) -> None:
    bypass = request(ada)
    token = (
        factories.agent_token(acme)
        if who == "agent"
        else factories.person_token(acme, factories.member(acme, "vera", who))
    )
    leave_tenant()
    client = api(token)
    assert client.post("/api/v1/ops/bypass", {"minutes": 5, "reason": "x"}).status_code == 403
    assert client.post(f"/api/v1/ops/bypass/{bypass.id}/confirm", {}).status_code == 403
    end = client.post(f"/api/v1/ops/bypass/{bypass.id}/end", {"reason": "x"}).status_code
    assert end == (200 if who == "operator" else 403)


def test_another_tenant_neither_sees_nor_touches_it(
    acme: Tenant, umbra: Tenant, ada: Actor, abel: Actor, api: Api
) -> None:
    bypass = bypassed(ada, abel)
    leave_tenant()
    olaf = factories.member(umbra, "olaf", "admin")
    client = api(factories.person_token(umbra, olaf))
    assert client.get("/api/v1/ops/bypass").json()["results"] == []
    assert client.get("/api/v1/ops/state").json()["bypass"] is None
    for verb in ("", "/confirm", "/end"):
        path = f"/api/v1/ops/bypass/{bypass.id}{verb}"
        answer = client.post(path, {"reason": "x"}) if verb else client.get(path)
        assert answer.status_code == 404
    with tenant_scope(umbra.id):
        policy()
        assert ask().verdict == "block"
        assert bypassing.ask(minutes=1, actor=Actor("user", "9"), reason="own").state == "requested"
