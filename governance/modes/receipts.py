"""Whether the ledger has sealed an entry: nobody could take it out again without being found."""

from __future__ import annotations

from ..ledger import receipt
from ..ledger.receipts import latest_note
from ..models import LedgerEntry, LedgerLeaf


def is_sealed(kind: str, subject: str) -> bool:
    """Whether an entry of this kind about this record has its place in the tree, under a signature.

    Where nobody has ever signed for the tenant there is nothing to wait for but the place.
    """
    entry = LedgerEntry.objects.filter(kind=kind, subject=subject).first()
    if entry is None:
        return False
    if latest_note() is None:
        return LedgerLeaf.objects.filter(pk=entry.pk).exists()
    return receipt(entry.pk) is not None
