"""Incidents over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from catalog import bridge
from governance.database.tenancy import leave_tenant, tenant_scope
from governance.loop.bridges import GoOn, Work
from governance.models import LoopStep, Tenant, User
from incidents.models import Incident
from tests import factories

from .test_report import HOSTILE

Client = Callable[..., APIClient]
INCIDENTS = "/api/v1/incidents"
TOLD = {
    "agent_id": "scout",
    "error_type": "ToolError",
    "message": "flight HAT139 is full",
    "tool": "book",
}


@pytest.fixture
def scout(acme: Tenant, api: Client) -> APIClient:
    """The agent's client; the scope is left, as it is when a request comes in."""
    token = factories.agent_token(acme)
    leave_tenant()
    return api(token)


@pytest.fixture
def rita(acme: Tenant, reviewer: User, api: Client) -> APIClient:
    """The reviewer's client."""
    token = factories.person_token(acme, reviewer)
    leave_tenant()
    return api(token)


def test_an_agent_reports_and_learns_where_to_follow(acme: Tenant, scout: APIClient) -> None:
    answer = scout.post(
        INCIDENTS, {**TOLD, "arguments": {"flight": "HAT139"}, "context": {"step": 3}}
    )

    assert answer.status_code == 202
    reported = answer.json()
    assert reported == {"id": reported["id"], "loop": f"/api/v1/integration/loop/{reported['id']}"}
    assert answer["Location"] == reported["loop"]
    detail = scout.get(f"{INCIDENTS}/{reported['id']}").json()
    assert (detail["agent_id"], detail["tool"], detail["state"]) == ("scout", "book", "open")
    assert (detail["category"], detail["severity"]) == ("execution_failure", "medium")
    assert (detail["arguments"], detail["context"]) == ({"flight": "HAT139"}, {"step": 3})
    assert detail["story"] == {"match": None, "recovery": None, "policy": None, "adjustment": None}


def test_a_report_waits_for_few_answers_of_the_database(
    scout: APIClient, django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    scout.post(INCIDENTS, TOLD)  # registers the agent and notes that the token was used
    with django_assert_max_num_queries(7):  # whose token, which agent, three writes; a savepoint
        assert scout.post(INCIDENTS, {**TOLD, "source_key": "7"}).status_code == 202


def test_the_same_key_answers_with_the_same_incident(scout: APIClient) -> None:
    told = {**TOLD, "source": "ci", "source_key": "7"}
    assert scout.post(INCIDENTS, told).json() == scout.post(INCIDENTS, told).json()


def test_null_is_not_said_and_skill_is_another_word_for_tool(scout: APIClient) -> None:
    optional = (
        "category",
        "severity",
        "context",
        "arguments",
        "occurred_at",
        "source",
        "source_key",
        "tool",
    )
    told = {**TOLD, **dict.fromkeys(optional), "error_type": None, "skill": "search"}
    detail = scout.get(f"{INCIDENTS}/{scout.post(INCIDENTS, told).json()['id']}").json()
    assert (detail["tool"], detail["error_type"], detail["source"], detail["context"]) == (
        "search",
        "",
        "api",
        {},
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("agent_id", None),
        ("agent_id", ""),
        ("agent_id", "a" * 201),
        ("error_type", "E" * 201),
        ("message", None),
        ("message", {"text": "boom"}),
        ("tool", "t" * 201),
        ("skill", "another tool"),
        ("category", "safety"),
        ("severity", "awful"),
        ("context", ["no", "object"]),
        ("arguments", "{}"),
        ("occurred_at", "yesterday"),
        ("occurred_at", "9999-12-31T23:59:59Z"),
        ("occurred_at", "0001-01-01T00:00:00+14:00"),
        ("source", "s" * 101),
        ("source_key", "k" * 201),
    ],
)
def test_what_cannot_be_taken_is_refused_by_name(scout: APIClient, field: str, value: Any) -> None:
    answer = scout.post(INCIDENTS, {**TOLD, field: value})
    assert answer.status_code == 400
    problem = answer.json()
    assert field in (problem.get("field"), *(each["field"] for each in problem.get("errors", [])))


def test_a_report_from_the_day_after_tomorrow_is_refused(scout: APIClient) -> None:
    later = (timezone.now() + timedelta(days=2)).isoformat()
    answer = scout.post(INCIDENTS, {**TOLD, "occurred_at": later})
    assert answer.status_code == 400
    assert answer.json()["field"] == "occurred_at"


@pytest.mark.parametrize("field", ["agent_id", "error_type", "message"])
def test_what_every_report_needs_is_asked_for(scout: APIClient, field: str) -> None:
    answer = scout.post(INCIDENTS, {name: value for name, value in TOLD.items() if name != field})
    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"field": field, "message": "This field is required."}]


