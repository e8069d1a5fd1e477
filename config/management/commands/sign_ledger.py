"""The signer as a process of its own: it holds the ledger's key and needs no database."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from governance.signing.signer import ONLY_WE, CannotSign, serve


class Command(BaseCommand):
    help = "Sign the ledger's trees, outside the database, until it is stopped."
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--socket-mode",
            type=lambda text: int(text, 8),
            default=ONLY_WE,
            help="who may ask (600; 660 lets a group that the product's processes are in)",
        )
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            serve(settings.LEDGER_DIR, options["socket_mode"], is_child=False, say=self._say)
        except (CannotSign, OSError) as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self._say(json.dumps({"stopped": True}))

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
