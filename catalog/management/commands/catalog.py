"""A tenant's catalogue of failures as a file: export it, look at one, import it. See docs/catalog.md."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from rest_framework.exceptions import ParseError

from catalog import services
from governance.access import parsers
from governance.access.matrix import CURATE
from governance.actors import Actor
from governance.database.tenancy import tenant_scope
from governance.models import Membership, Tenant
from governance.refusals import Refusal

MOST_BYTES = 512 * 1_048_576
TOLD = 20
"""Patterns and clashes that are printed for people; --json counts all."""


class Command(BaseCommand):
    """Each way answers with figures for --json and lines for people."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        ways = parser.add_subparsers(dest="way", required=True)
        out = ways.add_parser("export", help="write the patterns and signatures of a tenant")
        into = ways.add_parser("import", help="take over what a tenant does not know yet")
        for way in (out, into):
            way.add_argument("file", type=Path)
            way.add_argument("--tenant", required=True, help="whose (slug or id)")
            way.add_argument("--json", action="store_true", help="one JSON object as the last line")
        into.add_argument("--as", metavar="USER", help="the person who takes it over")
        into.add_argument("--reason", default="", help="why")
        into.add_argument("--preview", action="store_true", help="say what it would do; do nothing")

    def handle(self, **options: Any) -> None:
        with _tenant(options["tenant"]) as tenant, transaction.atomic():
            figures = getattr(self, f"_{options['way']}")(tenant, options)
        if options["json"]:
            self.stdout.write(json.dumps(figures, ensure_ascii=False))

    def _export(self, tenant: Tenant, options: dict[str, Any]) -> dict[str, Any]:
        whole, partial = options["file"], options["file"].with_name(f"{options['file'].name}.part")
        try:
            with partial.open("wb") as file:
                done = services.export(file.write)
            partial.replace(whole)
        except OSError as error:
            raise CommandError(f"{whole}: {error.strerror}") from error
        self._say(options, f"{done.patterns} patterns, {done.signatures} signatures in {whole}")
        self._say(options, f"sha256 {done.hash}")
        return {
            "patterns": done.patterns,
            "signatures": done.signatures,
            "hash": done.hash,
            "file": str(whole),
        }

    def _import(self, tenant: Tenant, options: dict[str, Any]) -> dict[str, Any]:
        file = _read(options["file"])
        try:
            if options["preview"]:
                found = services.plan(file)
            else:
                actor = _person(tenant, options["as"])
                found = services.import_catalog(file, actor=actor, reason=options["reason"])
        except Refusal as refusal:
            raise CommandError(f"{options['file']}: {refusal}") from refusal
        for line in _lines(found):
            self._say(options, line)
        return {
            "new": len(found.new),
            "known": found.known,
            "extended": len(found.extended),
            "signatures": found.signatures,
            "conflicts": len(found.clashes),
            "hash": found.hash,
            "is_done": not options["preview"],
        }

    def _say(self, options: dict[str, Any], text: str) -> None:
        if not options["json"]:
            self.stdout.write(text)


def _lines(found: services.Plan) -> Iterator[str]:
    yield (
        f"{len(found.new)} new patterns, {len(found.extended)} known ones that gain signatures,"
        f" {found.unchanged} that gain nothing, {found.signatures} signatures,"
        f" {len(found.clashes)} conflicts."
    )
    for each in found.new[:TOLD]:
        yield f"+ {each.said.name}"
    for clash in found.clashes[:TOLD]:
        yield f"! {clash.hash[:12]} is of {clash.here} here, and stays; the file says: {clash.there}"


def _read(path: Path) -> Any:
    """The file's JSON value, read as strictly as a body. Raises CommandError."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise CommandError(f"{path}: at most {MOST_BYTES} bytes.")
        return parsers.parse(path.read_bytes())
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    except ParseError as error:
        raise CommandError(f"{path}: {error.detail}") from error


@contextmanager
def _tenant(wanted: str) -> Iterator[Tenant]:
    """Inside the tenant that was named, by its slug or its id."""
    tenant = Tenant.objects.filter(slug=wanted).first() or Tenant.objects.filter(pk=wanted).first()
    if tenant is None:
        raise CommandError(f"There is no tenant {wanted!r}.")
    with tenant_scope(tenant.id):
        yield tenant


def _person(tenant: Tenant, name: str | None) -> Actor:
    """The person who answers for it. Raises CommandError where he may not."""
    member = Membership.objects.filter(tenant=tenant, user__username=name).first()
    if member is None or not CURATE.belongs_to(member.role):
        raise CommandError(
            f"Only {CURATE.holders} of {tenant} may take over a catalogue; {name!r} is none (--as)."
        )
    return Actor("user", str(member.user_id), member.user.get_username())
