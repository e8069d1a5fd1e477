"""Every check of readiness is broken for real, and then says so by its name; nothing is decided meanwhile."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cel_expr_python import cel
from django.conf import settings as the_settings
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from config import secrets
from config.checks import CHECKS, database, product
from governance import heartbeats, readiness
from governance.database.tenancy import tenant_scope
from governance.ledger import leaves
from governance.ledger.sequencer import number_entries
from governance.loop import bridges as loop_bridges
from governance.models import LedgerEntry, LedgerNote, Run, Tenant
from governance.readiness import Check, Mark
from governance.signing.notes import origin_of
from governance.signing.signer import Question, Signer, make_key
from policies import conditions
from policies.models import Decision, Policy
from policies.services import policy_set
from tests import factories

from .breaking import become, become_superuser, execute, superuser

QUESTION = {
    "agent_id": "scout",
    "run_id": "run-1",
    "action": {"kind": "tool_call", "tool": "sql_query", "arguments": {}},
}
# Broken on a server of its own, in tests/failmodes/test_deploying.py.
ELSEWHERE = {"fsync"}


class Place:
    """A sound product in a transaction of a superuser's, with a tenant and an agent's token."""

    def __init__(self, patch: pytest.MonkeyPatch, settings: Any, folder: Path) -> None:
        self.patch, self.settings, self.folder = patch, settings, folder
        self.login = "antibody_app"
        self.tenant: Tenant = factories.tenant("acme")
        self.token = factories.agent_token(self.tenant)
        heartbeats.note(heartbeats.SWEEPER, 30)
        settings.LEDGER_DIR = folder / "ledger"

    def module(self, name: str, text: str) -> str:
        """A module of a deployment's own, which its settings may name."""
        (self.folder / f"{name}.py").write_text(text)
        self.patch.syspath_prepend(str(self.folder))
        self.patch.delitem(sys.modules, name, raising=False)
        return name


@pytest.fixture
def place(
    django_db_setup: None,
    django_db_blocker: Any,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    tmp_path: Path,
) -> Iterator[Place]:
    caches = (loop_bridges.bridges, loop_bridges.decisions, product.conditions)
    for cache in caches:
        cache.cache_clear()
    product._sound.clear()
    monkeypatch.setattr(secrets, "_given", dict(secrets.given()))
    with django_db_blocker.unblock(), superuser():
        made = Place(monkeypatch, settings, tmp_path)
        execute("SET CONSTRAINTS ALL IMMEDIATE")
        yield made
    monkeypatch.undo()
    for cache in caches:
        cache.cache_clear()
    product._sound.clear()


def sql(*statements: str) -> Callable[[Place], None]:
    return lambda place: execute(*statements)


def setting(name: str, value: Any) -> Callable[[Place], None]:
    return lambda place: setattr(place.settings, name, value)


def loop(change: str) -> Callable[[Place], None]:
    def broken(place: Place) -> None:
        text = f"from config.loop import *\n{change}\n"
        place.settings.ANTIBODY_LOOP = place.module("a_loop_of_ours", text)

    return broken


def without_gate(place: Place) -> None:
    text = (
        "from config.urls import *\n"
        "urlpatterns = [path('api/v1/guard/decisions', guard.DecisionsView.as_view()), *urlpatterns]\n"
    )
    place.settings.ROOT_URLCONF = place.module("urls_of_ours", text)


def without_the_guard(place: Place) -> None:
    text = "from config.urls import *\nurlpatterns = urlpatterns[-3:]\n"
    place.settings.ROOT_URLCONF = place.module("fewer_urls_of_ours", text)


def secret(change: Callable[[Path], object]) -> Callable[[Place], None]:
    def broken(place: Place) -> None:
        secrets.kept_secret(place.folder, "signing")
        change(place.folder / "secrets" / "signing")

    return broken


def a_broken_condition(place: Place) -> None:
    with tenant_scope(place.tenant.id):
        odd = Policy.objects.create(name="odd", state="active", condition="action.tool ==")
        policy_set.bump([odd])


