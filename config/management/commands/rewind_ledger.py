"""Lets the signer go on from an older tree, after a database was restored that lacks entries which were signed.

Run it as who runs the signer, with the signer stopped. What was signed is put aside, not deleted: it proves how many
entries the restored database lacks. The ledger itself tells of it in an entry.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from governance import ledger
from governance.actors import COMMAND
from governance.database.tenancy import tenant_scope
from governance.ledger import leaves
from governance.ledger.sequencer import number_entries
from governance.models import Tenant
from governance.signing.outside import Outside, Unreadable, rewind
from governance.signing.signer import CannotSign, alone


class Command(BaseCommand):
    """Does nothing to a tree that the signer would go on with anyway."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, help="whose (slug or id)")
        parser.add_argument("--reason", required=True, help="which backup, and why")
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, **options: Any) -> None:
        wanted = options["tenant"]
        tenant = (
            Tenant.objects.filter(slug=wanted).first() or Tenant.objects.filter(pk=wanted).first()
        )
        if tenant is None:
            raise CommandError(f"There is no tenant {wanted!r}.")
        number_entries()
        try:
            with alone(settings.LEDGER_DIR):
                found = _rewound(tenant.id, options["reason"])
        except (CannotSign, Unreadable, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(found) if options["json"] else _words(found))


def _rewound(tenant_id: str, reason: str) -> dict[str, Any]:
    notes = Outside(settings.LEDGER_DIR, tenant_id).notes()
    signed = notes[-1].size if notes else 0
    with tenant_scope(tenant_id):
        size = leaves.size()
        leaves.complete_nodes(size)
        true = [
            note.size for note in notes if note.size <= size and leaves.root(note.size) == note.root
        ]
    keep = max(true, default=0)
    if keep == signed:
        return {"tenant": tenant_id, "signed": signed, "kept": keep, "aside": None}
    aside = rewind(settings.LEDGER_DIR, tenant_id, keep)
    with tenant_scope(tenant_id):
        ledger.append(
            "ledger.rewound",
            tenant_id,
            actor=COMMAND,
            reason=reason,
            signed=signed,
            kept=keep,
            last_root=notes[-1].root.hex(),
        )
    return {"tenant": tenant_id, "signed": signed, "kept": keep, "aside": aside.name}


def _words(found: dict[str, Any]) -> str:
    if found["aside"] is None:
        return (
            f"The tree of {found['signed']} entries that was signed is still there: nothing to do."
        )
    return (
        f"{found['signed']} entries were signed, of which {found['kept']} are still there."
        f" What was signed is in {found['aside']}; the signer goes on from {found['kept']}."
    )
