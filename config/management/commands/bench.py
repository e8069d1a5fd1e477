"""Measures the product: loops beside three rivals and without a ledger, reports, latency, matching; or tampers with a ledger."""

from __future__ import annotations

import json
import logging
import os
import platform
from pathlib import Path
from typing import Any

import psycopg
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.bench import (
    decisions,
    growth,
    guards,
    latency,
    ledgers,
    loops,
    matching,
    place,
    reports,
    scene,
    tampered,
)
from config.bench.race import BenchError


class Command(BaseCommand):
    """Runs one bench on a database of its own; exits non-zero when a figure is below what is wanted."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "what", choices=["loop", "guard", "ledger", "report", "latency", "match", "tamper"]
        )
        parser.add_argument(
            "--loops", type=int, default=2_000, help="loops of one timed round (2000)"
        )
        parser.add_argument(
            "--rounds",
            type=int,
            help=f"interleaved rounds ({loops.ROUNDS}; of ledger {ledgers.ROUNDS})",
        )
        parser.add_argument(
            "--growth",
            action="store_true",
            help="instead: cost of a loop beside 1,000 and 100,000 stored",
        )
        parser.add_argument("--reports", type=int, default=500, help="reports over HTTP (500)")
        parser.add_argument(
            "--incidents", type=int, default=200, help="incidents one by one at idle (200)"
        )
        parser.add_argument(
            "--decisions", type=int, default=8_000, help="decisions over HTTP (8000)"
        )
        parser.add_argument(
            "--tamperings", type=int, default=1_000, help="of a signed ledger (1000)"
        )
        parser.add_argument(
            "--untouched", type=int, default=100_000, help="entries nobody touches (100000)"
        )
        parser.add_argument("--seed", type=int, default=1, help="the same tamperings again (1)")
        parser.add_argument(
            "--file",
            type=Path,
            help="of match: labelled log lines for the side by side with Drain3",
        )
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, **options: Any) -> None:
        # Two workers may meet, be fenced or find the broker away: that is told by the figures.
        logging.getLogger().setLevel(logging.ERROR)
        try:
            with place.made():
                found = _machine() | self._measure(options)
        except BenchError as error:
            raise CommandError(str(error)) from error
        self._show(found, as_json=options["json"])
        if found["failed"]:
            raise CommandError(f"Not reached: {', '.join(found['failed'])}.")

    def _measure(self, options: dict[str, Any]) -> dict[str, Any]:
        if options["what"] == "tamper":
            return tampered.measure(
                tamperings=options["tamperings"],
                untouched=options["untouched"],
                seed=options["seed"],
                say=self._say,
            )
        if options["what"] == "match":
            return matching.measure(file=options["file"], say=self._say)
        tenant = scene.make()
        match options["what"]:
            case "loop" if options["growth"]:
                return growth.measure(tenant, loops=options["loops"], say=self._say)
            case "loop":
                rounds = options["rounds"] or loops.ROUNDS
                return loops.compare(tenant, loops=options["loops"], rounds=rounds, say=self._say)
            case "guard":
                in_memory = guards.measure(self._say)
                over_http = decisions.measure(tenant, decisions=options["decisions"], say=self._say)
                failed = in_memory["failed"] + over_http["failed"]
                return {**in_memory, **over_http, "failed": failed}
            case "ledger":
                rounds = options["rounds"] or ledgers.ROUNDS
                return ledgers.compare(tenant, loops=options["loops"], rounds=rounds, say=self._say)
            case "report":
                return reports.measure(tenant, reports=options["reports"])
        return latency.measure(tenant, incidents=options["incidents"])

    def _show(self, found: dict[str, Any], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(found))
            return
        for name, value in found.items():
            if name != "systems":
                self.stdout.write(f"{name}: {json.dumps(value)}")
        for name, figures in found.get("systems", {}).items():
            self.stdout.write(f"{name}: {json.dumps(figures)}")

    def _say(self, line: str) -> None:
        self.stderr.write(line)
        self.stderr.flush()


def _machine() -> dict[str, Any]:
    """What was measured on. Raises BenchError for a server that does not wait for its disk: such figures lie."""
    with psycopg.connect(**place.dsn()) as app:
        settings = {
            name: _setting(app, name) for name in ("server_version", "fsync", "synchronous_commit")
        }
    for name in ("fsync", "synchronous_commit"):
        if settings[name] != "on":
            raise BenchError(
                f"{name} is {settings[name]}: the figures would not be those of a durable database."
            )
    return {
        "machine": {
            "cores": os.cpu_count(),
            "processor": _processor(),
            "load_before": round(os.getloadavg()[0], 2),
            "python": platform.python_version(),
            "postgresql": settings["server_version"],
            "fsync": settings["fsync"],
            "synchronous_commit": settings["synchronous_commit"],
        }
    }


def _setting(app: psycopg.Connection[Any], name: str) -> str:
    row = app.execute("SELECT current_setting(%s)", (name,)).fetchone()
    assert row is not None
    return str(row[0])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), ""
    )
