"""Reading a whole ledger, however large: some thousand leaves at a time, and by key what belongs to them.

One join over everything would be shorter; but a plan that was made while the tables were small is wrong for hours
when they are large (seen: four rows a second).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection, transaction

from ..database.tenancy import tenant_scope

CHUNK = 2_000

Rows = Callable[[str, dict[str, Any]], list[tuple[Any, ...]]]
"""The rows of a query: ``rows(sql, params)``. All of them from one snapshot."""


class Written(NamedTuple):
    """An entry as it is stored."""

    id: str
    kind: str
    subject: str
    actor: str
    gesture: str
    created_at: datetime
    body: bytes
    hash: bytes
    xid: int


class Placed(NamedTuple):
    """A leaf, with the entry and (salt, payload) that belong to it; None where they are gone."""

    seq: int
    id: str
    leaf: bytes
    xid: int
    entry: Written | None
    private: tuple[bytes, bytes] | None


@contextmanager
def snapshot(tenant_id: str) -> Iterator[None]:
    """A tenant's scope in which every query sees the same moment: this one."""
    with transaction.atomic(), connection.cursor() as cursor:
        # Before the tenant is told, for that is a query and must already be of the snapshot.
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        with tenant_scope(tenant_id):
            cursor.execute("SELECT 1")
            yield


def rows(sql: str, params: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Rows by Django's own connection, of the snapshot."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def placed(tenant_id: str, ask: Rows) -> Iterator[Placed]:
    """Every leaf of a tenant by its number, also where two have the same."""
    after: dict[str, Any] = {"tenant": tenant_id, "seq": -(2**62), "id": ""}
    while leaves := ask(_LEAVES, {**after, "limit": CHUNK}):
        ids = {"tenant": tenant_id, "ids": [leaf[1] for leaf in leaves]}
        entries = {row[0]: Written(*row) for row in ask(_ENTRIES, ids)}
        payloads = {row[0]: (bytes(row[1]), bytes(row[2])) for row in ask(_PAYLOADS, ids)}
        for seq, entry, leaf, xid in leaves:
            yield Placed(seq, entry, bytes(leaf), xid, entries.get(entry), payloads.get(entry))
        after |= {"seq": leaves[-1][0], "id": leaves[-1][1]}


_LEAVES = """
SELECT seq, id, hash, xid::text::bigint FROM governance_ledgerleaf
 WHERE tenant_id = %(tenant)s AND seq >= %(seq)s AND (seq, id) > (%(seq)s, %(id)s)
 ORDER BY seq, id LIMIT %(limit)s
"""
_ENTRIES = """
SELECT id, kind, subject, actor, gesture, created_at, body, hash, xid::text::bigint FROM governance_ledgerentry
 WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s)
"""
_PAYLOADS = """
SELECT id, salt, payload FROM governance_ledgerpayload WHERE tenant_id = %(tenant)s AND id = ANY(%(ids)s)
"""