def the_whole_language(place: Place) -> None:
    uncut = cel.NewEnv(variables=conditions.VARIABLES)
    place.patch.setattr(conditions, "_ENVIRONMENT", uncut)


def an_old_entry(place: Place) -> None:
    """One that nobody has given a number for a minute."""
    with tenant_scope(place.tenant.id):
        LedgerEntry.objects.create(
            kind="k",
            subject="s",
            actor="a",
            body=b"{}",
            hash=b"",
            created_at=datetime.now(UTC) - timedelta(minutes=1),
        )


def signed(place: Place) -> None:
    """What the tenant's ledger holds is under a note, also outside the database."""
    number_entries()
    with tenant_scope(place.tenant.id):
        size = leaves.size()
        root, hashes = leaves.root(size), b"".join(leaves.leaf_hashes(0, size))
    signer = Signer(place.settings.LEDGER_DIR, make_key(place.settings.LEDGER_DIR))
    note = signer.answer(Question(origin_of(place.tenant.id), size, root, 0, hashes))["note"]
    with tenant_scope(place.tenant.id):
        LedgerNote.objects.create(size=size, root=root, note=note)


def nobody_signs(place: Place) -> None:
    signed(place)
    an_old_entry(place)
    number_entries()


def another_key(place: Place) -> None:
    signed(place)
    (place.settings.LEDGER_DIR / "key").unlink()
    make_key(place.settings.LEDGER_DIR)


def no_key(place: Place) -> None:
    signed(place)
    (place.settings.LEDGER_DIR / "public_key").unlink()


def another_login(login: str) -> Callable[[Place], None]:
    return lambda place: setattr(place, "login", login)


def nobody_answers(place: Place) -> None:
    """The connection is lost and there is no other; what the transaction did is gone with it."""
    assert connection.connection is not None
    connection.connection.close()


def clocks_apart(place: Place) -> None:
    real = time.time
    place.patch.setattr(time, "time", lambda: real() + 60)


def a_newer_server_is_needed(place: Place) -> None:
    place.patch.setattr(database, "OLDEST_MAJOR", 99)


