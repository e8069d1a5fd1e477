"""Whether the ledger has sealed an entry: nobody could take it out again without being found."""

from __future__ import annotations

import logging

from django.conf import settings

from ..database.tenancy import required_tenant
from ..ledger import receipt
from ..ledger.receipts import latest_note
from ..models import LedgerEntry, LedgerLeaf
from ..signing.notes import BadNote, origin_of, verify
from ..signing.outside import Unreadable, public_key
from ..signing.tree import BadProof, leaf_hash, verify_inclusion

log = logging.getLogger("antibody.modes")


def is_sealed(kind: str, subject: str) -> bool:
    """Whether an entry of this kind about this record has its place in the tree, under the signer's signature.

    The signature and the proof are verified here: a row of the database that says so is not enough. Where no signer
    was ever started there is nothing to wait for but the place. Whatever is in doubt is not sealed.
    """
    entry = LedgerEntry.objects.filter(kind=kind, subject=subject).first()
    if entry is None:
        return False
    try:
        public = public_key(settings.LEDGER_DIR)
        if public is None:
            return latest_note() is None and LedgerLeaf.objects.filter(pk=entry.pk).exists()
        return _is_signed(entry, public)
    except (BadNote, BadProof, Unreadable, OSError) as error:
        log.warning("the entry %s counts as not sealed: %s", entry.pk, error)
        return False


def _is_signed(entry: LedgerEntry, public: bytes) -> bool:
    found = receipt(entry.pk)
    if found is None:
        return False
    note = verify(found.note, origin_of(required_tenant()), public)
    verify_inclusion(found.seq, note.size, found.proof, leaf_hash(bytes(entry.body)), note.root)
    return True
