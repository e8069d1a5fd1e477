"""Every tenant's rows into one file."""

from __future__ import annotations

import json
import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from config.backups import backup


class Command(BaseCommand):
    help = "Write the whole database to a file. As an administrator: DATABASE_URL, or DATABASE_ADMIN_URL."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--out", type=Path, required=True, help="the file; an old one is replaced"
        )
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        out: Path = options["out"].absolute()
        size = backup(os.environ, settings.DATA_DIR, out)
        self.stdout.write(
            json.dumps({"file": str(out), "bytes": size})
            if options["json"]
            else f"{out}: {size} bytes"
        )
