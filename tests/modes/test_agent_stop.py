"""agent_stop: every action gets kill, from the next decision on, in every process, until somebody lets go on."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from rest_framework.test import APIClient

from governance.actors import Actor
from governance.database.tenancy import leave_tenant, tenant_scope
from governance.ledger.erasure import private_of
from governance.models import Agent, LedgerEntry, Run, Settings, Tenant
from governance.modes.stopping import let_go_on, stop
from governance.refusals import Invalid
from policies.models import Prevention
from policies.services.appeals import CannotAppeal, appeal

from .. import factories
from ..factories import SCOUT
from ..policies.guarding import ask, decided, policy

Api = Callable[..., APIClient]


def entries(kind: str) -> list[dict[str, Any]]:
    """What the ledger tells of one kind, oldest first, with what people said."""
    return [
        json.loads(bytes(entry.body)) | (private_of(entry) or {})
        for entry in LedgerEntry.objects.filter(kind=kind).order_by("id")
    ]


def test_a_stopped_agent_gets_kill_and_the_others_go_on(acme: Tenant, otto: Actor) -> None:
    assert ask().verdict == "allow"
    stop(factories.agent("scout"), actor=otto, reason="It books flights to nowhere")
    record = decided()
    assert (record.verdict, record.mode, record.would_be) == ("kill", "agent_stop", "")
    assert "flights to nowhere" in record.reason
    assert ask(agent_name="ranger").verdict == "allow"


def test_a_stopped_tenant_stops_agents_that_nobody_has_seen_yet(acme: Tenant, otto: Actor) -> None:
    stop(None, actor=otto, reason="A leak")
    for name in ("scout", "ranger"):
        record = decided(agent_name=name)
        assert (record.verdict, record.mode) == ("kill", "agent_stop")
        assert "A leak" in record.reason


def test_going_on_is_one_verb_and_what_asked_meanwhile_begins_then(
    acme: Tenant, otto: Actor
) -> None:
    stop(None, actor=otto, reason="A leak")
    ask()
    assert Run.objects.get().refused
    let_go_on(None, actor=otto, reason="It was a drill")
    before = Run.objects.get().started_at
    assert ask().verdict == "allow"
    run = Run.objects.get()
    assert not run.refused
    assert run.started_at > before


def test_who_was_stopped_alone_stays_so_when_the_tenant_goes_on(acme: Tenant, otto: Actor) -> None:
    scout = factories.agent("scout")
    stop(scout, actor=otto, reason="alone")
    stop(None, actor=otto, reason="all")
    let_go_on(None, actor=otto, reason="over")
    assert ask().verdict == "kill"
    assert ask(agent_name="ranger").verdict == "allow"
    let_go_on(scout, actor=otto, reason="repaired")
    assert ask().verdict == "allow"


@pytest.mark.parametrize("name", ["scout", None])
def test_twice_is_once(acme: Tenant, otto: Actor, name: str | None) -> None:
    agent = factories.agent(name) if name else None
    assert stop(agent, actor=otto, reason="first")
    assert not stop(agent, actor=otto, reason="second")
    held = Agent.objects.get() if name else Settings.objects.get()
    assert (held.stopped_reason, held.stopped_by) == ("first", str(otto))
    assert let_go_on(agent, actor=otto, reason="over")
    assert not let_go_on(agent, actor=otto, reason="over")
    [on], [off] = entries("agent_stop.on"), entries("agent_stop.off")
    assert (on["actor"], on["reason"], on["facts"]) == (str(otto), "first", {"agent": name})
    assert (off["actor"], off["reason"]) == (str(otto), "over")


@pytest.mark.parametrize("reason", ["", "  \n", "x" * 2_001])
def test_it_is_not_done_without_a_reason(acme: Tenant, otto: Actor, reason: str) -> None:
    for turn in (stop, let_go_on):
        with pytest.raises(Invalid) as refused:
            turn(None, actor=otto, reason=reason)
        assert refused.value.extra["field"] == "reason"
    assert not LedgerEntry.objects.filter(kind__startswith="agent_stop").exists()


def test_a_stop_prevents_nothing_and_cannot_be_appealed(acme: Tenant, otto: Actor) -> None:
    policy()
    stop(None, actor=otto, reason="A leak")
    answer = ask()
    assert (answer.policies, answer.may_appeal) == ([], False)
    assert not Prevention.objects.exists()
    with pytest.raises(CannotAppeal, match="agent_stop"):
        appeal(decided(), reason="please", actor=SCOUT)


# --- From the next decision on, wherever it is asked --------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_the_next_decision_obeys_in_another_connection() -> None:
    tenant = factories.tenant("acme")
    operator = Actor("user", "1")

    def elsewhere(work: Callable[[], Any]) -> Any:
        found: list[Any] = []

        def run() -> None:
            try:
                with tenant_scope(tenant.id):
                    found.append(work())
            finally:
                connection.close()

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        return found[0]

    with tenant_scope(tenant.id):
        assert ask().verdict == "allow"
    elsewhere(lambda: stop(None, actor=operator, reason="now"))
    with tenant_scope(tenant.id):
        assert ask().verdict == "kill"
    elsewhere(lambda: let_go_on(None, actor=operator, reason="over"))
    with tenant_scope(tenant.id):
        assert ask().verdict == "allow"


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_stop_holds_in_a_process_that_has_no_redis() -> None:
    """Given another process whose Redis is a port where nobody listens."""
    tenant = factories.tenant("acme")
    with tenant_scope(tenant.id):
        stop(None, actor=Actor("user", "1"), reason="now")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]
    script = f"""
