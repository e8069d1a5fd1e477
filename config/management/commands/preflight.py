"""Every check of readiness as one command, for scripts that deploy."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.database import DatabaseError, prepare_from_settings
from governance.readiness import Finding, Mark, checks, examine

PROBLEMS = (Mark.FAILING, Mark.UNKNOWN)


class Command(BaseCommand):
    help = (
        "Ask everything that /readyz asks, once, and exit non-zero when something is wrong. Without"
        " --running, what asks about running processes (the sweeper) is skipped."
    )
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--running", action="store_true", help="the processes run already: ask about them too"
        )
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        found = _found(running=options["running"])
        failing = [name for name, finding in found.items() if finding.mark in PROBLEMS]
        if options["json"]:
            said = {name: str(finding) for name, finding in found.items()}
            self.stdout.write(json.dumps({"ready": not failing, "checks": said}))
        else:
            width = max(map(len, found))
            for name, finding in found.items():
                self.stdout.write(f"{name:<{width}}  {finding}")
        if failing:
            raise CommandError(f"not ready: {', '.join(failing)}")


def _found(*, running: bool) -> dict[str, Finding]:
    try:
        prepare_from_settings()
    except DatabaseError as error:
        without = [check for check in checks() if not check.needs_database]
        found = examine([check for check in without if check.name != "database"], running=running)
        unknown = Finding(Mark.UNKNOWN, "the database gives no answer")
        return {check.name: found.get(check.name, unknown) for check in checks()} | {
            "database": Finding(Mark.FAILING, str(error))
        }
    return examine(running=running)