BREAKS: list[tuple[str, Callable[[Place], None]]] = [
    ("debug", setting("DEBUG", True)),
    ("secret_key", setting("SECRET_KEY", "django-insecure-" + "0123456789" * 5)),
    ("secret_key", setting("SECRET_KEY", "ab" * 40)),
    ("secret_key", setting("SECRET_KEY", "short")),
    ("allowed_hosts", setting("ALLOWED_HOSTS", ["*", "testserver"])),
    ("secrets", secret(lambda file: file.chmod(0o644))),
    ("secrets", secret(lambda file: file.parent.chmod(0o755))),
    ("secrets", secret(lambda file: file.unlink())),
    ("secrets", secret(lambda file: file.write_text(""))),
    ("secrets", secret(lambda file: file.write_text("another"))),
    ("database", nobody_answers),
    ("version", a_newer_server_is_needed),
    ("role", another_login("antibody_owner")),
    ("role", sql("ALTER ROLE antibody_app BYPASSRLS")),
    ("rights", sql("GRANT antibody_owner TO antibody_app")),
    ("rights", sql("ALTER TABLE incidents_incident OWNER TO antibody_app")),
    (
        "migrations",
        sql("DELETE FROM django_migrations WHERE app = 'governance' AND name ~ '^0002'"),
    ),
    (
        "migrations",
        sql(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('governance', '9999_x', now())"
        ),
    ),
    ("writable", sql("SET LOCAL default_transaction_read_only = on")),
    ("synchronous_commit", sql("SET LOCAL synchronous_commit = off")),
    ("clock", clocks_apart),
    ("rls", sql("ALTER TABLE incidents_incident NO FORCE ROW LEVEL SECURITY")),
    ("rls", sql("ALTER TABLE incidents_incident DISABLE ROW LEVEL SECURITY")),
    ("rls", sql("DROP POLICY tenant_rows ON incidents_incident")),
    ("rls", sql("CREATE POLICY leak ON incidents_incident USING (true)")),
    ("rls", sql("CREATE POLICY leak ON incidents_incident TO antibody_app USING (true)")),
    ("rls", sql("ALTER POLICY tenant_rows ON incidents_incident USING (true)")),
    (
        "composite_keys",
        sql("ALTER TABLE catalog_patternmatch DROP CONSTRAINT catalog_patternmatch_pattern_id_fk"),
    ),
    ("triggers", sql("DROP TRIGGER append_only ON governance_ledgerentry")),
    ("triggers", sql("ALTER TABLE governance_ledgerentry DISABLE TRIGGER append_only")),
    ("triggers", sql("ALTER TABLE governance_ledgerentry ENABLE TRIGGER append_only")),
    ("rights", sql("GRANT UPDATE ON governance_ledgerentry TO antibody_app")),
    ("functions", sql("DROP FUNCTION antibody_next_due()")),
    ("functions", sql("ALTER FUNCTION antibody_next_due() OWNER TO antibody_owner")),
    ("functions", sql("ALTER FUNCTION antibody_next_due() SECURITY INVOKER")),
    ("functions", sql("ALTER FUNCTION antibody_next_due() RESET ALL")),
    ("functions", sql("GRANT EXECUTE ON FUNCTION antibody_next_due() TO PUBLIC")),
    ("functions", sql("REVOKE EXECUTE ON FUNCTION antibody_next_due() FROM antibody_app")),
    ("rights", sql("ALTER ROLE antibody_system LOGIN")),
    ("grants", sql("REVOKE SELECT ON policies_policy FROM antibody_app")),
    ("grants", sql("REVOKE INSERT ON policies_decision FROM antibody_app")),
    ("ledger_append", sql("ALTER TABLE governance_ledgerentry ADD CHECK (false) NOT VALID")),
    ("ledger_append", sql("ALTER TABLE governance_ledgerpayload ADD CHECK (false) NOT VALID")),
    ("ledger_key", another_key),
    ("ledger_key", no_key),
    ("ledger_checkpoint", an_old_entry),
    ("ledger_checkpoint", nobody_signs),
    ("bridges", loop("BRIDGES = BRIDGES[:-1]")),
    ("bridges", loop("BRIDGES = BRIDGES[::-1]")),
    ("hooks", loop("DECISIONS = {}")),
    ("hooks", loop("RECORDS = {**RECORDS, 'policy': None}")),
    ("hooks", loop("del GRADUATION")),
    ("spine", without_gate),
    ("spine", without_the_guard),
    ("conditions", the_whole_language),
    ("policies", a_broken_condition),
    ("sweeper", sql("DELETE FROM governance_heartbeat")),
    (
        "sweeper",
        sql("UPDATE governance_heartbeat SET promised_until = now() - interval '1 second'"),
    ),
]


def test_a_sound_product_passes_every_check(place: Place) -> None:
    become(place.login)
    standing = readiness.look()
    wrong = {
        name: str(found)
        for name, found in standing.findings.items()
        if found.mark not in (Mark.OK, Mark.WARNING)
    }
    assert wrong == {}
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("name", "broken"), BREAKS, ids=[f"{n}-{place}" for place, (n, _) in enumerate(BREAKS)]
)
def test_what_is_broken_is_named_and_nothing_is_decided(
    place: Place, name: str, broken: Callable[[Place], None]
) -> None:
    broken(place)
    if name != "database":
        become(place.login)
    standing = readiness.look()
    assert (standing.failing, standing.findings[name].mark) == (name, Mark.FAILING)

    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["failing"] == name
    assert answer.json()["checks"][name] == standing.text

    if name == "spine":
        return  # where there is no gate nothing can hold it
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {place.token}")
    for route in ("decisions", "simulate"):
        refused = client.post(f"/api/v1/guard/{route}", QUESTION, format="json")
        problem = refused.json()
        assert (refused.status_code, problem["code"]) == (503, "governance_unavailable")
        assert (problem["check"], problem["verdict"], problem["retryable"]) == (name, "block", True)
        assert standing.text in problem["detail"]
        assert refused.headers["Retry-After"] == "1"
    if name == "database":
        return
    become_superuser()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM policies_decision) + (SELECT count(*) FROM governance_run)"
        )
        assert cursor.fetchone() == (0,)


