"""``bench tamper``: a signed ledger is tampered with in every way, and each must be found where it begins.

And the other way round: a large ledger that nobody touched must be valid.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import psycopg
from django.conf import settings

from config.database import administrator
from governance import ledger, tenants
from governance.actors import LOOP, Actor
from governance.database.tenancy import tenant_scope
from governance.gestures import new_gesture
from governance.ledger import notary, signed
from governance.ledger.audit import Audit, verify
from governance.ledger.sequencer import number_entries
from governance.models import LedgerEntry, Tenant

from . import place
from .race import BenchError
from .tampering import WAYS, Ledger

# Small, so that a thousand verifications do not take an hour; more than one stored node, several notes.
SIZE = 600
PER_NOTE = 70
PER_TRANSACTION = 100
RITA = Actor("user", "1", "rita")

Say = Callable[[str], object]


def measure(*, tamperings: int, untouched: int, seed: int, say: Say) -> dict[str, Any]:
    """Both; ``failed`` names what was not as it must be."""
    with signing():
        figures = tamper(grown("tampered", SIZE), tamperings, seed, say)
        figures |= leave_alone(untouched, say)
    figures["failed"] = [
        name
        for name, is_wrong in (
            ("found", figures["found"] != tamperings),
            ("first_bad", figures["at_the_right_number"] != tamperings),
            ("false_alarms", figures["false_alarms"] > 0),
        )
        if is_wrong
    ]
    return figures


def tamper(tenant: Tenant, tamperings: int, seed: int, say: Say) -> dict[str, Any]:
    """Tamper so many times, each time with the untouched ledger; what was found."""
    began, chance = time.monotonic(), Random(seed)  # noqa: S311 - the same again, on purpose
    other = tenants.make_tenant(f"beside-{tenant.slug}")
    found, right, ways = 0, 0, Counter[str]()
    wrong: list[dict[str, Any]] = []
    with superuser() as connection:
        outside = signed.read(settings.LEDGER_DIR, tenant.id)
        for number in range(tamperings):
            way = (
                list(WAYS)[number % len(WAYS)] if number < len(WAYS) else chance.choice(list(WAYS))
            )
            ways[way] += 1
            with connection.transaction(force_rollback=True):
                hands = Ledger(connection, tenant.id, other.id, outside.size, chance)
                hands.open_up()
                begins = WAYS[way](hands)
                audit = audited(connection, tenant.id, outside)
            found += not audit.is_valid
            right += audit.first_bad == begins
            if audit.first_bad != begins:
                wrong.append({"way": way, "begins": begins, "first_bad": audit.first_bad})
            if number % 100 == 99:
                say(f"{number + 1} tamperings, {found} found, {right} at the right number")
        is_untouched = audited(connection, tenant.id, outside).is_valid
    return {
        "seed": seed,
        "entries": outside.size,
        "tamperings": tamperings,
        "found": found,
        "at_the_right_number": right,
        "ways": dict(sorted(ways.items())),
        "wrong": wrong[:20],
        "false_alarms": 0 if is_untouched else 1,
        "tampering_seconds": round(time.monotonic() - began, 1),
    }


def leave_alone(entries: int, say: Say) -> dict[str, Any]:
    """A ledger that nobody touched is valid; how long it takes to say so."""
    if not entries:
        return {"untouched": 0}
    say(f"writing {entries} entries that nobody will touch")
    began = time.monotonic()
    tenant = grown("untouched", entries, per_note=max(PER_NOTE, entries // 20))
    written, began = time.monotonic() - began, time.monotonic()
    with superuser() as connection:
        audit = audited(connection, tenant.id, signed.read(settings.LEDGER_DIR, tenant.id))
    return {
        "untouched": audit.entries,
        "false_alarms": audit.found,
        "problems": [problem.what for problem in audit.problems[:5]],
        "written_seconds": round(written, 1),
        "verified_seconds": round(time.monotonic() - began, 1),
    }


def grown(slug: str, size: int, *, per_note: int = PER_NOTE) -> Tenant:
    """A tenant with a signed ledger of so many entries: decisions, loops, and people with their reasons."""
    tenant = tenants.make_tenant(slug)
    written = 1  # that the tenant was made
    while written < size:
        upto = min(written + per_note, size)
        while written < upto:
            count = min(PER_TRANSACTION, upto - written)
            with tenant_scope(tenant.id), new_gesture():
                ledger.append_all(_entry(written + n) for n in range(count))
            written += count
        number_entries()
        notary.sign_one(tenant.id)
    with tenant_scope(tenant.id):
        _forget_some()
    number_entries()
    notary.sign_one(tenant.id)
    return tenant


def _entry(number: int) -> ledger.Entry:
    if number % 9 == 0:
        return ledger.Entry("policy.active", f"pol_{number}", RITA, f"because of {number}")
    facts = {"incident": f"inc_{number}", "outcome": "goon", "n": number}
    return ledger.Entry("loop.pattern_matched", f"trc_{number}", LOOP, facts=facts)


def _forget_some() -> None:
    """What was erased must not look like what was taken away."""
    for entry in LedgerEntry.objects.filter(kind="policy.active").order_by("id")[:3]:
        ledger.erase(entry, actor=RITA, reason="to be forgotten")


def audited(connection: psycopg.Connection[Any], tenant_id: str, outside: signed.Signed) -> Audit:
    """What ``verify_ledger`` says of a tenant, asked through this connection."""

    def rows(sql: str, params: dict[str, Any]) -> list[tuple[Any, ...]]:
        return connection.execute(sql.encode(), params).fetchall()

    with connection.transaction():
        return verify(tenant_id, rows, outside, outside.size)


@contextmanager
def superuser() -> Iterator[psycopg.Connection[Any]]:
    """An administrator's connection to the bench's database."""
    login = administrator(os.environ, settings.DATA_DIR)
    with psycopg.connect(**login.dsn(place.current()), autocommit=True) as connection:
        yield connection


@contextmanager
def signing() -> Iterator[Path]:
    """A signer of our own, in a process and a folder that are gone afterwards."""
    before = settings.LEDGER_DIR
    with tempfile.TemporaryDirectory(prefix="abt-ledger-") as folder:
        settings.LEDGER_DIR = Path(folder)
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "governance.signing", folder, "--child"],
            cwd=settings.BASE_DIR,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            if process.stdout.readline() != b"signing\n":
                raise BenchError("The signer did not start; its words are above.")
            yield Path(folder)
        finally:
            settings.LEDGER_DIR = before
            process.kill()
            process.communicate()
