"""Verifies the ledger: every entry, its place in the tree, and the tree against what was signed outside the database."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from governance.ledger import signed
from governance.ledger.audit import Audit, verify
from governance.ledger.snapshots import rows, snapshot
from governance.models import Tenant
from governance.signing import outside

MOST_SHOWN = 20


class Command(BaseCommand):
    """Exits non-zero when anything is not as it was written."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", help="only this tenant's (slug or id)")
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, **options: Any) -> None:
        began = time.monotonic()
        audits = [_verified(each) for each in _tenants(options["tenant"])]
        bad = next((audit for audit in audits if not audit.is_valid), None)
        found = {
            "entries": sum(audit.entries for audit in audits),
            "valid": bad is None,
            "first_bad": bad.first_bad if bad else None,
            "tenant": bad.tenant_id if bad else None,
            "tenants": len(audits),
            "signed": sum(audit.signed for audit in audits),
            "problems": [
                {"tenant": audit.tenant_id, "seq": problem.seq, "what": problem.what}
                for audit in audits
                for problem in audit.problems
            ][:MOST_SHOWN],
            "seconds": round(time.monotonic() - began, 1),
        }
        self._show(found, as_json=options["json"])
        if bad:
            raise CommandError(
                f"The ledger of {bad.tenant_id} is not as it was written: {bad.found} problems."
            )

    def _show(self, found: dict[str, Any], *, as_json: bool) -> None:
        for problem in found["problems"]:
            self.stderr.write(f"{problem['tenant']}: {problem['what']}")
        if as_json:
            self.stdout.write(json.dumps(found))
        else:
            self.stdout.write(
                f"{found['entries']} entries of {found['tenants']} tenants, {found['signed']} under signatures:"
                f" {'valid' if found['valid'] else 'NOT VALID'} ({found['seconds']} s)"
            )


def _tenants(wanted: str | None) -> list[str]:
    """Those of the database, and those that only the signer remembers."""
    known = dict(Tenant.objects.values_list("slug", "id"))
    signed_ones = outside.tenants(settings.LEDGER_DIR)
    if wanted is None:
        return sorted({*known.values(), *signed_ones})
    chosen = known.get(wanted, wanted)
    if chosen not in {*known.values(), *signed_ones}:
        raise CommandError(f"There is no tenant {wanted!r}.")
    return [chosen]


def _verified(tenant_id: str) -> Audit:
    at_least = signed.size(settings.LEDGER_DIR, tenant_id)
    with snapshot(tenant_id):
        return verify(tenant_id, rows, signed.read(settings.LEDGER_DIR, tenant_id), at_least)
