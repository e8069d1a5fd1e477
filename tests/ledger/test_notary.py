"""What was committed is numbered and signed; without a signer it is numbered, and signed later."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections, transaction

from governance import ledger
from governance.actors import COMMAND
from governance.database.tenancy import tenant_scope
from governance.ledger import leaves, notary
from governance.ledger.sequencer import number_entries, to_sign
from governance.models import LedgerEntry, LedgerNote, Tenant
from governance.signing import notes, outside, tree
from governance.signing.outside import Outside
from governance.signing.signer import SOCKET, Server, Signer, make_key
from tests import factories
from tests.isolation.logins import without_row_security

pytestmark = pytest.mark.django_db(transaction=True)
SOON = 20.0


@pytest.fixture
def directory(tmp_path: Path, settings: Any) -> Path:
    settings.LEDGER_DIR = tmp_path / "ledger"
    return tmp_path / "ledger"


@pytest.fixture
def at_work(directory: Path) -> Iterator[Callable[[], Server]]:
    """``at_work()``: a signer behind its socket, in a thread."""
    servers: list[tuple[Server, threading.Thread]] = []

    def start() -> Server:
        server = Server(directory, Signer(directory, make_key(directory)))
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        servers.append((server, thread))
        return server

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def write(tenant: Tenant, count: int = 1) -> str:
    with tenant_scope(tenant.id):
        return [ledger.append("test.said", str(n), actor=COMMAND) for n in range(count)][-1]


def wait_until(so: Callable[[], Any]) -> None:
    latest = time.monotonic() + SOON
    while not so():
        assert time.monotonic() < latest, "it did not happen in time"
        time.sleep(0.02)


def test_every_tree_that_grew_is_signed_once(directory: Path, at_work: Any) -> None:
    at_work()
    acme, umbra = factories.tenant("acme"), factories.tenant("umbra")
    last = write(acme, 300)
    number_entries()
    assert notary.sign_all() == 2
    assert notary.sign_all() == 0
    assert to_sign() == []
    write(umbra)
    number_entries()
    assert notary.sign_all() == 1
    public = outside.public_key(directory)
    assert public is not None
    with tenant_scope(acme.id):
        [kept] = LedgerNote.objects.all()
        note = notes.verify(kept.note, notes.origin_of(acme.id), public)
        assert (note.size, note.root) == (301, leaves.root(301))
        found = ledger.receipt(last)
        assert found is not None
        body = bytes(LedgerEntry.objects.get(pk=last).body)
        tree.verify_inclusion(300, 301, found.proof, tree.leaf_hash(body), note.root)
    assert Outside(directory, acme.id).checkpoint.read_text() == kept.note


def test_without_a_signer_entries_are_numbered_and_signed_later(
    directory: Path, at_work: Any
) -> None:
    acme = factories.tenant("acme")
    write(acme)
    number_entries()
    with pytest.raises(notary.SignerAway):
        notary.sign_all()
    at_work()
    assert notary.sign_all() == 1


def test_a_note_that_was_signed_and_not_kept_is_kept_next_time(
    directory: Path, at_work: Any
) -> None:
    at_work()
    acme = factories.tenant("acme")
    number_entries()
    notary.sign_all()
    with without_row_security(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE governance_ledgernote DISABLE TRIGGER ALL")
        cursor.execute("DELETE FROM governance_ledgernote")
        cursor.execute("ALTER TABLE governance_ledgernote ENABLE ALWAYS TRIGGER append_only")
    write(acme)
    number_entries()
    assert notary.sign_all() == 1
    with tenant_scope(acme.id):
        assert LedgerNote.objects.get().size == 2


def test_who_was_slower_takes_the_larger_note(directory: Path, at_work: Any) -> None:
    """Two notaries: the other one has had a larger tree signed since we looked."""
    at_work()
    acme = factories.tenant("acme")
    number_entries()
    before = to_sign()[0]
    with tenant_scope(acme.id):
        leaf = b"".join(leaves.leaf_hashes(0, 1))
        root = leaves.root(1)
    write(acme)
    number_entries()
    assert notary.sign_all() == 1
    answer = notary._ask(acme.id, before.size, root, 0, leaf)
    assert "smaller" in answer["refused"]
    assert not notary._refused(acme.id, answer)
    with tenant_scope(acme.id):
        assert list(LedgerNote.objects.values_list("size", flat=True)) == [2]


def test_a_rewritten_past_is_not_signed_and_others_are(
    directory: Path, at_work: Any, caplog: pytest.LogCaptureFixture
) -> None:
    at_work()
    acme, umbra = factories.tenant("acme"), factories.tenant("umbra")
    write(acme, 3)
    number_entries()
    notary.sign_all()
    with without_row_security(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE governance_ledgerleaf DISABLE TRIGGER ALL")
        cursor.execute(
            "UPDATE governance_ledgerleaf SET hash = sha256(hash) WHERE seq = 1 AND tenant_id = %s",
            (acme.id,),
        )
        cursor.execute("ALTER TABLE governance_ledgerleaf ENABLE ALWAYS TRIGGER append_only")
    write(acme)
    write(umbra)
    number_entries()
    assert notary.sign_all() == 1
    assert "no extension" in caplog.text
    assert acme.id in caplog.text
    assert Outside(directory, acme.id).notes()[-1].size == 4


def test_a_tree_with_a_hole_is_not_signed_and_others_are(
    directory: Path, at_work: Any, caplog: pytest.LogCaptureFixture
) -> None:
    at_work()
    acme, umbra = factories.tenant("acme"), factories.tenant("umbra")
    write(acme, 3)
    number_entries()
    with without_row_security(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE governance_ledgerleaf DISABLE TRIGGER ALL")
        cursor.execute(
            "DELETE FROM governance_ledgerleaf WHERE seq = 1 AND tenant_id = %s", (acme.id,)
        )
        cursor.execute("ALTER TABLE governance_ledgerleaf ENABLE ALWAYS TRIGGER append_only")
    assert notary.sign_all() == 1
    assert "no entry number 1" in caplog.text
    assert [tree.tenant_id for tree in to_sign()] == [acme.id]
    assert Outside(directory, umbra.id).notes()[-1].size == 1


def test_it_keeps_up_by_itself_through_a_dead_signer(directory: Path, at_work: Any) -> None:
    acme = factories.tenant("acme")
    leaving = threading.Event()

    def keep() -> None:
        try:
            notary.keep_forever(leaving)
        finally:
            connections.close_all()

    keeper = threading.Thread(target=keep)
    keeper.start()
    try:
        wait_until(lambda: to_sign() != [])
        assert not (directory / SOCKET).exists()
        at_work()
        wait_until(lambda: to_sign() == [])
        write(acme)
        wait_until(lambda: to_sign() == [] and Outside(directory, acme.id).notes()[-1].size == 2)
    finally:
        leaving.set()
        keeper.join()
