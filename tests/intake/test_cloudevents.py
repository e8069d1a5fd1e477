"""CloudEvents' own SDK, in each content mode."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from governance.database.tenancy import leave_tenant
from incidents.models import Incident
from tests import factories

from .conftest import Served

EVENTS = "/api/v1/intake/cloudevents"
DATA = {"agent_id": "scout", "message": "flight HAT139 is full", "tool": "book", "arguments": {"flight": "HAT139"}}  # fmt: skip
WHOLE = {"specversion": "1.0", "id": "7", "source": "/desk/ü", "type": "tool.failed", "data": DATA}
STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


@pytest.mark.parametrize("write", [to_binary_event, to_structured_event])
def test_an_event_becomes_an_incident_once(
    served: Served, only: Callable[[], Incident], write: Callable[[CloudEvent], Any]
) -> None:
    attributes = {name: value for name, value in WHOLE.items() if name != "data"}
    said = write(CloudEvent({**attributes, "datacontenttype": "application/json"}, DATA))
    headers = {**said.headers, "Authorization": f"Bearer {served.token}"}
    answers = [httpx.post(f"{served.base}/cloudevents", content=said.body, headers=headers) for _ in range(2)]  # fmt: skip
    assert [each.status_code for each in answers] == [202, 202]
    incident = only()
    assert answers[1].json() == {"ids": [incident.id]}
    assert (incident.error_type, incident.message) == ("tool.failed", DATA["message"])
    assert (incident.agent.name, incident.tool) == ("scout", "book")
    assert incident.arguments == {"flight": "HAT139"}
    assert incident.context["cloudevent"]["source"] == "/desk/ü"
    assert (incident.source, incident.reported) == ("cloudevents", 2)  # type: ignore[attr-defined]


@pytest.fixture
def scout(acme: Any, api: Any) -> Any:
    client = api(factories.agent_token(acme))
    leave_tenant()
    return client


def post(client: Any, body: Any, kind: str = STRUCTURED, **headers: str) -> Any:
    return client.generic("POST", EVENTS, json.dumps(body), kind, **headers)


def test_a_batch_is_taken_whole_or_not(scout: Any) -> None:
    other = {**WHOLE, "id": "8"}
    assert len(post(scout, [WHOLE, other], BATCH).json()["ids"]) == 2
    wrong = [{**WHOLE, "id": "9"}, {**WHOLE, "id": "10", "data": {"message": "who?"}}]
    answer = post(scout, wrong, BATCH)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "[1].data.agent_id"
    assert len(scout.get("/api/v1/incidents").json()["results"]) == 2


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"id": ""}, "id"),
        ({"source": None}, "source"),
        ({"type": 7}, "type"),
        ({"data": "text"}, "data"),
        ({"data_base64": "AA=="}, "data_base64"),
        ({"subject": {"no": "text"}}, "subject"),
        ({"subject": "s" * 2_001}, "subject"),
        ({"time": "soon"}, "data.occurred_at"),
        ({"data": {**DATA, "severity": "awful"}}, "data.severity"),
        ({"data": {**DATA, "message": "\x00"}}, "data.message"),
    ],
)  # fmt: skip
def test_bad_events_are_refused_by_field(scout: Any, change: dict[str, Any], field: str) -> None:
    answer = post(scout, {**WHOLE, **change})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)


def test_bad_binary_events_are_refused_by_header(scout: Any) -> None:
    head = {"HTTP_CE_SPECVERSION": "1.0", "HTTP_CE_ID": "%00", "HTTP_CE_SOURCE": "s", "HTTP_CE_TYPE": "t"}  # fmt: skip
    answer = post(scout, DATA, "application/json", **head)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "ce-id")
    assert post(scout, DATA, "application/json").status_code == 400
    assert post(scout, DATA, "application/xml", **head).status_code == 415


def test_umbra_and_a_wrong_token_see_nothing(scout: Any, umbra: Any, api: Any) -> None:
    assert post(scout, WHOLE).status_code == 202
    outsider = api(factories.agent_token(umbra))
    [other] = post(outsider, WHOLE).json()["ids"]
    assert [each["id"] for each in outsider.get("/api/v1/incidents").json()["results"]] == [other]
    assert post(api("abt_wrong"), WHOLE).status_code == 401
