"""Planted secrets travel through the product, well and broken, and come out of it nowhere that they should not."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from celery import Celery, current_app
from django.contrib import admin
from django.core.management import call_command
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from config.doors import doors
from governance.database.tenancy import tenant_scope
from governance.loop.run import run_ready
from governance.models import LedgerEntry, LedgerPayload, LoopStep, Tenant
from governance.screens.admin_base import RecordAdmin
from tests import factories
from tests.recovery.cast import say, server

from .planted import IN_ARGUMENTS, IN_CONTEXT, IN_MESSAGES, IN_NAMES, OF_OURS, core, leaked

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
Api = Callable[..., APIClient]
WITHIN_SECONDS = 20.0
# Of each kind of record so many pages: a list shows all of them. Of incidents one for each shape of a secret.
FEW, ALL = 2, len(IN_MESSAGES)


@dataclass
class Cast:
    """A tenant, whoever looks at it, and all that they were told."""

    tenant: Tenant
    scout: APIClient
    boss: APIClient
    page: Client
    heard: dict[str, str] = field(default_factory=dict)

    def hear(self, where: str, answer: Any) -> Any:
        self.heard[where] = answer.getvalue().decode()
        return answer

    def ask(self, **said: Any) -> Any:
        question = {
            "agent_id": "scout",
            "run_id": "r",
            "step": 1,
            "action": {"kind": "tool_call", "tool": "http_get", "arguments": IN_ARGUMENTS},
            "context": IN_CONTEXT,
            **said,
        }
        return self.hear("decide", self.scout.post("/api/v1/guard/decisions", question))

    def report(self, number: int, **said: Any) -> Any:
        body = {
            "agent_id": "scout", "error_type": IN_NAMES[number], "tool": "http_get", "message": IN_MESSAGES[number],
            "arguments": IN_ARGUMENTS, "context": IN_CONTEXT, "source": IN_NAMES[number], "source_key": IN_NAMES[number],
        }  # fmt: skip
        answer = self.scout.post("/api/v1/incidents", {**body, **said})
        for _ in range(4):  # a busy machine may be late, and then says that it should be sent again
            if answer.status_code == 503:
                answer = self.scout.post("/api/v1/incidents", {**body, **said})
        return self.hear(f"report {number}", answer)

    def fail(self) -> None:
        """A decision and its failure, twenty reports, and mistakes of every kind."""
        decision = self.ask().json()["decision_id"]
        outcome = {
            "decision_id": decision,
            "ok": False,
            "error": {"type": IN_NAMES[1], "message": IN_MESSAGES[3]},
        }
        self.hear("outcome", self.scout.post("/api/v1/guard/outcomes", outcome))
        for number in range(len(IN_MESSAGES)):
            assert self.report(number).status_code == 202
        for text in [*IN_MESSAGES, *IN_ARGUMENTS.values()]:
            self.hear(f"refused {text}", self.scout.post("/api/v1/incidents", {"severity": text}))
            self.hear(f"nobody {text}", APIClient().get("/", headers={"Authorization": text}))
        run_ready()

    def look(self) -> None:
        """Every list and detail of the API, every page of the console, every list, record and question of the admin."""
        for door in doors():
            if door.method == "GET" and "{" not in door.address and "webhook-secret" not in door.address:  # fmt: skip
                self._look_at(door.address, is_api=door.kind == "API")
        with tenant_scope(self.tenant.id):
            pages = [
                (model, each)
                for model, each in admin.site._registry.items()
                if isinstance(each, RecordAdmin)
            ]
            for model, of_model in pages:
                base = f"/admin/{model._meta.app_label}/{model._meta.model_name}"
                for key in model._default_manager.values_list("pk", flat=True)[:FEW]:
                    page = f"{base}/{key}/change/"
                    self.hear(page, self.page.get(page, follow=True))
                    for verb in of_model.verbs:
                        where = f"{base}/{key}/do/{verb.name}/"
                        self.hear(where, self.page.get(where))

    def _look_at(self, address: str, *, is_api: bool) -> None:
        if "stream" in address:
            return
        answer = self.hear(
            address, (self.boss if is_api else self.page).get(address, {"limit": 200})
        )
        is_list = "json" in answer.headers["Content-Type"] and not answer.streaming
        if not (is_api and answer.status_code == 200 and is_list):
            return
        most = ALL if address.endswith("/incidents") else FEW
        for each in answer.json().get("results", [])[:most]:
            where = f"{address}/{each['id']}"
            assert self.hear(where, self.boss.get(where)).status_code == 200, where
            if address.endswith("/incidents"):
                for more in ("loop", "timeline"):
                    path = f"/api/v1/integration/{more}/{each['id']}"
                    assert self.hear(path, self.boss.get(path)).status_code == 200
                page = f"/console/stories/{each['id']}"
                assert self.hear(page, self.page.get(page)).status_code == 200
            if address.endswith("/checkpoints"):
                page = f"/console/checkpoints/{each['id']}"
                assert self.hear(page, self.page.get(page)).status_code == 200

    def read_the_ledger(self, out: Path) -> None:
        """Entries, what was said in private, and an export read back."""
        with tenant_scope(self.tenant.id):
            bodies = [bytes(entry.body).decode() for entry in LedgerEntry.objects.all()]
            private = [bytes(said.payload).decode() for said in LedgerPayload.objects.all()]
        assert len(bodies) > 20
        self.heard["ledger"] = "\n".join([*bodies, *private])
        call_command("export_ledger", "--tenant", "acme", "--out", str(out), "--with-payloads", stdout=io.StringIO())  # fmt: skip
        self.heard["export"] = out.read_text()
        assert len(self.heard["export"]) > 100

    def leaks(self) -> list[str]:
        return [f"{where}: {each}" for where, said in self.heard.items() for each in leaked(said)]


@pytest.fixture
def cast(api: Api) -> Cast:
    acme = factories.tenant("acme", llm_recoveries=True, confirmations=1)
    boss = factories.member(acme, "boss", "admin")
    page = Client()
    page.force_login(boss)
    return Cast(
        acme, api(factories.agent_token(acme)), api(factories.person_token(acme, boss)), page
    )


def test_eighty_planted_secrets_come_out_nowhere(
    cast: Cast, log: io.StringIO, tmp_path: Path
) -> None:
    cast.fail()
    cast.look()
    cast.read_the_ledger(tmp_path / "ledger.jsonl")
    assert len(cast.heard) > 200
    assert not cast.leaks()
    assert leaked(log.getvalue()) == []
    # And the guard still judges by what was really sent.
    with tenant_scope(cast.tenant.id), connection.cursor() as cursor:
        cursor.execute("SELECT arguments::text FROM policies_decision")
        assert core(20) in cursor.fetchone()[0]


def test_no_rule_remembers_one(cast: Cast, log: io.StringIO, tmp_path: Path) -> None:
    """From the failure to an active policy: what it blocks is told by the arguments that are no secrets."""
    arguments = {
        "page": "nowhere",
        "note": IN_MESSAGES[5],
        "deep": {"token": core(25)},
        **IN_ARGUMENTS,
    }
    action = {"kind": "tool_call", "tool": "http_get", "arguments": arguments}
    for _ in range(3):
        decision = cast.ask(action=action).json()["decision_id"]
        error = {"type": "Gone", "message": IN_MESSAGES[6]}
        outcome = {"decision_id": decision, "ok": False, "error": error}
        cast.hear("outcome", cast.scout.post("/api/v1/guard/outcomes", outcome))
        run_ready()
        _approve_all(cast)
    policies = cast.boss.get("/api/v1/policies").json()["results"]
    assert policies, "none was drafted, so nothing was shown"
    assert all("nowhere" in each["condition"] for each in policies)
    cast.look()
    cast.read_the_ledger(tmp_path / "ledger.jsonl")
    assert not cast.leaks()
    assert leaked(log.getvalue()) == []


@pytest.mark.parametrize("says", ["echoes", "fails", "junk"])
def test_none_comes_back_from_a_language_model(
    cast: Cast, log: io.StringIO, settings: Any, says: str
) -> None:
    settings.LLM_MODEL, settings.LLM_API_KEY = "small", OF_OURS

    def answer(handler: Any, body: bytes) -> None:
        told = body + str(handler.headers).encode() + "\n".join(IN_MESSAGES).encode()
        if says == "fails":
            say(handler, 500, told)
        elif says == "junk":
            say(handler, 200, told)
        else:
            params = {"check": f"Mind {IN_MESSAGES[11]}", "tool": "http_get", "arguments": None}
            content = {
                "rationale": "\n".join(IN_MESSAGES),
                "action": {"kind": "pre_check", "params": params},
            }
            message = {"role": "assistant", "content": json.dumps(content)}
            say(handler, 200, json.dumps({"choices": [{"message": message}]}).encode())

    with server(answer) as (url, got):
        settings.LLM_URL = f"{url}/v1"
        cast.fail()
    assert got, "it was never asked"
    assert leaked(b"".join(each["body"] for each in got).decode()) == []
    cast.look()
    assert not cast.leaks()
    assert leaked(log.getvalue()) == []


@pytest.mark.parametrize("status", [200, 404, 500])
def test_none_comes_back_from_a_webhooks_receiver(
    cast: Cast, log: io.StringIO, settings: Any, status: int
) -> None:
    settings.WEBHOOK_PRIVATE_ADDRESSES = True
    cast.fail()
    pattern = cast.boss.get("/api/v1/patterns").json()["results"][0]["id"]

    def answer(handler: Any, body: bytes) -> None:
        say(handler, status, body + "\n".join(IN_MESSAGES).encode())

    with server(answer) as (url, got):
        template = {
            "pattern_id": pattern, "name": "Tell them", "kind": "webhook", "declared_confidence": 0.7,
            "params": {"url": f"{url}/hook", "event": "failure.known"},
        }  # fmt: skip
        assert cast.boss.post("/api/v1/recovery-templates", template).status_code == 201
        for number in range(len(IN_MESSAGES)):
            cast.report(number, source="again")
        run_ready()
        _approve_all(cast)
        run_ready()
        assert got, "it was never called"
        assert leaked(b"".join(each["body"] for each in got).decode()) == []
    cast.look()
    assert not cast.leaks()
    assert leaked(log.getvalue()) == []


@pytest.mark.parametrize("code", ["58030", "XX000", "23514", "22000"])
def test_none_is_told_when_the_database_fails_in_the_middle(
    cast: Cast, log: io.StringIO, code: str
) -> None:
    """PostgreSQL quotes the row that it would not take: as its disk fails, as a constraint is not kept."""
    fails = f"RAISE EXCEPTION 'cannot write %', to_jsonb(NEW) USING ERRCODE = '{code}', DETAIL = NEW::text"
    with _as_owner() as owner:
        owner.execute(
            f"CREATE FUNCTION it_fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {fails}; END $$"
        )
        for table in ("policies_decision", "incidents_incident"):
            owner.execute(f"CREATE TRIGGER it_fails BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION it_fails()")  # fmt: skip
    cast.scout.raise_request_exception = False
    try:
        answers = [cast.ask(), *(cast.report(number) for number in range(len(IN_MESSAGES)))]
    finally:
        with _as_owner() as owner:
            owner.execute("DROP FUNCTION it_fails CASCADE")
    assert all(answer.status_code >= 400 for answer in answers)
    assert not cast.leaks()
    assert "cannot write" in log.getvalue() or code == "22000"
    assert leaked(log.getvalue()) == []


def test_no_message_to_the_broker_holds_one(cast: Cast, log: io.StringIO, settings: Any) -> None:
    settings.REDIS_URL = "redis://elsewhere"  # what is sent stays in this process's own broker
    cast.fail()
    messages: list[str] = []
    with current_app.connection_for_read() as broker:
        waiting = broker.SimpleQueue(current_app.conf.task_default_queue)
        while len(messages) < len(IN_MESSAGES):
            message = waiting.get(timeout=WITHIN_SECONDS)
            message.ack()
            messages.append(f"{message.body!r} {message.headers} {message.properties}")
    assert leaked("\n".join(messages)) == []
    assert leaked(log.getvalue()) == []


def test_a_broker_that_fails_is_logged_without_its_password(
    cast: Cast, log: io.StringIO, settings: Any
) -> None:
    settings.REDIS_URL = "redis://elsewhere"
    with _broken_broker():
        cast.fail()
        ends = time.monotonic() + WITHIN_SECONDS
        while "the broker took no hint" not in log.getvalue():
            assert time.monotonic() < ends, log.getvalue()[-2_000:]
            time.sleep(0.05)
    assert not cast.leaks()
    assert leaked(log.getvalue()) == []


def _approve_all(cast: Cast) -> None:
    for each in cast.boss.get("/api/v1/checkpoints", {"state": "pending"}).json()["results"]:
        path = f"/api/v1/checkpoints/{each['id']}/approve"
        assert cast.boss.post(path, {"digest": each["digest"]}).status_code == 200
    with tenant_scope(cast.tenant.id):
        LoopStep.objects.filter(state="ready").update(available_at="2020-01-01T00:00:00Z")
    run_ready()


@contextmanager
def _broken_broker() -> Iterator[None]:
    """Celery's application of this process sends to a port where nobody listens, with a password."""
    working = current_app._get_current_object()
    broken = Celery("broken", broker=f"redis://user:{OF_OURS}@127.0.0.1:1/0", set_as_current=False)
    broken.conf.broker_connection_timeout = 1
    broken.set_default()
    try:
        yield
    finally:
        working.set_default()


@contextmanager
def _as_owner() -> Iterator[psycopg.Connection[Any]]:
    login = {**connection.settings_dict, **connection.settings_dict["OWNER"]}
    with psycopg.connect(
        host=login["HOST"], port=login["PORT"], user=login["USER"], password=login["PASSWORD"], dbname=login["NAME"]
    ) as owner:  # fmt: skip
        yield owner
