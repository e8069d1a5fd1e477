"""Checks that the ledger is written, numbered and signed."""

from __future__ import annotations

from contextlib import suppress

from django.conf import settings
from django.db import DatabaseError, transaction

from governance import ledger
from governance.actors import COMMAND
from governance.database.tenancy import outside_tenants, tenant_scope
from governance.ledger.sequencer import to_sign, unnumbered_for
from governance.models import Tenant
from governance.signing import outside
from governance.signing.notes import BadNote, origin_of, verify
from governance.signing.outside import Outside, Unreadable

# Ten times what it takes where all is well.
MAY_WAIT_SECONDS = 30.0
# Looked at each time; a key that is wrong is wrong for all of them.
NOTES_LOOKED_AT = 20


def append() -> str | None:
    """An entry can be written: one is, and taken back."""
    tenant = Tenant.objects.order_by("id").first()
    if tenant is None:
        return None
    try:
        with outside_tenants(), tenant_scope(tenant.id):
            ledger.append("ledger.tried", tenant.id, actor=COMMAND, reason="readiness")
            transaction.set_rollback(True)
    except DatabaseError as error:
        return f"No entry can be written ({type(error).__name__}), so nothing can be changed."
    return None


def checkpoint() -> str | None:
    """No entry has been waiting long for its number, nor, once anything was ever signed, for its signature."""
    waiting = unnumbered_for()
    if waiting is not None and waiting > MAY_WAIT_SECONDS:
        return f"Entries have been without a number for {waiting:.0f} s: start `manage.py sweep`."
    unsigned = to_sign()
    late = [tree.tenant_id for tree in unsigned if tree.waiting > MAY_WAIT_SECONDS]
    is_expected = any(tree.signed for tree in unsigned) or outside.tenants(settings.LEDGER_DIR)
    if late and is_expected:
        longest = max(tree.waiting for tree in unsigned)
        return (
            f"The ledgers of {len(late)} tenants have not been signed for {longest:.0f} s: start"
            " `manage.py sign_ledger`, or read in the sweeper's log what it refused."
        )
    return None


def key() -> str | None:
    """What was signed last was signed by the key that is there."""
    directory = settings.LEDGER_DIR
    signed = outside.tenants(directory)
    try:
        public = outside.public_key(directory)
        if public is None:
            return f"{directory} holds notes and no key that signed them." if signed else None
        for tenant_id in signed[:NOTES_LOOKED_AT]:
            # Not there for a moment: the signer died between the history and the latest note.
            with suppress(FileNotFoundError):
                verify(
                    Outside(directory, tenant_id).checkpoint.read_text(),
                    origin_of(tenant_id),
                    public,
                )
    except (BadNote, Unreadable, UnicodeDecodeError) as error:
        return f"{error} The key in {directory} must be the one that signed so far."
    return None
