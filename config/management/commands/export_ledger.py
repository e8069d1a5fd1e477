"""Writes one tenant's ledger into a file that scripts/verify_ledger_offline.py verifies without us."""

from __future__ import annotations

import json
import secrets
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from governance.ledger import export
from governance.ledger.snapshots import rows, snapshot
from governance.models import Tenant
from governance.signing.outside import Unreadable


class Command(BaseCommand):
    """The file appears when it is complete, and only we may read it."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, help="whose (slug or id)")
        parser.add_argument("--out", required=True, type=Path)
        parser.add_argument(
            "--with-payloads", action="store_true", help="also what was said in private"
        )
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, **options: Any) -> None:
        wanted, out = options["tenant"], options["out"]
        tenant = (
            Tenant.objects.filter(slug=wanted).first() or Tenant.objects.filter(pk=wanted).first()
        )
        if tenant is None:
            raise CommandError(f"There is no tenant {wanted!r}.")
        half = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
        try:
            half.touch(mode=0o600, exist_ok=False)
            count = _write(half, tenant.id, with_payloads=options["with_payloads"])
            half.replace(out)
        except (OSError, Unreadable) as error:
            raise CommandError(f"{out} cannot be written: {error}") from error
        finally:
            half.unlink(missing_ok=True)
        self.stdout.write(
            json.dumps({"tenant": tenant.id, "out": str(out), "lines": count})
            if options["json"]
            else f"{count} lines in {out}"
        )


def _write(place: Path, tenant_id: str, *, with_payloads: bool) -> int:
    count = 0
    with snapshot(tenant_id), place.open("w", encoding="utf-8") as file:
        found = export.lines(tenant_id, rows, settings.LEDGER_DIR, with_payloads=with_payloads)
        for count, line in enumerate(found, 1):  # noqa: B007 - how many there were is told
            file.write(line)
    return count
