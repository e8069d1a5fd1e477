"""A POST under an Idempotency-Key: once in effect, never waited for, and forgotten when it failed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from governance import checkpoints
from governance.access.requests import REMEMBERED, forget_old
from governance.actors import LOOP
from governance.database.tenancy import tenant_scope
from governance.models import Checkpoint, IdempotentRequest, Tenant
from incidents.models import Incident
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)
Api = Callable[..., APIClient]
REPORT = {"agent_id": "scout", "error_type": "TimeoutError", "message": "no answer"}
KEY = {"Idempotency-Key": "k1"}
PATIENCE_SECONDS = 20


@pytest.fixture
def tenant() -> Tenant:
    return factories.tenant("acme")


@pytest.fixture
def scout(tenant: Tenant, api: Api) -> APIClient:
    return api(factories.agent_token(tenant))


def asked(tenant: Tenant) -> Checkpoint:
    with tenant_scope(tenant.id):
        return checkpoints.ask(
            "simulate_routing", subject="x", title="?", shown={}, requested_by=LOOP
        )


@contextmanager
def held(checkpoint: Checkpoint) -> Iterator[None]:
    """Somebody else's transaction holds the checkpoint's row, so that who decides it must wait."""
    settings = connection.settings_dict
    with psycopg.connect(
        host=settings["HOST"],
        port=settings["PORT"],
        user=settings["USER"],
        password=settings["PASSWORD"],
        dbname=settings["NAME"],
    ) as other:
        other.execute("SELECT set_config('app.tenant', %s, true)", (checkpoint.tenant_id,))
        other.execute(
            "SELECT FROM governance_checkpoint WHERE id = %s FOR UPDATE", (checkpoint.pk,)
        )
        yield


def somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND datname = current_database()"
        )
        return bool(cursor.fetchone()[0])


def wait_until(condition: Callable[[], bool]) -> None:
    latest = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < latest, "it never came true"
        time.sleep(0.01)


class Caller(threading.Thread):
    """Somebody who sends a request of his own and keeps the answer."""

    def __init__(self, send: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self.send, self.answer = send, None
        self.start()

    def run(self) -> None:
        try:
            self.answer = self.send()
        finally:
            connections.close_all()

    def said(self) -> Any:
        self.join(PATIENCE_SECONDS)
        return self.answer


def test_while_the_first_is_in_progress_the_second_is_told_so_at_once(
    tenant: Tenant, api: Api
) -> None:
    rita = factories.person_token(tenant, factories.member(tenant, "rita", "reviewer"))
    checkpoint = asked(tenant)
    path, body = f"/api/v1/checkpoints/{checkpoint.pk}/approve", {"digest": checkpoint.digest}

    with held(checkpoint):
        first = Caller(lambda: api(rita).post(path, body, headers=KEY))
        wait_until(somebody_waits)
        second = api(rita).post(path, body, headers=KEY)
        assert second.status_code == 409
        assert second.json()["code"] == "idempotency_key_in_progress"
        assert int(second.headers["Retry-After"]) >= 1
        # Another key is another request; it waits for the row, as it should, and is not tried here.
    assert first.said().status_code == 200

    third = api(rita).post(path, body, headers=KEY)
    assert (third.status_code, third.json()) == (200, first.said().json())
    assert third.headers["Idempotent-Replayed"] == "true"


def test_of_many_at_once_exactly_one_takes_effect(tenant: Tenant, api: Api) -> None:
    token = factories.agent_token(tenant)
    callers = [
        Caller(lambda: api(token).post("/api/v1/incidents", REPORT, headers=KEY)) for _ in range(8)
    ]
    answers = [caller.said() for caller in callers]
    assert {answer.status_code for answer in answers} <= {202, 409}
    ids = {answer.json()["id"] for answer in answers if answer.status_code == 202}
    assert len(ids) == 1
    with tenant_scope(tenant.id):
        assert Incident.objects.count() == 1


def test_the_order_of_keys_says_nothing_and_a_value_everything(scout: APIClient) -> None:
    first = scout.post("/api/v1/incidents", REPORT, headers=KEY)
    turned = dict(reversed(REPORT.items()))
    assert scout.post("/api/v1/incidents", turned, headers=KEY).json() == first.json()
    other = {**REPORT, "context": {"a": 1}}
    assert scout.post("/api/v1/incidents", other, headers=KEY).status_code == 422


@pytest.mark.parametrize(
    ("one", "another"), [(1, True), (1, 1.0), (0, False), ("1", 1), (None, "null"), ([1], [1, 1])]
)
def test_values_that_python_calls_equal_are_other_bodies(
    scout: APIClient, one: Any, another: Any
) -> None:
    scout.post("/api/v1/incidents", {**REPORT, "context": {"a": one}}, headers=KEY)
    answer = scout.post("/api/v1/incidents", {**REPORT, "context": {"a": another}}, headers=KEY)
    assert answer.status_code == 422


def test_a_key_is_its_callers_own(tenant: Tenant, api: Api, scout: APIClient) -> None:
    another = api(factories.agent_token(tenant, "beagle"))
    umbra = api(factories.agent_token(factories.tenant("umbra")))
    answers = [
        each.post("/api/v1/incidents", REPORT, headers=KEY) for each in (scout, another, umbra)
    ]
    assert len({answer.json()["id"] for answer in answers}) == 3


def test_a_post_without_a_key_costs_no_statement(scout: APIClient) -> None:
    scout.post("/api/v1/incidents", REPORT)
    with CaptureQueriesContext(connection) as without:
        scout.post("/api/v1/incidents", {**REPORT, "message": "a"})
    with CaptureQueriesContext(connection) as with_one:
        scout.post("/api/v1/incidents", {**REPORT, "message": "b"}, headers=KEY)
    assert not any("idempotentrequest" in query["sql"] for query in without)
    assert len(with_one) - len(without) == 2  # remembered before the effect, answered after it


def test_what_was_remembered_for_a_day_is_forgotten(tenant: Tenant, scout: APIClient) -> None:
    scout.post("/api/v1/incidents", REPORT, headers=KEY)
    with tenant_scope(tenant.id):
        assert forget_old() == 0
        IdempotentRequest.objects.update(
            created_at=timezone.now() - REMEMBERED - timedelta(minutes=1)
        )
        assert forget_old() == 1
    again = scout.post("/api/v1/incidents", {**REPORT, "message": "else"}, headers=KEY)
    assert again.status_code == 202


@pytest.mark.parametrize("key", ["", "x" * 201, "tab\there", "caf\x85"])
def test_a_key_that_is_none_is_named(scout: APIClient, key: str) -> None:
    answer = scout.post("/api/v1/incidents", REPORT, headers={"Idempotency-Key": key})
    assert answer.status_code == 400
    assert answer.json()["field"] == "Idempotency-Key"
    assert "200" in answer.json()["detail"]
