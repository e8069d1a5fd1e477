"""Break the product at random moments while it works, and count what it lost."""

from __future__ import annotations

import json
import signal
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.torture import faults
from config.torture.faults import Form, Kind
from config.torture.outsider import Stuck
from config.torture.programs import NeverUp
from config.torture.run import torture

POINTS = 25


class Command(BaseCommand):
    help = "Kill, poison, race, silence and restart everything while a client works; nothing may be lost or done twice."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--full", action="store_true", help="10,000 loops, every fault, 1,000 deaths at points"
        )
        parser.add_argument(
            "--kills", type=int, metavar="N", help=f"nothing but N deaths, a multiple of {POINTS}"
        )
        parser.add_argument(
            "--only", nargs="+", choices=list(Kind), metavar="KIND", help="only these faults"
        )
        parser.add_argument("--loops", type=int, help="how many loops (300, with --full 10000)")
        parser.add_argument("--seed", type=int, help="the same faults again; else drawn")
        parser.add_argument("--keep", action="store_true", help="leave data and logs behind")
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        # A way out that takes every process along, as Ctrl-C is one.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        form = _form(options)
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


def _form(options: dict[str, Any]) -> Form:
    if (kills := options["kills"]) is not None:
        if kills < POINTS or kills % POINTS:
            raise CommandError(f"--kills must be a multiple of {POINTS}, one for each point.")
        return faults.kills(kills // POINTS)
    form = faults.FULL if options["full"] else faults.SHORT
    return faults.only(form, [Kind(each) for each in options["only"]]) if options["only"] else form
