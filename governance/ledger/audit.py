"""Verifying one tenant's ledger: every column against the bytes, the bytes against the tree, the tree against the notes.

What is signed is taken from outside the database only: the notes, and the leaf hashes that lead to their roots. With
those a change is found at the very entry where it begins, however well it was made to fit inside.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from ..signing.tree import Frontier, leaf_hash
from .entries import LedgerError, canonical, said_at, salted_hash
from .erasure import ERASED
from .nodes import Nodes
from .signed import Signed
from .snapshots import Placed, Rows, Written, placed

# The notary numbers what was committed within seconds; a transaction may take its time.
MAY_WAIT_SECONDS = 60.0
MOST_TOLD = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it was written; ``seq`` is the number of the entry, None where it is about no entry."""

    seq: int | None
    what: str


@dataclass(slots=True)
class Audit:
    """What came of it. ``first_bad`` is the smallest number of an entry that something is wrong with."""

    tenant_id: str
    entries: int = 0
    size: int = 0
    signed: int = 0
    problems: list[Problem] = field(default_factory=list)
    found: int = 0
    first_bad: int | None = None

    @property
    def is_valid(self) -> bool:
        return self.found == 0

    def note(self, seq: int | None, what: str) -> None:
        """Keep a problem; only the first of very many are kept with their words."""
        self.found += 1
        if seq is not None and (self.first_bad is None or seq < self.first_bad):
            self.first_bad = seq
        if len(self.problems) < MOST_TOLD:
            self.problems.append(Problem(seq, what))


def verify(tenant_id: str, rows: Rows, signed: Signed, at_least: int) -> Audit:
    """Verify a tenant's ledger. ``rows`` asks one snapshot of the database.

    While entries are written, what is outside changes too: ``at_least`` is how many entries had been signed before
    the snapshot (they must be there), ``signed`` is read after it (every note that the database has must be there).
    """
    audit = Audit(tenant_id, signed=signed.size)
    for what in signed.problems:
        audit.note(None, what)
    walk = _Walk(audit, signed, Nodes(tenant_id, rows))
    walk.over(placed(tenant_id, rows))
    walk.end(at_least)
    _unnumbered(audit, rows)
    _own_notes(audit, rows, signed)
    return audit