def test_every_check_is_broken_somewhere() -> None:
    broken = {name for name, _ in BREAKS} | ELSEWHERE
    assert {check.name for check in CHECKS if not check.is_warning} == broken


# --- What a process knows


def checks(*asked: tuple[str, Callable[[], str | None]], **options: Any) -> list[Check]:
    return [Check(name, ask, needs_database=False, **options) for name, ask in asked]


def test_a_warning_makes_nothing_unready() -> None:
    found = readiness.examine(checks(("broker", lambda: "away"), is_warning=True))
    standing = readiness.remember(found)
    assert (standing.is_ready, standing.warnings) == (True, ["broker"])
    assert str(standing.findings["broker"]) == "warning: away"


def test_a_check_that_breaks_fails_and_its_text_is_not_told() -> None:
    def breaks() -> None:
        raise RuntimeError("password=hunter2")

    found = readiness.examine(checks(("odd", breaks)))["odd"]
    assert found.mark is Mark.FAILING
    assert "RuntimeError" in found.text
    assert "hunter2" not in found.text


def test_since_is_when_it_was_first_seen_so() -> None:
    wrong = checks(("odd", lambda: "wrong"))
    first = readiness.remember(readiness.examine(wrong))
    again = readiness.remember(readiness.examine(wrong))
    well = readiness.remember(readiness.examine(checks(("odd", lambda: None))))
    assert first.since == again.since
    assert well.since > again.since


def test_what_was_last_seen_too_long_ago_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[bool] = []
    monkeypatch.setattr(readiness._watch, "begin", lambda: begun.append(True))
    readiness.remember(readiness.examine(checks(("odd", lambda: None))))
    assert readiness.standing().is_ready
    real = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + readiness.STALE_SECONDS + 1)
    standing = readiness.standing()
    assert (standing.is_ready, standing.failing) == (False, "readiness")
    assert begun  # somebody looks again
    assert Client().get("/readyz").status_code == 503


def test_pages_stay_readable_while_a_check_fails(client: Client, acme: Tenant) -> None:
    readiness.remember(readiness.examine(checks(("odd", lambda: "wrong"))))
    client.force_login(factories.member(acme, "rita", "reviewer"))
    assert client.get("/console/").status_code == 200
    assert client.get("/admin/").status_code == 200


def test_what_happened_is_taken_while_a_check_fails(
    acme: Tenant, api: Callable[..., APIClient]
) -> None:
    client = api(factories.agent_token(acme))
    decided = client.post("/api/v1/guard/decisions", QUESTION)
    readiness.remember(readiness.examine(checks(("odd", lambda: "wrong"))))
    assert client.post("/api/v1/guard/decisions", QUESTION).status_code == 503
    outcome = {"decision_id": decided.json()["decision_id"], "ok": True}
    assert client.post("/api/v1/guard/outcomes", outcome).status_code == 200
    incident = {"agent_id": "scout", "error_type": "ValueError", "message": "no such column"}
    assert client.post("/api/v1/incidents", incident).status_code == 202
    assert client.get("/api/v1/guard/decisions").status_code == 200


def test_no_run_begins_while_a_check_fails(acme: Tenant, api: Callable[..., APIClient]) -> None:
    readiness.remember(readiness.examine(checks(("odd", lambda: "wrong"))))
    client = api(factories.agent_token(acme))
    assert client.post("/api/v1/guard/decisions", QUESTION).json()["check"] == "odd"
    assert (Run.objects.count(), Decision.objects.count()) == (0, 0)


def test_preflight_is_named_in_the_settings() -> None:
    assert readiness.checks() == CHECKS
    assert the_settings.ANTIBODY_CHECKS == "config.checks"
