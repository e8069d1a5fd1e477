"""Play a recorded stream of calls through the guard and the loop, and say what was learned from it."""

from __future__ import annotations

import gc
import json
import logging
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.bench import place
from config.learning.playing import Player, Stuck, make_scene
from config.learning.scoring import told
from config.learning.stream import BadStream, read, shuffled

MOST_CONFIRMATIONS = 100
MOST_PASSES = 100


class Command(BaseCommand):
    help = __doc__ or ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="JSONL: one tool call a line, with its outcome")
        parser.add_argument(
            "--confirmations",
            type=int,
            default=3,
            help="failures that a policy needs before a person is asked (3); 0: asked at its birth",
        )
        parser.add_argument("--passes", type=int, default=1, help="how often to play it (1)")
        parser.add_argument(
            "--shuffle", type=int, metavar="SEED", help="play its runs in another order"
        )
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        # A policy that could not be read, or a loop that is tried again, is told by the figures.
        logging.getLogger().setLevel(logging.ERROR)
        _check(options)
        try:
            calls = read(options["file"])
        except BadStream as error:
            raise CommandError(str(error)) from error
        if options["shuffle"] is not None:
            calls = shuffled(calls, options["shuffle"])
        started_at = time.monotonic()
        try:
            place.tidy("learn")
            with place.made(place.of_this_process("learn"), is_durable=False):
                gc.freeze()  # the program stays: it is not looked through for garbage again and again
                player = Player(make_scene(options["confirmations"]))
                player.play(calls, options["passes"], self._say)
                found = player.report()
        except Stuck as error:
            raise CommandError(str(error)) from error
        settings = {name: options[name] for name in ("confirmations", "passes", "shuffle")}
        found = {**settings, **found, "seconds": round(time.monotonic() - started_at, 1)}
        self.stdout.write(json.dumps(found) if options["json"] else told(found))

    def _say(self, line: str) -> None:
        self.stderr.write(line)
        self.stderr.flush()


def _check(options: dict[str, Any]) -> None:
    """Raises CommandError for a number that cannot be played."""
    if not 0 <= options["confirmations"] <= MOST_CONFIRMATIONS:
        raise CommandError(f"--confirmations must be from 0 to {MOST_CONFIRMATIONS}.")
    if not 1 <= options["passes"] <= MOST_PASSES:
        raise CommandError(f"--passes must be from 1 to {MOST_PASSES}.")
