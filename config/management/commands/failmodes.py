"""What becomes of what when something fails, as a page: print it, write it, or see that it is current."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config.failmodes import page


class Command(BaseCommand):
    help = "Print what becomes of what when something fails; --write keeps it in docs/failmodes.md."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--write", action="store_true", help="write docs/failmodes.md")
        parser.add_argument(
            "--check", action="store_true", help="fail when docs/failmodes.md is stale"
        )
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        place = settings.BASE_DIR / "docs" / "failmodes.md"
        wanted = page()
        if options["write"]:
            place.write_text(wanted)
        is_current = place.is_file() and place.read_text() == wanted
        if options["json"]:
            self.stdout.write(json.dumps({"current": is_current}))
        elif not options["write"] and not options["check"]:
            self.stdout.write(wanted)
        if options["check"] and not is_current:
            raise CommandError("docs/failmodes.md is stale: manage.py failmodes --write.")
