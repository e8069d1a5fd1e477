"""The sweeper as a process of its own: needs no broker."""

from __future__ import annotations

import json
import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from config.priority import give_way
from governance.loop.sweep import sweep_forever, sweep_once


class Command(BaseCommand):
    help = "Run whatever is ready and take back what was abandoned, until it is stopped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="run what is ready now, and stop")
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["once"]:
            landed = sweep_once()
            self.stdout.write(
                json.dumps({"landed": landed}) if options["json"] else f"{landed} steps landed"
            )
            return
        leaving = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: leaving.set())
        give_way()
        self.stdout.write("sweeping", ending="\n")
        self.stdout.flush()
        sweep_forever(leaving)
        if options["json"]:
            self.stdout.write(json.dumps({"stopped": True}))