import os, django
from django.conf import settings
django.setup()
settings.DATABASES["default"]["NAME"] = {connection.settings_dict["NAME"]!r}
from governance.actors import Actor
from governance.database.tenancy import tenant_scope
from policies.services import guard
assert settings.REDIS_URL.endswith(":{closed}/0")
with tenant_scope({tenant.id!r}):
    answer = guard.decide(agent_name="scout", run_name="r", step=0, kind="tool_call", tool="t",
                          arguments={{}}, context={{}}, actor=Actor("service", "acc_x"))
print(answer.verdict)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "REDIS_URL": f"redis://127.0.0.1:{closed}/0",
            "ANTIBODY_DATA_DIR": str(settings.DATA_DIR),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["kill"]


# --- Over HTTP --------------------------------------------------------------------------------------------------


def test_an_operator_stops_an_agent_by_its_name(acme: Tenant, api: Api) -> None:
    factories.agent("scout")
    client = api(factories.person_token(acme, factories.member(acme, "otto", "operator")))
    leave_tenant()
    body = {"agent_id": "scout", "on": True, "reason": "now"}
    first, again = (client.post("/api/v1/ops/agent-stop", body) for _ in range(2))
    assert first.status_code == again.status_code == 200
    assert first.json() | {"since": None} == {
        "agent_id": "scout",
        "on": True,
        "changed": True,
        "reason": "now",
        "since": None,
    }
    assert again.json() == first.json() | {"changed": False}
    with tenant_scope(acme.id):
        assert ask().verdict == "kill"
    over = client.post("/api/v1/ops/agent-stop", {**body, "on": False, "reason": "over"})
    assert (over.json()["on"], over.json()["changed"]) == (False, True)
    with tenant_scope(acme.id):
        assert ask().verdict == "allow"


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"on": True, "reason": "x"}, 400, "agent_id"),
        ({"agent_id": None, "on": True}, 400, "reason"),
        ({"agent_id": None, "on": True, "reason": " "}, 400, "reason"),
        ({"agent_id": None, "reason": "x"}, 400, "on"),
        ({"agent_id": "scuot", "on": True, "reason": "x"}, 404, ""),
    ],
)
def test_a_stop_that_says_too_little_or_names_nobody_is_refused(
    acme: Tenant, api: Api, body: dict[str, Any], status: int, field: str
) -> None:
    factories.agent("scout")
    client = api(factories.person_token(acme, factories.member(acme, "otto", "operator")))
    leave_tenant()
    answer = client.post("/api/v1/ops/agent-stop", body)
    assert answer.status_code == status
    assert field in str(answer.json())
    with tenant_scope(acme.id):
        assert not Agent.objects.filter(stopped=True).exists()
        assert not Settings.objects.get().stopped


@pytest.mark.parametrize("who", ["agent", "viewer", "reviewer"])
def test_who_is_no_operator_stops_nobody(acme: Tenant, api: Api, who: str) -> None:
    token = (
        factories.agent_token(acme)
        if who == "agent"
        else factories.person_token(acme, factories.member(acme, "vera", who))
    )
    leave_tenant()
    body = {"agent_id": None, "on": True, "reason": "x"}
    assert api(token).post("/api/v1/ops/agent-stop", body).status_code == 403
    with tenant_scope(acme.id):
        assert not Settings.objects.get().stopped


def test_another_tenant_neither_sees_nor_does_anything(
    acme: Tenant, umbra: Tenant, otto: Actor, api: Api
) -> None:
    stop(factories.agent("scout"), actor=otto, reason="the secret of acme")
    stop(None, actor=otto, reason="the secret of acme")
    leave_tenant()
    olaf = factories.member(umbra, "olaf", "admin")
    client = api(factories.person_token(umbra, olaf))
    state = client.get("/api/v1/ops/state")
    assert "acme" not in state.content.decode()
    assert state.json()["state"] == "READY"
    body = {"agent_id": "scout", "on": False, "reason": "x"}
    assert client.post("/api/v1/ops/agent-stop", body).status_code == 404
    client.post("/api/v1/ops/agent-stop", {**body, "agent_id": None})
    with tenant_scope(umbra.id):
        assert ask().verdict == "allow"
    with tenant_scope(acme.id):
        assert ask().verdict == "kill"
        assert Agent.objects.get(name="scout").stopped
