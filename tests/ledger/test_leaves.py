"""A proof is read from few rows, however large the tree, and verifies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance import ledger
from governance.actors import COMMAND
from governance.database.tenancy import tenant_scope
from governance.ledger import leaves
from governance.ledger.sequencer import number_entries
from governance.models import LedgerEntry, LedgerLeaf, LedgerNode, LedgerNote, Tenant
from governance.signing import tree
from tests import factories
from tests.isolation.logins import without_row_security

SIZE = 66_000  # more than 256 nodes over 256 leaves each


@pytest.fixture
def grown(transactional_db: None) -> Iterator[list[bytes]]:
    """A tenant whose tree has many leaves, in scope; their hashes."""
    tenant = factories.tenant("acme")
    with without_row_security(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO governance_ledgerleaf (tenant_id, id, seq, xid, hash)"
            " SELECT %s, 'led_' || n, n, pg_current_xact_id(), sha256(convert_to(n::text, 'UTF8'))"
            " FROM generate_series(0, %s) n",
            (tenant.id, SIZE - 1),
        )
    with tenant_scope(tenant.id):
        yield [
            bytes(each)
            for each in LedgerLeaf.objects.order_by("seq").values_list("hash", flat=True)
        ]


def test_nodes_are_written_once_and_proofs_read_from_them(
    grown: list[bytes], django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    # While others go on numbering, nobody needs more than the nodes of the tree in hand.
    assert leaves.complete_nodes(600) == 2
    assert leaves.root(600) == tree.root_of(grown[:600])
    assert leaves.complete_nodes(SIZE) == SIZE // 256 - 1
    assert leaves.complete_nodes(SIZE) == 0
    whole = LedgerNode.objects.get(level=2, place=0)
    assert bytes(whole.hash) == tree.root_of(grown[:65_536])
    assert leaves.root(SIZE) == tree.root_of(grown)
    assert list(leaves.leaf_hashes(5_000, 9_001)) == grown[5_000:9_001]

    @given(st.data())
    @settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def proofs_verify(data: st.DataObject) -> None:
        size = data.draw(st.integers(1, SIZE))
        index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
        root = leaves.root(size)
        with django_assert_max_num_queries(3):
            proof = leaves.hashes(tree.inclusion_path(index, size))
        tree.verify_inclusion(index, size, proof, grown[index], root)
        proof = leaves.hashes(tree.consistency_path(old, size))
        tree.verify_consistency(old, size, proof, leaves.root(old), root)

    proofs_verify()


def test_what_is_not_there_is_said(acme: Tenant) -> None:
    assert leaves.size() == 0
    assert leaves.root(0) == tree.EMPTY
    with pytest.raises(ledger.LedgerError, match="no entry number 0"):
        leaves.root(1)
    with pytest.raises(ledger.LedgerError, match="no entry number 2"):
        list(leaves.leaf_hashes(2, 4))
    with pytest.raises(ledger.LedgerError, match="no node 0 of level 1"):
        leaves.root(256)


@pytest.mark.django_db(transaction=True)
def test_a_receipt_comes_with_the_note_that_covers_the_entry() -> None:
    tenant = factories.tenant("acme")
    with tenant_scope(tenant.id):
        mine = ledger.append("test.said", "mine", actor=COMMAND)
        assert ledger.receipt(mine) is None
    number_entries()
    with tenant_scope(tenant.id):
        assert ledger.receipt(mine) is None
        LedgerNote.objects.create(size=1, root=leaves.root(1), note="about the first")
        assert ledger.receipt(mine) is None
        LedgerNote.objects.create(size=2, root=leaves.root(2), note="about both")
        found = ledger.receipt(mine)
        assert found is not None
        assert (found.seq, found.size, found.note) == (1, 2, "about both")
        body = bytes(LedgerEntry.objects.get(pk=mine).body)
        tree.verify_inclusion(1, 2, found.proof, tree.leaf_hash(body), found.root)
        assert ledger.receipt("led_unknown") is None
    umbra = factories.tenant("umbra")
    with tenant_scope(umbra.id):
        assert ledger.receipt(mine) is None
