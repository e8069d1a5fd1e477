"""PagerDuty's own client."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pagerduty
import pytest

from governance import tenants
from governance.actors import COMMAND
from governance.database.tenancy import leave_tenant
from tests import factories
from tests.serving import gunicorn

from .certificates import self_signed
from .conftest import Served

ENQUEUE = "/api/v1/intake/pagerduty/v2/enqueue"
PAYLOAD = {"summary": "disk full", "source": "db1", "severity": "error"}


@pytest.fixture
def secure(
    transactional_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Served]:
    """Behind TLS: PagerDuty's client will not speak without."""
    certificate, key = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    tenant = factories.tenant("acme")
    token = factories.agent_token(tenant, "shop")
    leave_tenant()
    with gunicorn(tls=(certificate, key)) as (host, port):
        yield Served(f"{host}:{port}", tenant, token)


def counts(found: Any) -> list[tuple[str, int]]:
    """(state, how often it was reported) of each."""
    return [(each.state, each.reported) for each in found]


def client(secure: Served) -> pagerduty.EventsApiV2Client:
    address = f"https://{secure.host}/api/v1/intake/pagerduty"
    return pagerduty.EventsApiV2Client(secure.token, base_url=address)


def test_an_alert_lives_and_comes_back(secure: Served) -> None:
    with client(secure) as events:
        details = {"agent_id": "scout"}
        key = events.trigger("disk full", "db1", severity="error", custom_details=details)
        assert events.trigger("disk full", "db1", dedup_key=key) == key
        events.acknowledge(key)
        [first] = secure.incidents()
        assert counts([first]) == [("acknowledged", 2)]
        assert (first.agent.name, first.message, first.severity) == ("scout", "disk full", "high")
        events.resolve(key)
        events.resolve(key)
        events.trigger("disk full", "db1", dedup_key=key)
    assert counts(secure.incidents()) == [("resolved", 2), ("open", 1)]


def test_a_storm_from_eight_threads_is_one_incident_counted_a_thousand_times(
    secure: Served,
) -> None:
    def send(_: int) -> None:
        with client(secure) as events:
            for _ in range(125):
                events.trigger("disk full", "db1", dedup_key="storm")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(8)))
    assert counts(secure.incidents()) == [("open", 1_000)]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "event_action"),
        ({"event_action": "trigger"}, "payload"),
        ({"event_action": "resolve"}, "dedup_key"),
        ({"event_action": "explode"}, "event_action"),
        ({"event_action": "trigger", "payload": {**PAYLOAD, "severity": "awful"}}, "payload.severity"),
        ({"event_action": "trigger", "payload": {**PAYLOAD, "summary": "x" * 1_025}}, "payload.summary"),
        ({"event_action": "trigger", "payload": PAYLOAD, "dedup_key": "k" * 256}, "dedup_key"),
        ({"event_action": "trigger", "payload": {**PAYLOAD, "summary": "\x00"}}, "payload.summary"),
    ],
)  # fmt: skip
def test_bad_events_are_refused_in_pagerdutys_words(
    acme: Any, api: Any, body: dict[str, Any], field: str
) -> None:
    answer = api().post(ENQUEUE, {**body, "routing_key": factories.agent_token(acme)})
    assert answer.status_code == 400
    said = answer.json()
    assert (said["status"], said["message"]) == ("invalid event", "Event object is invalid")
    assert any(each.startswith(f"{field}: ") for each in said["errors"])


@pytest.mark.parametrize("key", [None, "", 7, "abt_wrong", "x" * 5_000])
def test_a_wrong_routing_key_opens_nothing(db: None, api: Any, key: Any) -> None:
    answer = api().post(
        ENQUEUE, {"routing_key": key, "event_action": "trigger", "payload": PAYLOAD}
    )
    assert (answer.status_code, sorted(answer.json())) == (401, ["errors", "message", "status"])


def test_a_token_in_the_body_is_counted_like_any_other(acme: Any, api: Any) -> None:
    tenants.change_limits(acme, actor=COMMAND, reason="a test", token_requests_per_minute=3)
    event = {
        "routing_key": factories.agent_token(acme),
        "event_action": "trigger",
        "payload": PAYLOAD,
    }
    leave_tenant()
    answers = [api().post(ENQUEUE, event) for _ in range(6)]
    assert answers[0].status_code == 202
    assert (answers[-1].status_code, "Retry-After" in answers[-1].headers) == (429, True)


def test_umbra_cannot_end_what_acme_raised(acme: Any, umbra: Any, api: Any) -> None:
    leave_tenant()
    tokens = factories.agent_token(acme), factories.agent_token(umbra)
    told = {"event_action": "trigger", "dedup_key": "k", "payload": PAYLOAD}
    assert api().post(ENQUEUE, {**told, "routing_key": tokens[0]}).status_code == 202
    ended = {"event_action": "resolve", "dedup_key": "k", "routing_key": tokens[1]}
    assert api().post(ENQUEUE, ended).status_code == 202
    assert api(tokens[1]).get("/api/v1/incidents").json()["results"] == []
    assert api(tokens[0]).get("/api/v1/incidents").json()["results"][0]["state"] == "open"
