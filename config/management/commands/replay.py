"""Play recorded calls or incidents through the API of a running server."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.replaying import Api, Replay, ReplayFailed, read


class Command(BaseCommand):
    help = "Play a JSONL file of tool calls or incidents through the HTTP API, in order."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--api", required=True, help="the server's address")
        parser.add_argument("--token", required=True, help="an agent's token")
        parser.add_argument(
            "--approve", action="store_true", help="approve every checkpoint that comes up"
        )
        parser.add_argument("--reviewer-token", help="a reviewer's token, for --approve")
        parser.add_argument("--passes", type=int, default=1, help="how often to play the file")
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["approve"] and not options["reviewer_token"]:
            raise CommandError(
                "--approve needs --reviewer-token: agents cannot decide checkpoints."
            )
        if options["passes"] < 1:
            raise CommandError("--passes must be at least 1.")
        try:
            result = self._play(options)
        except ReplayFailed as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(result) if options["json"] else json.dumps(result, indent=2))
        if result["errors"] or result["unsettled"]:
            sys.exit(1)

    def _play(self, options: dict[str, Any]) -> dict[str, Any]:
        lines = read(options["file"])
        reviewer = Api(options["api"], options["reviewer_token"]) if options["approve"] else None
        replay = Replay(Api(options["api"], options["token"]), reviewer)
        for number in range(1, options["passes"] + 1):
            replay.play(lines, number)
            now = replay.tally.by_pass[-1]
            self.stderr.write(
                f"pass {number}: {now.failures} failures, {now.prevented} prevented, "
                f"{now.false_rejections} good calls blocked"
            )
        return replay.finish()