class _Walk:
    """From the first entry to the last."""

    def __init__(self, audit: Audit, signed: Signed, nodes: Nodes) -> None:
        self.audit, self.signed, self.nodes = audit, signed, nodes
        self.tree = Frontier()
        self.is_whole = True
        self.last_bad = -1
        self.withheld: dict[str, int] = {}
        self.kept: dict[str, int] = {}
        self.erased: set[str] = set()

    def over(self, found: Iterable[Placed]) -> None:
        expected = 0
        for row in found:
            self._in_order(row, expected)
            expected = max(expected, row.seq + 1)
            self._grow(row, self._leaf(row))
        self.audit.size = expected
        self.audit.entries += self.tree.size

    def _bad(self, seq: int, what: str) -> None:
        self.last_bad = max(self.last_bad, seq)
        self.audit.note(seq, what)

    def _in_order(self, row: Placed, expected: int) -> None:
        if row.seq == expected:
            return
        self.is_whole = False
        if row.seq < expected:
            self._bad(
                row.seq, f"The number {row.seq} was given to {row.id}, and to another before."
            )
        else:
            self._bad(expected, f"Nothing has the numbers from {expected} to {row.seq - 1}.")

    def _leaf(self, row: Placed) -> bytes:
        """The hash of the entry's bytes, as they are now; of what is gone, the one that is kept of it."""
        if row.entry is None:
            self._bad(row.seq, f"The entry {row.id} is gone.")
            return row.leaf
        for wrong in self._wrong(row, row.entry):
            self._bad(row.seq, f"{row.id}: {wrong}.")
        return leaf_hash(bytes(row.entry.body))

    def _wrong(self, row: Placed, entry: Written) -> Iterator[str]:
        body = bytes(entry.body)
        if sha256(body).digest() != bytes(entry.hash):
            yield "its hash is not that of its bytes"
        if entry.xid != row.xid:
            yield "its transaction is not the one that was numbered"
        try:
            said = json.loads(body)
            if canonical(said) != body:
                yield "its bytes are not canonical"
        except (ValueError, TypeError, AttributeError, LedgerError):
            yield "its bytes are no entry"
            return
        yield from self._columns(entry, said)
        yield from self._payload(row, said)

    def _columns(self, entry: Written, said: dict[str, Any]) -> Iterator[str]:
        columns = {
            "id": entry.id,
            "tenant": self.audit.tenant_id,
            "kind": entry.kind,
            "subject": entry.subject,
            "actor": entry.actor,
        }
        # Entries of before there were trees say neither when nor which gesture.
        if "at" in said:
            columns |= {"at": said_at(entry.created_at), "gesture": entry.gesture}
        for name, column in columns.items():
            if said.get(name) != column:
                yield f"its bytes say another {name} than its column"

    def _payload(self, row: Placed, said: dict[str, Any]) -> Iterator[str]:
        if said.get("kind") == ERASED:
            self.erased.add(str(said.get("subject")))
        wanted = said.get("private")
        if row.private is None:
            if wanted is not None:
                self.withheld[row.id] = row.seq
        elif wanted is None:
            yield "it has a payload of which its bytes say nothing"
        elif salted_hash(*row.private) != wanted:
            yield "its payload is not the one that its bytes were made with"
        else:
            self.kept[row.id] = row.seq

    def _grow(self, row: Placed, leaf: bytes) -> None:
        if row.leaf != leaf:
            self._bad(row.seq, f"{row.id}: its leaf is not the hash of its bytes.")
        known = self.signed.leaf(row.seq)
        if known is not None and known != leaf:
            self._bad(row.seq, f"{row.id}: not the entry that was signed as number {row.seq}.")
        self.tree.push(leaf)
        if self.is_whole:
            self._compare_nodes(leaf)
            self._compare_root()

    def _compare_nodes(self, leaf: bytes) -> None:
        for begins in self.nodes.wrong_after(leaf):
            if begins > self.last_bad:  # or it is wrong only because one of its entries is
                self._bad(begins, f"The stored node over the entries from {begins} on is wrong.")

    def _compare_root(self) -> None:
        """Where it is not known which entries were signed, their root still is."""
        size = self.tree.size
        root = self.signed.roots.get(size)
        if root is None or self.signed.has_leaves(size) or root == self.tree.root():
            return
        begins = self.signed.before(size)
        if begins > self.last_bad:
            self._bad(
                begins, f"Entries from {begins} to {size - 1} are not those that were signed."
            )

    def end(self, at_least: int) -> None:
        """What can only be said when all have been seen."""
        size = self.audit.size
        if size < at_least:
            self._bad(size, f"{at_least} entries were signed, and those from {size} on are gone.")
        for entry, seq in self.withheld.items():
            if entry not in self.erased:
                # Where a later entry is bad, it may be the one that told of the erasure.
                where = seq if seq >= self.last_bad else None
                what = "what was said in private is gone, and no entry tells who erased it"
                self.audit.note(where, f"{entry}: {what}.")
        for entry in self.erased & self.kept.keys():
            self.audit.note(self.kept[entry], f"{entry}: what was erased is there again.")
        if self.last_bad < 0:
            for begins in self.nodes.left():
                self.audit.note(
                    begins, f"There is a node over entries from {begins} on, which are not there."
                )


def _unnumbered(audit: Audit, rows: Rows) -> None:
    """Entries and payloads that belong to no number, once they have had time to get one."""
    for entry, seconds in rows(_UNNUMBERED, {"tenant": audit.tenant_id}):
        audit.entries += 1
        if seconds > MAY_WAIT_SECONDS:
            audit.note(audit.size, f"{entry} has been without a number for {seconds:.0f} s.")
    for (entry,) in rows(_ORPHANS, {"tenant": audit.tenant_id}):
        audit.note(audit.size, f"There is a payload of {entry}, which is not there.")


def _own_notes(audit: Audit, rows: Rows, signed: Signed) -> None:
    """What the database says was signed must have been; receipts are made from it."""
    for size, root, text in rows(_NOTES, {"tenant": audit.tenant_id}):
        if signed.roots.get(size) != bytes(root) or text not in signed.texts:
            audit.note(
                size - 1, f"The database has a note about {size} entries that is not outside."
            )


_UNNUMBERED = """
SELECT e.id, extract(epoch FROM clock_timestamp() - e.created_at)::float8 FROM governance_ledgerentry e
 WHERE e.tenant_id = %(tenant)s
   AND NOT EXISTS (SELECT FROM governance_ledgerleaf l WHERE l.id = e.id AND l.tenant_id = e.tenant_id)
 ORDER BY e.id
"""
_ORPHANS = """
SELECT p.id FROM governance_ledgerpayload p
 WHERE p.tenant_id = %(tenant)s
   AND NOT EXISTS (SELECT FROM governance_ledgerentry e WHERE e.id = p.id AND e.tenant_id = p.tenant_id)
 ORDER BY p.id
"""
_NOTES = """
SELECT size, root, note FROM governance_ledgernote WHERE tenant_id = %(tenant)s ORDER BY size
"""
