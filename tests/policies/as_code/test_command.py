"""`manage.py policy`: files and a tenant that has calls, policies in force and people."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from governance.database.tenancy import leave_tenant, tenant_scope
from governance.models import LedgerEntry, Tenant, User
from incidents.models import Incident
from policies.as_code.reading import read
from policies.models import Decision, Evidence, Policy
from policies.services import guard
from tests import factories
from tests.factories import SCOUT
from tests.policies.guarding import ask, policy

ROOT = Path(__file__).parents[3]
FILE = """\
antibody: 1
policies:
  - name: no first class
    tool: book
    condition: arguments.cabin == "first"
    tests:
      - {call: {tool: book, arguments: {cabin: first}}, expect: block}
  - name: not too much
    tool: pay
    condition: arguments.n > 5
    action: escalate
    failure_mode: fail_open
    tests:
      - {call: {tool: pay, arguments: {n: 9}}, expect: escalate}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "p.yaml"
    made.write_text(FILE)
    return made


@pytest.fixture
def tenant(acme: Tenant) -> Tenant:
    """Acme with olga, who may write policies; the test itself is in no tenant, as a command is."""
    factories.member(acme, "olga", "operator")
    factories.member(acme, "vic", "viewer")
    leave_tenant()
    return acme


def told(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    call_command("policy", *map(str, words), "--json")
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def went(tool: str, arguments: dict[str, Any], *, ok: bool, run: str = "run-1") -> str:
    decision = Decision.objects.select_related("agent", "run").get(
        pk=ask(tool, arguments, run_name=run).decision_id
    )
    guard.report_outcome(
        decision,
        ok=ok,
        error_type="" if ok else "ValueError",
        error_message="" if ok else "no",
        actor=SCOUT,
    )
    return decision.id


def test_an_import_drafts_and_activates_nothing(
    tenant: Tenant, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = told(capsys, "import", file, "--tenant", "acme", "--as", "olga")
    with tenant_scope(tenant.id):
        drafted = list(Policy.objects.order_by("id"))
        assert [policy.id for policy in drafted] == done["drafted"]
        assert {policy.state for policy in drafted} == {"draft"}
        assert (drafted[1].failure_mode, drafted[1].action) == ("fail_open", "escalate")
        origins = Evidence.objects.values_list("actor", flat=True)
        assert set(origins) == {f"user:{User.objects.get(username='olga').pk}"}
        kinds = list(LedgerEntry.objects.order_by("id").values_list("kind", flat=True))
        assert kinds.count("policy.draft") == 2
        assert kinds[-1] == "policy.imported"


def test_an_import_twice_is_once_and_a_changed_policy_is_another(
    tenant: Tenant, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = told(capsys, "import", file, "--tenant", "acme", "--as", "olga")
    again = told(capsys, "import", file, "--tenant", "acme", "--as", "olga")
    assert again == {"drafted": [], "known": first["drafted"]}
    file.write_text(FILE.replace("n > 5", "n > 6"))
    changed = told(capsys, "import", file, "--tenant", "acme", "--as", "olga")
    assert (len(changed["drafted"]), changed["known"]) == (1, first["drafted"][:1])


@pytest.mark.parametrize(
    ("text", "person", "why"),
    [
        (FILE.replace("n > 5", "n > "), "olga", r"p\.yaml:10: error"),
        (FILE.replace("arguments.n > 5", "1 > 2"), "olga", r"p\.yaml:8: error.*never-true"),
        (FILE, "vic", "may write policies"),
        (FILE, "nobody", "may write policies"),
    ],
)
def test_an_import_is_all_or_nothing(
    tenant: Tenant, file: Path, text: str, person: str, why: str
) -> None:
    file.write_text(text)
    with pytest.raises(CommandError, match=why):
        call_command("policy", "import", str(file), "--tenant", "acme", "--as", person)
    with tenant_scope(tenant.id):
        assert not Policy.objects.exists()


def test_an_import_that_fails_half_way_leaves_nothing(
    tenant: Tenant, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second draft meets a database that refuses it."""

    def refusing(execute: Any, sql: str, params: Any, *rest: Any) -> Any:
        if sql.startswith('INSERT INTO "policies_policy"') and "not too much" in params:
            raise RuntimeError("the disk is full")
        return execute(sql, params, *rest)

    with connection.execute_wrapper(refusing), pytest.raises(RuntimeError):
        call_command("policy", "import", str(file), "--tenant", "acme", "--as", "olga")
    with tenant_scope(tenant.id):
        assert not Policy.objects.exists()
        assert not LedgerEntry.objects.filter(kind="policy.draft").exists()


def test_what_is_exported_is_imported_as_the_same(
    tenant: Tenant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.yaml"
    with tenant_scope(tenant.id):
        went("sql_query", {"query": "select custmer_id"}, ok=False)
        made = policy()
        incident = Incident.objects.get()
        Evidence.objects.create(
            policy=made, version=1, kind="origin", incident=incident, actor="system:loop"
        )
        policy("a draft", state="draft")
    done = told(capsys, "export", "--tenant", "acme", "--out", out)
    assert (done["policies"], done["tests"]) == (1, 1)
    file, problems = read(out)
    assert problems == []
    (case,) = file.policies[0].tests
    assert (case.name, case.expect) == (f"as in {incident.id}", "block")
    assert told(capsys, "test", out)["failed"] == 0
    back = told(capsys, "import", out, "--tenant", "acme", "--as", "olga")
    assert back == {"drafted": [], "known": [made.id]}
    assert told(capsys, "diff", out, "--tenant", "acme")["unchanged"] == 1


def test_a_backtest_names_what_would_have_been_stopped(
    tenant: Tenant, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tenant_scope(tenant.id):
        bad = went("book", {"cabin": "first"}, ok=False)
        good = went("book", {"cabin": "first"}, ok=True)
        closed = went("book", {}, ok=True)  # it cannot tell, and fails closed
        went("book", {"cabin": "economy"}, ok=True)
        went("pay", {}, ok=True)  # it cannot tell, and fails open
        open_ = str(ask("book", {"cabin": "first"}).decision_id)
    done = told(capsys, "backtest", file, "--tenant", "acme")
    assert (done["calls"], done["reported"]) == (6, 5)
    first, second = done["policies"]
    assert (first["failed"], first["good"], first["unknown"]) == ([bad], [closed, good], [open_])
    assert (second["failed"], second["good"], second["unknown"]) == ([], [], [])
    with pytest.raises(CommandError, match="does not hold"):
        told(capsys, "backtest", file, "--tenant", "acme", "--good-at-most", "1")


def test_a_diff_says_what_would_be_answered_otherwise(
    tenant: Tenant, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tenant_scope(tenant.id):
        policy("no first class", tool="book", condition='arguments.cabin in ["first", "business"]',
               category="custom")  # fmt: skip
        gone = policy("not in the file", tool="walk", condition="arguments.far == true")
        went("walk", {"far": False}, ok=True)
        stopped = str(ask("book", {"cabin": "business"}).decision_id)
        paid = went("pay", {"n": 9}, ok=True)
    done = told(capsys, "diff", file, "--tenant", "acme")
    assert (done["added"], done["removed"]) == (
        ["not too much"],
        [{"id": gone.id, "name": "not in the file"}],
    )
    (change,) = done["changed"]
    assert (change["name"], change["condition"]) == ("no first class", "narrower")
    turned = {each["decision"]: (each["in_force"], each["in_file"]) for each in done["turned"]}
    assert turned == {paid: ("allow", "escalate"), stopped: ("block", "allow")}
    assert done["tried"] == 3
    with pytest.raises(CommandError):
        told(capsys, "diff", file, "--tenant", "acme", "--exit-code")


def test_coverage_tells_what_is_spoken_of_and_what_never(
    tenant: Tenant, umbra: Tenant, capsys: pytest.CaptureFixture[str]
) -> None:
    with tenant_scope(umbra.id):
        ask("book", {"cabin": "first"})
    with tenant_scope(tenant.id):
        policy("hit", tool="book", condition='arguments.cabin == "first"')
        watching = policy("watching", state="shadow", tool="book", condition="has(arguments.cabin)")
        never = policy(
            "never", tool="book", condition='arguments.cabin == "first" && has(arguments.x)'
        )
        ask("book", {"cabin": "first"})
        ask("book", {"cabin": "economy"})
        ask("pay", {})
    done = told(capsys, "coverage", "--tenant", "acme")
    assert (done["calls"], done["explicit"], done["live"]) == (3, 1, 3)
    assert done["tools"] == [
        {"tool": "book", "calls": 2, "explicit": 1},
        {"tool": "pay", "calls": 1, "explicit": 0},
    ]
    assert [each["id"] for each in done["never_hit"]] == [never.id]
    assert {(each["kind"], each["policy"]) for each in done["clashes"]} >= {("redundant", never.id)}
    assert watching.id not in {each["policy"] for each in done["clashes"]}
    assert told(capsys, "coverage", "--tenant", "acme", "--tool", "pay")["calls"] == 1


def test_a_tenant_that_is_not_there_is_said(tenant: Tenant, file: Path) -> None:
    with pytest.raises(CommandError, match="no tenant 'acmee'"):
        call_command("policy", "diff", str(file), "--tenant", "acmee")


@pytest.mark.parametrize(
    ("way", "text", "status"),
    [("lint", FILE, 0), ("test", FILE, 0), ("lint", FILE.replace("arguments.n > 5", "1 > 2"), 1),
     ("test", FILE.replace("expect: block", "expect: allow"), 1), ("test", "antibody: 1\n", 1)],
)  # fmt: skip
def test_files_alone_need_no_database(
    tmp_path: Path, file: Path, way: str, text: str, status: int
) -> None:
    file.write_text(text)
    env = {name: value for name, value in os.environ.items() if not name.startswith("DATABASE_")}
    env["ANTIBODY_DATA_DIR"] = str(tmp_path / "data")
    done = subprocess.run(
        [sys.executable, "manage.py", "policy", way, str(file), "--json"],
        cwd=ROOT,
        env=env,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == status, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])
    assert not (tmp_path / "data" / "pg").exists()
