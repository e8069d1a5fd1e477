"""How well the matcher groups the labelled failures of a file, each decision scored as it was made."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.scoring.labelled import labelled_of
from config.scoring.streaming import ORDERS, score


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file", type=Path, help="lines of {input, expected} or of {system, content, event}"
        )
        parser.add_argument(
            "--orders", type=int, default=ORDERS, help=f"shuffled orders ({ORDERS})"
        )
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        started = time.perf_counter()
        try:
            with options["file"].open("rb") as lines:
                labelled, left_out = labelled_of(lines)
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from error
        signed = time.perf_counter() - started
        figures = {
            **score(labelled, orders=options["orders"]),
            "left_out": left_out,
            "signatures_per_second": round(len(labelled) / signed),
            "seconds": round(time.perf_counter() - started, 3),
        }
        if options["json"]:
            self.stdout.write(json.dumps(figures))
            return
        for name, value in figures.items():
            self.stdout.write(f"{name}: {json.dumps(value)}")
