"""``manage.py catalog``: a tenant's patterns as a file, out and in."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from catalog.models import Pattern
from catalog.services import match_incidents
from governance.database.tenancy import leave_tenant, tenant_scope
from governance.models import LedgerEntry, Tenant
from tests import factories

from .test_match import failures


def run(*args: object) -> dict[str, Any]:
    out = StringIO()
    call_command("catalog", *map(str, args), "--json", stdout=out)
    answer: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return answer


@pytest.fixture
def file(acme: Tenant, tmp_path: Path) -> Path:
    """Acme's catalogue of two patterns."""
    match_incidents(failures(["flight HAT101 is full", "the lamp is away"]))
    leave_tenant()
    run("export", tmp_path / "catalog.json", "--tenant", "acme")
    return tmp_path / "catalog.json"


def test_a_file_goes_from_one_tenant_into_another(file: Path, umbra: Tenant) -> None:
    factories.member(umbra, "olaf", "reviewer")
    into = ("import", file, "--tenant", "umbra")
    seen = run(*into, "--preview")
    assert (seen["new"], seen["is_done"]) == (2, False)
    with tenant_scope(umbra.id):
        assert not Pattern.objects.exists()
    done = run(*into, "--as", "olaf", "--reason", "They failed before us.")
    assert (done["new"], done["signatures"], done["conflicts"], done["is_done"]) == (2, 2, 0, True)
    again = run(*into, "--as", "olaf", "--reason", "Once more.")
    assert (again["new"], again["known"], again["signatures"]) == (0, 2, 0)
    back = file.with_name("back.json")
    assert run("export", back, "--tenant", umbra.id)["hash"] == done["hash"]
    assert back.read_bytes() == file.read_bytes()
    with tenant_scope(umbra.id):
        [entry] = LedgerEntry.objects.filter(kind="catalog.imported")
        assert entry.actor.startswith("user:")


def test_people_read_what_a_file_would_bring(file: Path, umbra: Tenant) -> None:
    out = StringIO()
    call_command("catalog", "import", str(file), "--tenant", "umbra", "--preview", stdout=out)
    assert "2 new patterns" in out.getvalue()
    assert "+ OperationalError in sql_query: the lamp is away" in out.getvalue()


@pytest.mark.parametrize("name", ["nobody", "vera", None])
def test_who_may_not_curate_imports_nothing(file: Path, umbra: Tenant, name: str | None) -> None:
    factories.member(umbra, "vera", "viewer")
    with pytest.raises(CommandError, match="may take over a catalogue"):
        run("import", file, "--tenant", "umbra", "--reason", "x", *(["--as", name] if name else []))


def test_a_reason_is_asked(file: Path, umbra: Tenant) -> None:
    factories.member(umbra, "olaf", "reviewer")
    with pytest.raises(CommandError, match="Say why"):
        run("import", file, "--tenant", "umbra", "--as", "olaf")


def test_a_file_that_is_not_whole_is_refused(file: Path, umbra: Tenant) -> None:
    whole = file.read_bytes()
    for broken, says in (
        (whole[:-9], "not JSON"),
        (whole.replace(b"lamp", b"lump"), "catalog.hash"),
        (b"[]", "catalog: must be an object"),
    ):
        file.write_bytes(broken)
        with pytest.raises(CommandError, match=says):
            run("import", file, "--tenant", "umbra", "--preview")


def test_what_is_not_there_is_named(acme: Tenant, tmp_path: Path) -> None:
    leave_tenant()
    with pytest.raises(CommandError, match="no tenant 'nobody'"):
        run("export", tmp_path / "x", "--tenant", "nobody")
    with pytest.raises(CommandError, match="No such file"):
        run("import", tmp_path / "none", "--tenant", "acme", "--preview")
    with pytest.raises(CommandError, match="No such file"):
        run("export", tmp_path / "none" / "x", "--tenant", "acme")
    assert list(tmp_path.iterdir()) == []
