"""Which pattern the matcher gives each failure of a file, as if they had happened one after another.

The real matcher works on real rows, in a tenant of its own that only this run ever sees: everything happens in
one transaction that is rolled back at the end, because evidence cannot be deleted.
"""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from secrets import token_hex
from typing import IO, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from catalog.services import match_incidents
from config.scoring.labelled import Failure, failures_of
from governance.actors import COMMAND
from governance.database.tenancy import tenant_scope
from governance.identity import register_agent
from governance.models import Agent
from governance.tenants import make_tenant
from incidents.models import Incident

CHUNK = 500


class Command(BaseCommand):
    help = "Match the failures of a file with one another; leaves nothing in the database."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file", type=Path, help="lines of {id, input} or of {system, line, content}"
        )
        parser.add_argument(
            "--out", type=Path, required=True, help="a line each: {id, pattern, confidence, band}"
        )
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        started = time.perf_counter()
        try:
            with (
                options["file"].open("rb") as lines,
                options["out"].open("w", encoding="utf-8") as out,
            ):
                counts = match_all(failures_of(lines), out)
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from error
        counts["seconds"] = round(time.perf_counter() - started, 3)
        self.stdout.write(json.dumps(counts) if options["json"] else told(counts))


def match_all(failures: Iterable[Failure], out: IO[str]) -> dict[str, Any]:
    """Match them in order, write a line each, and count; nothing stays in the database."""
    counts: Counter[str] = Counter(
        dict.fromkeys(("incidents", "strong", "weak", "novel", "unmatched"), 0)
    )
    patterns: set[str] = set()
    with transaction.atomic():
        tenant = make_tenant(f"match-{token_hex(8)}")
        with tenant_scope(tenant.id):
            agent = register_agent("match", actor=COMMAND)
            rest = iter(failures)
            while chunk := list(islice(rest, CHUNK)):
                for line in match_chunk(agent, chunk):
                    counts.update(["incidents", line["band"] or "unmatched"])
                    patterns.add(line["pattern"])
                    out.write(json.dumps(line, ensure_ascii=False) + "\n")
        transaction.set_rollback(True)
    return {**counts, "patterns": len(patterns - {None})}


def match_chunk(agent: Agent, failures: list[Failure]) -> Iterator[dict[str, Any]]:
    """{id, pattern, confidence, band} of each; nulls for one that has nothing to be recognised by."""
    incidents = Incident.objects.bulk_create(
        Incident(
            agent=agent,
            error_type=failure.error_type[:200],
            tool=failure.tool[:200],
            message=failure.message,
            context=failure.context,
            category=Incident.Category.OPERATIONAL,
            severity=Incident.Severity.LOW,
            source="match",
            simulated=True,
        )
        for failure in failures
    )
    matches = match_incidents(incidents)
    for failure, incident in zip(failures, incidents, strict=True):
        match = matches.get(incident.id)
        yield {
            "id": failure.id,
            "pattern": match and match.pattern_id,
            "confidence": match and match.confidence,
            "band": match and str(match.band),
        }


def told(counts: dict[str, Any]) -> str:
    """The counts for people."""
    return (
        f"{counts['incidents']} failures, {counts['patterns']} patterns: {counts['strong']} strong, {counts['weak']} "
        f"weak, {counts['novel']} novel, {counts['unmatched']} unmatched, in {counts['seconds']} s."
    )