@pytest.mark.parametrize("message", [*HOSTILE, "🦠" * 225_000], ids=[*map(repr, HOSTILE), "900 kB"])
def test_hostile_text_comes_back_as_it_was_sent(scout: APIClient, message: str) -> None:
    body = json.dumps(
        {**TOLD, "message": message, "context": {"said": message[:1_000]}}, ensure_ascii=False
    )
    answer = scout.post(INCIDENTS, body.encode(), content_type="application/json")

    assert answer.status_code == 202
    detail = scout.get(f"{INCIDENTS}/{answer.json()['id']}")
    assert detail["Content-Type"] == "application/json"
    assert detail.json()["message"] == message
    assert detail.json()["context"] == {"said": message[:1_000]}
    [listed] = scout.get(INCIDENTS).json()["results"]
    assert listed["message"] == message[:1_000]


@pytest.mark.parametrize("text", [r"\ud800", r"\u0000"])
def test_what_is_no_text_is_refused(scout: APIClient, text: str) -> None:
    body = json.dumps(TOLD).replace("flight", text)
    assert scout.post(INCIDENTS, body.encode(), content_type="application/json").status_code == 400


def test_the_list_is_filtered(acme: Tenant, scout: APIClient) -> None:
    scout.post(INCIDENTS, TOLD)
    scout.post(
        INCIDENTS,
        {
            **TOLD,
            "agent_id": "ranger",
            "tool": "search",
            "severity": "high",
            "category": "rate_limit",
        },
    )
    for asked in (
        {"agent": "ranger"},
        {"tool": "search"},
        {"severity": "high"},
        {"category": "rate_limit"},
    ):
        [found] = scout.get(INCIDENTS, asked).json()["results"]
        assert found["agent_id"] == "ranger"
    assert len(scout.get(INCIDENTS, {"state": "open"}).json()["results"]) == 2
    assert scout.get(INCIDENTS, {"state": "resolved"}).json()["results"] == []
    assert scout.get(INCIDENTS, {"state": "lost"}).status_code == 400


def test_a_list_takes_no_query_for_each_row(
    scout: APIClient, django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    for n in range(5):
        scout.post(INCIDENTS, {**TOLD, "agent_id": f"agent {n}"})
    scout.get(INCIDENTS)  # notes that the token was used
    with django_assert_max_num_queries(6):
        assert len(scout.get(INCIDENTS).json()["results"]) == 5


def test_the_story_tells_how_far_it_came(acme: Tenant, scout: APIClient) -> None:
    incident_id = scout.post(INCIDENTS, TOLD).json()["id"]
    # When the first bridge has landed, and left its facts with the step as the loop does.
    with tenant_scope(acme.id):
        step = LoopStep.objects.get()
        work = Work(step.id, acme.id, step.trace_id, incident_id, step.stage, {})
        outcome = bridge.land([work])[step.id]
        assert isinstance(outcome, GoOn)
        LoopStep.objects.update(output=outcome.facts)

    story = scout.get(f"{INCIDENTS}/{incident_id}").json()["story"]

    assert story["match"] == {
        "id": outcome.facts["match_id"],
        "pattern_id": outcome.facts["pattern_id"],
        "confidence": 0.0,
        "band": "novel",
        "is_new": True,
    }
    assert (story["recovery"], story["policy"], story["adjustment"]) == (None, None, None)


def test_people_move_an_incident_along_and_say_why(acme: Tenant, rita: APIClient) -> None:
    with tenant_scope(acme.id):
        address = f"{INCIDENTS}/{factories.incident().id}"

    def say(verb: str, **body: str) -> tuple[int, str | None]:
        answer = rita.post(f"{address}/{verb}", body)
        return answer.status_code, answer.json().get("state")

    assert say("acknowledge") == (200, "acknowledged")
    assert say("acknowledge")[0] == 409
    assert say("resolve") == (400, None)
    assert say("resolve", reason="fixed") == (200, "resolved")
    assert say("reopen", reason=" ") == (400, None)
    assert say("reopen", reason="not fixed") == (200, "open")
    with tenant_scope(acme.id):
        assert Incident.objects.get().state == "open"


def test_an_agent_cannot_close_what_it_reported(scout: APIClient) -> None:
    incident_id = scout.post(INCIDENTS, TOLD).json()["id"]
    for verb in ("acknowledge", "resolve", "reopen"):
        assert (
            scout.post(f"{INCIDENTS}/{incident_id}/{verb}", {"reason": "done"}).status_code == 403
        )


def test_an_outsider_sees_nothing(
    acme: Tenant, umbra: Tenant, scout: APIClient, api: Client
) -> None:
    incident_id = scout.post(INCIDENTS, TOLD).json()["id"]
    outsider = api(factories.agent_token(umbra))
    assert outsider.get(INCIDENTS).json()["results"] == []
    assert outsider.get(f"{INCIDENTS}/{incident_id}").status_code == 404
    assert (
        outsider.post(f"{INCIDENTS}/{incident_id}/resolve", {"reason": "mine"}).status_code == 404
    )
    assert api().get(INCIDENTS).status_code == 401
