"""That an entry is under a signature: what a caller can keep and verify without us."""

from __future__ import annotations

from dataclasses import dataclass

from ..models import LedgerLeaf, LedgerNote
from ..signing.tree import inclusion_path
from . import leaves


@dataclass(frozen=True, slots=True)
class Receipt:
    """The place of an entry in a signed tree: ``proof`` leads from its leaf hash to the root that the note is about."""

    seq: int
    size: int
    leaf: bytes
    proof: list[bytes]
    root: bytes
    note: str


def receipt(entry_id: str) -> Receipt | None:
    """The receipt of an entry of the tenant in scope, from the latest signed note; None until one covers it.

    A note comes within about five seconds of the entry's commit where the signer runs.
    """
    leaf = LedgerLeaf.objects.filter(pk=entry_id).first()
    note = latest_note()
    if leaf is None or note is None or note.size <= leaf.seq:
        return None
    proof = leaves.hashes(inclusion_path(leaf.seq, note.size))
    return Receipt(leaf.seq, note.size, bytes(leaf.hash), proof, bytes(note.root), note.note)


def latest_note() -> LedgerNote | None:
    """The signed note about the largest tree of the tenant in scope."""
    return LedgerNote.objects.order_by("-size").first()
