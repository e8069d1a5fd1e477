"""A page of the documentation that is made from the code: one command prints it, keeps it, and tells when it is stale."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any, ClassVar

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class DocumentCommand(BaseCommand):
    """``name``: of the command and of docs/<name>.md; ``page`` makes the whole of it, in Markdown.

    ``--check`` ends with an error when what is written is not what the code says.
    """

    requires_migrations_checks = False
    name: ClassVar[str]
    page: ClassVar[Callable[[], str]]

    def add_arguments(self, parser: ArgumentParser) -> None:
        place = f"docs/{self.name}.md"
        parser.add_argument("--write", action="store_true", help=f"write {place}")
        parser.add_argument("--check", action="store_true", help=f"fail when {place} is stale")
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        place = settings.BASE_DIR / "docs" / f"{self.name}.md"
        wanted = type(self).page()
        if options["write"]:
            place.write_text(wanted)
        is_current = place.is_file() and place.read_text() == wanted
        if options["json"]:
            self.stdout.write(json.dumps({"current": is_current}))
        elif not options["write"] and not options["check"]:
            self.stdout.write(wanted)
        if options["check"] and not is_current:
            raise CommandError(f"docs/{self.name}.md is stale: manage.py {self.name} --write.")
