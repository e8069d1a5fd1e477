"""The database as a backup holds it, migrated to this version and asked whether it keeps tenants apart."""

from __future__ import annotations

import json
import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from config.backups import restore
from config.database import prepare
from config.serving import first
from governance.database import isolation


class Command(BaseCommand):
    help = "Put the database back as a backup holds it. Stop the other processes first."
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--replace", action="store_true", help="drop what the database holds now"
        )
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path = options["file"].absolute()
        restore(os.environ, settings.DATA_DIR, file, replace_all=options["replace"])
        connection.close()
        prepare(os.environ, settings.DATA_DIR)
        first.migrate()
        missing = [str(rule) for rule in isolation.missing()]
        self.stdout.write(
            json.dumps({"file": str(file), "missing": missing})
            if options["json"]
            else f"{file} is restored."
        )
        if missing:
            raise CommandError(f"It does not keep tenants apart: {', '.join(missing[:5])}.")
