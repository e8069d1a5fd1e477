"""What a person said can be forgotten; that it was said, and that it was forgotten, cannot."""

from __future__ import annotations

import json

import pytest
from django.db import ProgrammingError, connection, transaction

from governance import ledger
from governance.actors import COMMAND, Actor
from governance.ledger.entries import salted_hash
from governance.ledger.erasure import NothingToErase, private_of
from governance.models import LedgerEntry, LedgerPayload, Tenant
from tests.isolation.logins import without_row_security


@pytest.fixture
def said(acme: Tenant) -> LedgerEntry:
    entry = ledger.append(
        "test.said",
        "sub_1",
        actor=COMMAND,
        reason="Rosa Khan asked for it",
        private={"phone": "+49 30 1234"},
        amount=3,
    )
    return LedgerEntry.objects.get(pk=entry)


def test_the_bytes_say_only_the_salted_hash(said: LedgerEntry) -> None:
    body = json.loads(bytes(said.body))
    kept = LedgerPayload.objects.get(pk=said.pk)
    assert body["private"] == salted_hash(bytes(kept.salt), bytes(kept.payload))
    assert b"Rosa" not in bytes(said.body)
    assert b"1234" not in bytes(said.body)
    assert body["facts"] == {"amount": 3}
    assert len(kept.salt) == 32
    assert private_of(said) == {"reason": "Rosa Khan asked for it", "phone": "+49 30 1234"}


def test_two_who_say_the_same_have_different_hashes(acme: Tenant) -> None:
    for _ in range(2):
        ledger.append("test.said", "sub_1", actor=COMMAND, reason="yes")
    bodies = LedgerEntry.objects.filter(kind="test.said").values_list("body", flat=True)
    assert len({json.loads(bytes(body))["private"] for body in bodies}) == 2


def test_what_says_nothing_in_private_pays_nothing_for_it(acme: Tenant) -> None:
    entry = ledger.append("test.said", "sub_1", actor=COMMAND)
    assert not LedgerPayload.objects.filter(pk=entry).exists()
    assert json.loads(bytes(LedgerEntry.objects.get(pk=entry).body))["private"] is None


def test_erasing_leaves_the_entry_and_one_that_tells_of_it(said: LedgerEntry, rita: Actor) -> None:
    before = bytes(said.body)
    ledger.erase(said, actor=rita, reason="Rosa wants to be forgotten")
    said.refresh_from_db()
    assert bytes(said.body) == before
    assert private_of(said) is None
    told = LedgerEntry.objects.get(kind="ledger.erased")
    assert (told.subject, told.actor) == (said.pk, str(rita))
    with pytest.raises(NothingToErase):
        ledger.erase(said, actor=rita, reason="again")


def test_a_foreign_entry_is_not_erased(said: LedgerEntry, umbra: Tenant) -> None:
    from governance.database.tenancy import leave_tenant, tenant_scope

    leave_tenant()
    with tenant_scope(umbra.id), pytest.raises(NothingToErase):
        ledger.erase(said, actor=COMMAND, reason="none of my business")


@pytest.mark.parametrize("statement", ["UPDATE {} SET salt = ''", "DELETE FROM {}", "TRUNCATE {}"])
def test_nothing_else_erases(said: LedgerEntry, statement: str) -> None:
    with pytest.raises(ProgrammingError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement.format("governance_ledgerpayload"))
    assert private_of(said) is not None


@pytest.mark.django_db(transaction=True)
def test_not_even_a_superuser_in_replica_mode_deletes_by_accident() -> None:
    from django.db import IntegrityError

    with without_row_security(), connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        with pytest.raises(IntegrityError, match="evidence"):
            cursor.execute("DELETE FROM governance_ledgerpayload")
