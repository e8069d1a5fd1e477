"""Whatever a superuser does to a signed ledger is found, at the entry where it begins; what nobody touched is valid."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from config.bench import tampered
from config.bench.tampering import TABLES, WAYS, Ledger
from governance import ledger
from governance.actors import COMMAND
from governance.database.tenancy import tenant_scope
from governance.ledger import notary, signed
from governance.ledger.sequencer import number_entries
from governance.models import LedgerEntry, LedgerNote, Tenant
from governance.signing.outside import Outside
from tests import factories
from tests.ledger.signing import signer as working

pytestmark = pytest.mark.django_db(transaction=True)
SIZE = 300  # more than one stored node


@pytest.fixture
def signer() -> Iterator[Path]:
    with tampered.signing() as directory:
        yield directory


@pytest.fixture
def acme(signer: Path) -> Tenant:
    return tampered.grown("acme", SIZE)


def verified(*words: str) -> dict[str, Any]:
    out = StringIO()
    try:
        call_command("verify_ledger", *words, "--json", stdout=out, stderr=StringIO())
    except CommandError:
        assert not json.loads(out.getvalue().splitlines()[-1])["valid"]
    found: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return found


def tamper(tenant: Tenant, way: Callable[[Ledger], Any]) -> None:
    """For good, triggers on again, as somebody would who wants it to stay unseen."""
    with tampered.superuser() as hands, hands.transaction():
        victim = Ledger(hands, tenant.id, "", SIZE, Random(1))
        victim.open_up()
        way(victim)
        for table in TABLES:
            victim.run(f"ALTER TABLE governance_ledger{table} ENABLE ALWAYS TRIGGER append_only")


def test_every_way_is_found_where_it_begins(acme: Tenant, subtests: pytest.Subtests) -> None:
    beside = factories.tenant("beside")
    outside = signed.read(settings.LEDGER_DIR, acme.id)
    chance = Random(20260701)
    with tampered.superuser() as hands:
        assert tampered.audited(hands, acme.id, outside).problems == []
        for name, way in [*WAYS.items()] * 2:
            with subtests.test(name), hands.transaction(force_rollback=True):
                victim = Ledger(hands, acme.id, beside.id, outside.size, chance)
                victim.open_up()
                begins = way(victim)
                audit = tampered.audited(hands, acme.id, outside)
                assert not audit.is_valid
                assert audit.first_bad == begins, audit.problems[:3]
        assert tampered.audited(hands, acme.id, outside).problems == []


def test_the_command_says_so_and_where(acme: Tenant) -> None:
    sound = verified()
    assert (sound["valid"], sound["first_bad"], sound["problems"]) == (True, None, [])
    assert sound["entries"] == sound["signed"] == SIZE + 3  # three erasures
    tamper(acme, lambda victim: victim.set_entry(17, "actor = 'user:666'"))
    found = verified("--tenant", "acme")
    assert (found["valid"], found["first_bad"], found["tenant"]) == (False, 17, acme.id)
    assert "another actor" in found["problems"][0]["what"]
    with pytest.raises(CommandError, match="no tenant"):
        call_command("verify_ledger", "--tenant", "nobody")


def test_a_tenant_that_was_deleted_is_remembered_outside(acme: Tenant) -> None:
    with tampered.superuser() as hands, hands.transaction():
        victim = Ledger(hands, acme.id, "", SIZE, Random(1))
        victim.open_up()
        for table in TABLES:
            victim.run(f"DELETE FROM governance_ledger{table} WHERE tenant_id = %(tenant)s")
            victim.run(f"ALTER TABLE governance_ledger{table} ENABLE ALWAYS TRIGGER append_only")
    found = verified()
    assert (found["valid"], found["first_bad"], found["entries"]) == (False, 0, 0)


def test_without_leaf_hashes_outside_the_notes_still_tell_between_which(acme: Tenant) -> None:
    """Only the range between two notes is known then, and that the file is not as it was."""
    kept = Outside(settings.LEDGER_DIR, acme.id)
    kept.leaves.unlink()
    sizes = [note.size for note in kept.notes()]

    def forge(victim: Ledger) -> None:
        body = victim.forged(sizes[1] + 5, actor="user:666")
        change = "actor = 'user:666', body = %(body)s, hash = sha256(%(body)s)"
        victim.set_entry(sizes[1] + 5, change, body=body)
        victim.set_leaf(sizes[1] + 5, "hash = sha256('\\x00'::bytea || %(body)s)", body=body)
        victim.run("DELETE FROM governance_ledgernode")

    tamper(acme, forge)
    found = verified()
    assert (found["valid"], found["first_bad"]) == (False, sizes[1])
    assert any("does not lead to the notes" in each["what"] for each in found["problems"])


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda kept: kept.history.write_text("nonsense\n"), "is no note"),
        (
            lambda kept: kept.history.write_text(
                kept.history.read_text().replace("\\n71\\n", "\\n72\\n")
            ),
            "signature is not right",
        ),
        (lambda kept: kept.leaves.write_bytes(b"\x00" * 32 * 400), "does not lead to the notes"),
        (lambda kept: (kept.folder.parent / "public_key").unlink(), "no public key"),
        (lambda kept: (kept.folder.parent / "public_key").write_text("x"), "holds no key"),
    ],
)
def test_what_is_outside_is_verified_too(
    acme: Tenant, spoil: Callable[[Outside], object], what: str
) -> None:
    spoil(Outside(settings.LEDGER_DIR, acme.id))
    found = verified()
    assert not found["valid"]
    assert any(what in each["what"] for each in found["problems"]), found["problems"]


def test_a_note_that_nobody_signed_is_found_in_the_database(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        size = LedgerEntry.objects.count()
        LedgerNote.objects.create(size=size + 1, root=b"\x00" * 32, note="I say so")
    found = verified()
    assert (found["valid"], found["first_bad"]) == (False, size)


def test_an_entry_that_never_gets_a_number_is_found(acme: Tenant) -> None:
    def insert(victim: Ledger) -> None:
        victim.run(
            "INSERT INTO governance_ledgerentry (tenant_id, id, created_at, kind, subject, actor, gesture, body, hash, xid)"
            " SELECT tenant_id, 'led_planted', created_at - interval '1 day', kind, subject, actor, gesture, body, hash,"
            " '3' FROM governance_ledgerentry WHERE id = %(id)s",
            id=victim.entry(5),
        )

    tamper(acme, insert)
    number_entries()  # the sequencer has long been past its transaction
    found = verified()
    assert (found["valid"], found["first_bad"]) == (False, SIZE + 3)
    assert "led_planted" in found["problems"][0]["what"]


def test_what_was_erased_and_is_back_is_found(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        mine = ledger.append("test.said", "s", actor=COMMAND, reason="to be forgotten")
        number_entries()
    number_entries()
    with connection.cursor() as cursor, tenant_scope(acme.id):
        cursor.execute("SELECT salt, payload FROM governance_ledgerpayload WHERE id = %s", (mine,))
        salt, payload = cursor.fetchone()
        ledger.erase(LedgerEntry.objects.get(pk=mine), actor=COMMAND, reason="now")
    number_entries()
    notary.sign_one(acme.id)
    assert verified()["valid"]
    with tenant_scope(acme.id), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO governance_ledgerpayload (tenant_id, id, salt, payload) VALUES (%s, %s, %s, %s)",
            (acme.id, mine, salt, payload),
        )
    found = verified()
    assert not found["valid"]
    assert "there again" in found["problems"][0]["what"]


def test_it_is_valid_while_it_grows(acme: Tenant) -> None:
    """Entries that have no number yet, or no signature yet, are no tampering."""
    with tenant_scope(acme.id):
        ledger.append("test.said", "s", actor=COMMAND)
    assert verified()["valid"]
    number_entries()
    found = verified()
    assert (found["valid"], found["entries"], found["signed"]) == (True, SIZE + 4, SIZE + 3)


def lose(victim: Ledger, start: int) -> None:
    """What a database lacks that was restored from an older backup."""
    gone = "SELECT id FROM governance_ledgerleaf WHERE tenant_id = %(tenant)s AND seq >= %(start)s"
    for table in ("entry", "payload"):
        victim.run(f"DELETE FROM governance_ledger{table} WHERE id IN ({gone})", start=start)
    victim.run("DELETE FROM governance_ledgernote WHERE size > %(start)s", start=start)
    victim.run("DELETE FROM governance_ledgernode WHERE (place + 1) * 256 > %(start)s", start=start)
    victim.run("DELETE FROM governance_ledgerleaf WHERE seq >= %(start)s", start=start)


def rewound() -> dict[str, Any]:
    out = StringIO()
    words = ("--tenant", "acme", "--reason", "the backup of last night", "--json")
    call_command("rewind_ledger", *words, stdout=out)
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def test_a_restored_database_is_stood_by_in_the_open(tmp_path: Path, settings: Any) -> None:
    """A backup is older than the last note: the signer refuses, until an operator puts aside what it signed."""
    settings.LEDGER_DIR = tmp_path / "ledger"
    acme = factories.tenant("acme")
    with working(settings.LEDGER_DIR):
        for _ in range(4):
            with tenant_scope(acme.id):
                for _ in range(75):
                    ledger.append("test.said", "s", actor=COMMAND)
            number_entries()
            notary.sign_one(acme.id)
        tamper(acme, lambda victim: lose(victim, 250))
        assert verified()["first_bad"] == 250
        with tenant_scope(acme.id):
            ledger.append("test.said", "after the restore", actor=COMMAND)
        number_entries()
        with pytest.raises(notary.Refused, match="smaller"):
            notary.sign_one(acme.id)
        with pytest.raises(CommandError, match="Another signer"):
            rewound()
    found = rewound()
    assert (found["signed"], found["kept"], found["aside"]) == (301, 226, f"{acme.id}.before-1")
    number_entries()
    with working(settings.LEDGER_DIR):
        assert notary.sign_one(acme.id)
    sound = verified()
    assert (sound["valid"], sound["signed"]) == (True, 252)
    aside = Outside(settings.LEDGER_DIR, f"{acme.id}.before-1")
    assert aside.notes()[-1].size == 301
    with tenant_scope(acme.id):
        [told] = LedgerEntry.objects.filter(kind="ledger.rewound")
        assert json.loads(bytes(told.body))["facts"]["signed"] == 301
    assert rewound()["aside"] is None  # and there is nothing more to do


# --- Without us -----------------------------------------------------------------------------------------------


def exported(out: Path, *words: str) -> list[dict[str, Any]]:
    call_command("export_ledger", "--tenant", "acme", "--out", str(out), *words, stdout=StringIO())
    return [json.loads(line) for line in out.read_text().splitlines()]


def offline(file: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """What the one-file verifier says in a Python that finds none of our packages."""
    import subprocess
    import sys

    script = settings.BASE_DIR / "scripts" / "verify_ledger_offline.py"
    ended = subprocess.run(
        [sys.executable, "-I", "-S", str(script), str(file), *words],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, json.loads(ended.stdout or json.dumps({"error": ended.stderr}))


def test_an_export_is_verified_with_nothing_but_python(acme: Tenant, tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    lines = exported(file)
    key = lines[0]["verifier_key"]
    code, found = offline(file, "--key", key)
    assert (code, found["valid"], found["key"]) == (0, True, "given")
    assert found["entries"] == found["signed"] == SIZE + 3
    assert "because of" not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    other = "antibody.invalid/ledger/x+00000000+AQ=="
    assert "no verifier key" in offline(file, "--key", other)[1]["error"]


def test_an_export_with_payloads_shows_what_was_said(acme: Tenant, tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    lines = exported(file, "--with-payloads")
    assert "because of" in file.read_text()
    assert offline(file)[1]["valid"]
    said = next(line for line in lines if "payload" in line)
    said["payload"] = said["payload"].replace("because", "despite")
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, found = offline(file)
    assert (code, found["first_bad"]) == (1, said["seq"])


def changed(lines: list[dict[str, Any]], how: str, at: int) -> int:
    """Tamper with an export; where it begins."""
    first = next(n for n, line in enumerate(lines) if "seq" in line)
    place = first + at
    match how:
        case "edit":
            lines[place]["body"] = lines[place]["body"].replace('"facts"', '"facts" ')
        case "edit, and the leaf is not there":
            for line in lines[first:]:
                line.pop("leaf")
            lines[place]["body"] = lines[place]["body"].replace('"facts"', '"facts" ')
            notes = [int(line["note"].split("\n")[1]) for line in lines if "note" in line]
            return max([size for size in notes if size <= at], default=0)
        case "delete":
            del lines[place]
        case "insert":
            lines.insert(place, dict(lines[place]))
        case "swap":
            lines[place], lines[-1] = lines[-1], lines[place]
        case "truncate":
            del lines[place:]
    return at


@pytest.mark.parametrize(
    "how", ["edit", "edit, and the leaf is not there", "delete", "insert", "swap", "truncate"]
)
def test_a_tampered_export_is_found_without_us(acme: Tenant, tmp_path: Path, how: str) -> None:
    file = tmp_path / "ledger.jsonl"
    lines = exported(file)
    begins = changed(lines, how, 123)
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, found = offline(file, "--key", lines[0]["verifier_key"])
    assert (code, found["valid"], found["first_bad"]) == (1, False, begins)


def test_a_note_of_another_key_is_refused_without_us(acme: Tenant, tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    lines = exported(file)
    with tampered.signing():
        again = tampered.grown("umbra", 3)
        theirs = Outside(settings.LEDGER_DIR, again.id).notes()[-1].text
    lines[1]["note"] = theirs
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, found = offline(file, "--key", lines[0]["verifier_key"])
    assert (code, found["valid"]) == (1, False)
    assert "did not sign" in found["problems"][0]["what"]


def test_its_own_arithmetic_agrees_with_the_library() -> None:
    import importlib.util
    import sys

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    place = settings.BASE_DIR / "scripts" / "verify_ledger_offline.py"
    spec = importlib.util.spec_from_file_location("verify_ledger_offline", place)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    sys.modules["verify_ledger_offline"] = script
    spec.loader.exec_module(script)
    chance = Random(5)
    for length in (0, 1, 32, 300):
        key = Ed25519PrivateKey.from_private_bytes(chance.randbytes(32))
        public, message = key.public_key().public_bytes_raw(), chance.randbytes(length)
        good = key.sign(message)
        bad = bytearray(good)
        bad[chance.randrange(64)] ^= 1 << chance.randrange(8)
        for signature in (good, bytes(bad), b"", good[:63], b"\xff" * 64):
            wanted = signature == good
            assert script.is_signed(public, message, signature) == wanted
            assert script.is_signed_fast(public, message, signature) == wanted
        assert not script.is_signed(public, message + b"x", good)
        assert not script.is_signed(b"\xff" * 32, message, good)
