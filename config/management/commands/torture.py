"""Break the product at random moments while it works, and count what it lost."""

from __future__ import annotations

import json
import signal
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.torture import faults
from config.torture.programs import NeverUp
from config.torture.run import Stuck, torture


class Command(BaseCommand):
    help = "Kill, flush and restart everything while a client works; nothing may be lost or done twice."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--full", action="store_true", help="50 kills, 5 flushes, 3 restarts of the database"
        )
        parser.add_argument("--loops", type=int, help="how many loops (300, with --full 2000)")
        parser.add_argument("--seed", type=int, help="the same faults again; else drawn")
        parser.add_argument("--keep", action="store_true", help="leave data and logs behind")
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        # A way out that takes every process along, as Ctrl-C is one.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        form = faults.FULL if options["full"] else faults.SHORT
        try:
            figures = torture(
                form,
                loops=form.loops if options["loops"] is None else options["loops"],
                seed=options["seed"],
                say=lambda words: self.stderr.write(words, ending="\n"),
                keep=options["keep"],
            )
        except (ValueError, Stuck, NeverUp) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(figures.report()) if options["json"] else figures.table())
        if not figures.ok:
            sys.exit(1)
