"""Every committed entry gets a number, once, whatever happens around it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import ProgrammingError, connection, connections, transaction

from governance import ledger
from governance.actors import COMMAND
from governance.database.tenancy import tenant_scope
from governance.ledger.sequencer import number_entries, unnumbered_for
from governance.models import LedgerEntry, LedgerLeaf, LedgerMark, Tenant
from governance.signing.tree import leaf_hash
from tests import factories
from tests.isolation.logins import without_row_security

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def acme() -> Tenant:
    tenant = factories.tenant("acme")
    number_entries()
    return tenant


def write(tenant: Tenant, name: str, count: int = 1) -> None:
    with tenant_scope(tenant.id):
        for _ in range(count):
            ledger.append("test.said", name, actor=COMMAND)


def numbers(tenant: Tenant) -> list[tuple[int, str]]:
    """(number, subject) of what the tests wrote."""
    with tenant_scope(tenant.id):
        said = dict(LedgerEntry.objects.filter(kind="test.said").values_list("id", "subject"))
        leaves = LedgerLeaf.objects.order_by("seq").values_list("seq", "id")
        return [(seq, said[entry]) for seq, entry in leaves if entry in said]


def check_whole(tenant: Tenant) -> int:
    """Every entry has its leaf, without gaps; how many."""
    with tenant_scope(tenant.id):
        bodies = dict(LedgerEntry.objects.values_list("id", "body"))
        leaves = list(LedgerLeaf.objects.order_by("seq"))
    assert [leaf.seq for leaf in leaves] == list(range(len(bodies)))
    assert {leaf.id: bytes(leaf.hash) for leaf in leaves} == {
        entry: leaf_hash(bytes(body)) for entry, body in bodies.items()
    }
    return len(leaves)


def test_each_tenant_counts_for_itself(acme: Tenant) -> None:
    umbra = factories.tenant("umbra")
    write(acme, "a")
    write(umbra, "u")
    write(acme, "b")
    assert number_entries() == 4  # and the making of umbra
    assert numbers(acme) == [(1, "a"), (2, "b")]
    assert numbers(umbra) == [(1, "u")]
    assert number_entries() == 0


class Late:
    """A transaction that has written an entry and does not end before it is told to."""

    def __init__(self, tenant: Tenant, name: str) -> None:
        self.written, self.may_end = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._run, args=(tenant, name))

    def _run(self, tenant: Tenant, name: str) -> None:
        try:
            with tenant_scope(tenant.id):
                ledger.append("test.said", name, actor=COMMAND)
                self.written.set()
                assert self.may_end.wait(30)
        finally:
            connections.close_all()

    def __enter__(self) -> Late:
        self.thread.start()
        assert self.written.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        self.may_end.set()
        self.thread.join()


def test_an_entry_that_is_committed_late_holds_nobody_up_and_is_not_forgotten(acme: Tenant) -> None:
    with Late(acme, "late") as late:
        write(acme, "early")
        assert number_entries() == 1
        assert numbers(acme) == [(1, "early")]
        write(acme, "next")
        number_entries()
        late.end()
    write(acme, "last")
    number_entries()
    assert numbers(acme) == [(1, "early"), (2, "next"), (3, "late"), (4, "last")]


def test_a_change_that_was_taken_back_has_no_number(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        ledger.append("test.said", "never", actor=COMMAND)
        transaction.set_rollback(True)
    write(acme, "a")
    number_entries()
    assert numbers(acme) == [(1, "a")]


def test_four_at_once_number_what_eight_write(acme: Tenant) -> None:
    written = threading.Event()

    def number() -> None:
        try:
            while not written.is_set():
                number_entries()
        finally:
            connections.close_all()

    def writes(name: int) -> None:
        try:
            for _ in range(12):
                write(acme, str(name))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as numbering, ThreadPoolExecutor(8) as writing:
        running = [numbering.submit(number) for _ in range(4)]
        list(writing.map(writes, range(8)))
        written.set()
        for each in running:
            each.result()
    number_entries()
    assert check_whole(acme) == 1 + 8 * 12


def restored_elsewhere(cluster: str, *, far: int) -> None:
    """What a dump and restore leaves: numbers of transactions that this cluster may not have reached."""
    with without_row_security(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE governance_ledgerentry DISABLE TRIGGER ALL")
        cursor.execute(
            "UPDATE governance_ledgerentry SET xid = (xid::text::bigint + %s)::text::xid8", (far,)
        )
        cursor.execute("ALTER TABLE governance_ledgerentry ENABLE ALWAYS TRIGGER append_only")
        cursor.execute(
            "UPDATE governance_ledgermark SET cluster = %s, floor = (floor::text::bigint + %s)::text::xid8",
            (cluster, far),
        )


@pytest.mark.parametrize("far", [1_000_000_000, 1])
def test_after_a_restore_into_another_cluster_everything_is_numbered(
    acme: Tenant, far: int
) -> None:
    write(acme, "before")
    number_entries()
    write(acme, "not yet")
    restored_elsewhere("another", far=far)
    write(acme, "after")
    assert number_entries() == 2
    write(acme, "later")
    assert number_entries() == 1
    assert check_whole(acme) == 5
    assert {name for _, name in numbers(acme)} == {"before", "not yet", "after", "later"}
    mark = LedgerMark.objects.get()
    assert mark.cluster != "another"
    assert mark.floor < 1_000_000_000


def test_a_floor_that_this_cluster_has_not_reached_is_not_believed(acme: Tenant) -> None:
    here = LedgerMark.objects.get().cluster
    restored_elsewhere(here, far=1_000_000_000)
    write(acme, "after")
    assert number_entries() == 1
    assert check_whole(acme) == 2


def test_more_than_one_batch_is_numbered_in_one_go(
    acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("governance.ledger.sequencer.BATCH", 3)
    for name in "abcdefgh":
        write(acme, name)
    assert number_entries() == 8
    assert [name for _, name in numbers(acme)] == list("abcdefgh")
    LedgerMark.objects.all().delete()  # as if nobody had ever numbered here
    write(acme, "i", count=7)
    assert number_entries() == 7
    assert check_whole(acme) == 16


def test_readiness_knows_how_long_an_entry_waits_for_its_number(acme: Tenant) -> None:
    assert unnumbered_for() is None
    write(acme, "a")
    waiting = unnumbered_for()
    assert waiting is not None
    assert 0 <= waiting < 30
    number_entries()
    assert unnumbered_for() is None


def test_the_app_cannot_number_by_itself(acme: Tenant) -> None:
    with pytest.raises(ProgrammingError), tenant_scope(acme.id):
        LedgerLeaf.objects.create(id="led_x", seq=9, hash=b"", xid=1)
