"""The sweeper as a process of its own: needs no broker."""

from __future__ import annotations

import json
import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from config.priority import give_way
from governance.ledger.notary import keep_forever
from governance.ledger.sequencer import number_entries
from governance.loop.sweep import sweep_forever, sweep_once


class Command(BaseCommand):
    help = "Run whatever is ready, take back what was abandoned and number the ledger, until it is stopped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="run what is ready now, and stop")
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["once"]:
            landed, numbered = sweep_once(), number_entries()
            self.stdout.write(
                json.dumps({"landed": landed, "numbered": numbered})
                if options["json"]
                else f"{landed} steps landed, {numbered} entries numbered"
            )
            return
        leaving = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: leaving.set())
        give_way()
        self.stdout.write("sweeping", ending="\n")
        self.stdout.flush()
        notary = threading.Thread(target=keep_forever, args=(leaving,), name="notary", daemon=True)
        notary.start()
        sweep_forever(leaving)
        notary.join(timeout=5)
        if options["json"]:
            self.stdout.write(json.dumps({"stopped": True}))
