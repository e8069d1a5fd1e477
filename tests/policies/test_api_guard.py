"""The guard over HTTP: what may be sent, who may send it, and what a refusal lets one do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connection
from rest_framework.test import APIClient

from governance import checkpoints
from governance.actors import Actor
from governance.database.tenancy import leave_tenant, tenant_scope
from governance.models import Account, Checkpoint, Settings, Tenant
from incidents.models import Incident
from policies.api import guard_examples
from policies.models import Decision, Outcome, Prevention, TimelineView
from tests import factories

from .guarding import ARGUMENTS, learned, policy

Api = Callable[..., APIClient]
BASE = "/api/v1"


@pytest.fixture
def scout(acme: Tenant, api: Api) -> APIClient:
    """Acme's agent at the door; the test itself is in no tenant."""
    token = factories.agent_token(acme)
    leave_tenant()
    return api(token)


@pytest.fixture
def stranger(umbra: Tenant, acme: Tenant, api: Api) -> APIClient:
    leave_tenant()
    return api(factories.agent_token(umbra, "stranger"))


def person(api: Api, tenant: Tenant, name: str, role: str) -> APIClient:
    leave_tenant()
    return api(factories.person_token(tenant, factories.member(tenant, name, role)))


def question(**changed: Any) -> dict[str, Any]:
    return {
        "agent_id": "scout",
        "run_id": "run-1",
        "step": 0,
        "action": {"kind": "tool_call", "tool": "sql_query", "arguments": ARGUMENTS},
        "context": {},
        **changed,
    }


def ask(client: APIClient, **changed: Any) -> Any:
    return client.post(f"{BASE}/guard/decisions", question(**changed))


def decided(client: APIClient, **changed: Any) -> str:
    answer = ask(client, **changed)
    assert answer.status_code == 200, answer.json()
    decision_id: str = answer.json()["decision_id"]
    return decision_id


def blocked(scout: APIClient, acme: Tenant) -> str:
    with tenant_scope(acme.id):
        policy()
    return decided(scout)


def test_an_agent_asks_and_is_answered(scout: APIClient, acme: Tenant) -> None:
    answer = ask(scout)
    assert answer.status_code == 200
    body = answer.json()
    assert body.pop("decision_id").startswith("dec_")
    assert body == {
        "verdict": "allow",
        "mode": None,
        "would_be": None,
        "policies": [],
        "reason": "",
        "retryable": False,
        "appeal_url": None,
        "directives": [],
        "allowed_instead": [],
    }


def test_a_refusal_names_its_policies_and_where_to_appeal(scout: APIClient, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        rule = policy()
    body = ask(scout).json()
    assert body["verdict"] == "block"
    named = {"id": rule.id, "name": rule.name, "action": "block", "version": 1}
    assert body["policies"] == [named]
    assert body["appeal_url"] == f"{BASE}/guard/decisions/{body['decision_id']}/appeal"


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"agent_id": ""}, "agent_id"),
        ({"agent_id": "a" * 201}, "agent_id"),
        ({"agent_id": None}, "agent_id"),
        ({"run_id": " "}, "run_id"),
        ({"run_id": "r" * 201}, "run_id"),
        ({"step": -1}, "step"),
        ({"step": "first"}, "step"),
        ({"step": 1.5}, "step"),
        ({"step": True}, "step"),
        ({"context": []}, "context"),
        ({"action": None}, "action"),
        ({"action": "sql_query"}, "action"),
        ({"action": {"kind": "dance", "tool": "t"}}, "action.kind"),
        ({"action": {"kind": "tool_call"}}, "action.tool"),
        ({"action": {"kind": "tool_call", "tool": "t" * 201}}, "action.tool"),
        ({"action": {"kind": "tool_call", "tool": "t", "arguments": [1]}}, "action.arguments"),
        ({"action": {"kind": "tool_call", "tool": "t", "arguments": "{}"}}, "action.arguments"),
    ],
)
def test_what_cannot_be_decided_about_is_refused_by_name(
    scout: APIClient, acme: Tenant, changed: dict[str, Any], field: str
) -> None:
    answer = ask(scout, **changed)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)
    with tenant_scope(acme.id):
        assert not Decision.objects.exists()


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"1"])
def test_a_question_is_an_object(scout: APIClient, body: bytes) -> None:
    answer = scout.post(f"{BASE}/guard/decisions", body, content_type="application/json")
    assert answer.status_code == 400


def test_the_same_key_is_one_decision(scout: APIClient, acme: Tenant) -> None:
    first = scout.post(f"{BASE}/guard/decisions", question(), headers={"Idempotency-Key": "k"})
    again = scout.post(f"{BASE}/guard/decisions", question(), headers={"Idempotency-Key": "k"})
    assert first.json() == again.json()
    with tenant_scope(acme.id):
        assert Decision.objects.count() == 1


def test_a_reported_failure_opens_an_incident(scout: APIClient, acme: Tenant) -> None:
    report = {
        "decision_id": decided(scout),
        "ok": False,
        "error": {"type": "OperationalError", "message": "no such column"},
        "latency_ms": 12,
        "cost_usd": 0.001,
    }
    answer = scout.post(f"{BASE}/guard/outcomes", report)
    assert answer.status_code == 200
    with tenant_scope(acme.id):
        assert answer.json() == {"incident_id": Incident.objects.get().id}
        assert Outcome.objects.get().cost_microusd == 1_000
    assert scout.post(f"{BASE}/guard/outcomes", report).json() == answer.json()
    other = scout.post(f"{BASE}/guard/outcomes", {**report, "latency_ms": 13})
    assert (other.status_code, other.json()["code"]) == (409, "conflict")


def test_a_reported_success_opens_none(scout: APIClient) -> None:
    answer = scout.post(
        f"{BASE}/guard/outcomes", {"decision_id": decided(scout), "ok": True, "error": None}
    )
    assert (answer.status_code, answer.json()) == (200, {"incident_id": None})


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"ok": None}, "ok"),
        ({"ok": "perhaps"}, "ok"),
        ({"error": None}, "error"),
        ({"error": {"message": "m"}}, "error.type"),
        ({"error": {"type": "", "message": "m"}}, "error.type"),
        ({"error": {"type": "t" * 201}}, "error.type"),
        ({"error": {"type": "t", "message": "m" * 20_001}}, "error.message"),
        ({"ok": True}, "error"),
        ({"latency_ms": -1}, "latency_ms"),
        ({"latency_ms": 2**31}, "latency_ms"),
        ({"cost_usd": -0.01}, "cost_usd"),
        ({"cost_usd": "NaN"}, "cost_usd"),
        ({"cost_usd": "Infinity"}, "cost_usd"),
        ({"cost_usd": 1e300}, "cost_usd"),
    ],
)
def test_an_outcome_that_makes_no_sense_is_refused_by_name(
    scout: APIClient, acme: Tenant, changed: dict[str, Any], field: str
) -> None:
    report = {
        "decision_id": decided(scout),
        "ok": False,
        "error": {"type": "E", "message": "m"},
        **changed,
    }
    answer = scout.post(f"{BASE}/guard/outcomes", report)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)
    with tenant_scope(acme.id):
        assert not Incident.objects.exists()


def test_a_blocked_action_has_no_outcome(scout: APIClient, acme: Tenant) -> None:
    answer = scout.post(f"{BASE}/guard/outcomes", {"decision_id": blocked(scout, acme), "ok": True})
    assert answer.status_code == 409


def test_a_simulation_shows_what_shadow_policies_would_say(scout: APIClient, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        rule = policy(state="shadow")
    body = scout.post(f"{BASE}/guard/simulate", question()).json()
    assert (body["decision_id"], body["verdict"], body["appeal_url"]) == (None, "allow", None)
    named = {"id": rule.id, "name": rule.name, "action": "block", "version": 1}
    assert body["would_block"] == [named]
    with tenant_scope(acme.id):
        assert not Decision.objects.exists()


def test_an_outsider_does_not_find_a_decision(
    scout: APIClient, stranger: APIClient, acme: Tenant
) -> None:
    mine = blocked(scout, acme)
    assert stranger.get(f"{BASE}/guard/decisions/{mine}").status_code == 404
    assert (
        stranger.post(f"{BASE}/guard/decisions/{mine}/appeal", {"reason": "r"}).status_code == 404
    )
    assert (
        stranger.post(f"{BASE}/guard/outcomes", {"decision_id": mine, "ok": True}).status_code
        == 404
    )
    for route in ("guard/decisions", "preventions"):
        assert stranger.get(f"{BASE}/{route}").json() == {"results": [], "next": None}
    assert scout.get(f"{BASE}/guard/decisions/{mine}").json()["verdict"] == "block"


def test_a_viewer_reads_decisions_and_makes_none(acme: Tenant, scout: APIClient, api: Api) -> None:
    viewer = person(api, acme, "vera", "viewer")
    mine = decided(scout)
    assert [each["id"] for each in viewer.get(f"{BASE}/guard/decisions").json()["results"]] == [
        mine
    ]
    assert viewer.get(f"{BASE}/guard/decisions/{mine}").status_code == 200
    assert ask(viewer).status_code == 403
    assert viewer.post(f"{BASE}/guard/decisions/{mine}/appeal", {"reason": "r"}).status_code == 403
    assert viewer.post(f"{BASE}/guard/simulate", question()).status_code == 403


def test_without_a_token_nobody_is_answered(acme: Tenant, api: Api) -> None:
    leave_tenant()
    assert ask(api()).status_code == 401


def test_an_appeal_asks_a_person_once(scout: APIClient, acme: Tenant, api: Api) -> None:
    mine = blocked(scout, acme)
    url = f"{BASE}/guard/decisions/{mine}/appeal"
    assert scout.post(url, {}).status_code == 400
    answer = scout.post(url, {"reason": "The column really is called that."})
    assert (answer.status_code, answer.json()["state"]) == (201, "pending")
    again = scout.post(url, {"reason": "Please."})
    assert (again.status_code, again.json()) == (200, answer.json())
    with tenant_scope(acme.id):
        asked = Checkpoint.objects.get()
        account = Account.objects.get()
    assert (asked.type, asked.subject, asked.requested_by) == (
        "appeal",
        mine,
        f"service:{account.id}",
    )
    shown = asked.shown
    assert (shown["arguments"], shown["reason"]) == (ARGUMENTS, "The column really is called that.")
    assert shown["policies"][0]["version"] == 1


def test_an_appeal_asked_again_tells_how_it_was_decided(
    scout: APIClient, acme: Tenant, rita: Actor
) -> None:
    url = f"{BASE}/guard/decisions/{blocked(scout, acme)}/appeal"
    first = scout.post(url, {"reason": "r"}).json()
    with tenant_scope(acme.id):
        asked = Checkpoint.objects.get()
        checkpoints.decide(asked, approve=False, actor=rita, digest=asked.digest, reason="No.")
    again = scout.post(url, {"reason": "Please."})
    assert (again.status_code, again.json()) == (200, {**first, "state": "rejected"})


def test_a_denial_says_what_would_be_allowed(scout: APIClient, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        policy(tool="pay", condition="arguments.amount > 500")
    body = ask(scout, action={"tool": "pay", "arguments": {"amount": 900}}).json()
    assert body["allowed_instead"] == [
        {
            "argument": "amount",
            "how": "at_most",
            "values": [500],
            "good_calls": 0,
            "text": "amount of at most 500",
        }
    ]
    again = ask(scout, action={"tool": "pay", "arguments": {"amount": 500}}).json()
    assert (again["verdict"], again["allowed_instead"]) == ("allow", [])


def test_the_examples_of_the_description_have_the_shape_of_real_answers(
    scout: APIClient, acme: Tenant
) -> None:
    with tenant_scope(acme.id):
        policy(tool="book_flight", condition='arguments.flight.contains("LH")')
    asked = ask(scout, **guard_examples.QUESTION)
    assert (asked.status_code, asked.json()["verdict"]) == (200, "block")
    for example in (guard_examples.ALLOWED, guard_examples.DENIED, guard_examples.UNAVAILABLE):
        assert example.keys() == asked.json().keys()
    for name in ("policies", "allowed_instead"):
        [shown], [real] = guard_examples.DENIED[name], asked.json()[name]
        assert shown.keys() == real.keys()


def test_what_was_allowed_cannot_be_appealed(scout: APIClient) -> None:
    answer = scout.post(f"{BASE}/guard/decisions/{decided(scout)}/appeal", {"reason": "r"})
    assert answer.status_code == 409


def test_a_tenant_may_take_no_appeals(scout: APIClient, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        Settings.objects.update(checkpoints_off=["appeal"])
        policy()
    body = ask(scout).json()
    assert body["appeal_url"] is None
    answer = scout.post(f"{BASE}/guard/decisions/{body['decision_id']}/appeal", {"reason": "r"})
    assert answer.status_code == 409


def test_an_appeal_with_numbers_beyond_53_bits_can_be_shown(scout: APIClient, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        policy(condition="arguments.id > 0")
    action = {
        "kind": "tool_call",
        "tool": "sql_query",
        "arguments": {"id": 2**63 - 1, "small": 7, "yes": True},
    }
    mine = decided(scout, action=action)
    assert scout.post(f"{BASE}/guard/decisions/{mine}/appeal", {"reason": "r"}).status_code == 201
    with tenant_scope(acme.id):
        shown = Checkpoint.objects.get().shown["arguments"]
    assert shown == {"id": str(2**63 - 1), "small": 7, "yes": True}


def test_an_upheld_appeal_is_a_regret_of_the_policy(
    scout: APIClient, acme: Tenant, reviewer: Any
) -> None:
    mine = blocked(scout, acme)
    scout.post(f"{BASE}/guard/decisions/{mine}/appeal", {"reason": "r"})
    with tenant_scope(acme.id):
        asked = Checkpoint.objects.get()
        rita = Actor("user", str(reviewer.pk), "rita")
        checkpoints.decide(asked, approve=True, actor=rita, digest=asked.digest)
        regret = Decision.objects.get(pk=mine).regrets.get()
        assert (regret.type, regret.reporter) == ("appeal_upheld", str(rita))


def test_a_database_that_does_not_answer_is_a_refusal(scout: APIClient, acme: Tenant) -> None:
    def gone(execute: Any, sql: str, *rest: Any) -> Any:
        if "policies_policyset" in sql:
            raise OperationalError("server closed the connection unexpectedly")
        return execute(sql, *rest)

    with connection.execute_wrapper(gone):
        answer = ask(scout)
    assert (answer.status_code, answer.json()["code"]) == (503, "governance_unavailable")
    assert answer.json()["retryable"] is True


def test_preventions_are_listed_with_what_they_prevented(scout: APIClient, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        opened = factories.report()
        rule = learned(opened.incident, opened.trace.id)
    mine = decided(scout)
    (listed,) = scout.get(f"{BASE}/preventions").json()["results"]
    assert (listed["policy_id"], listed["decision_id"], listed["simulated"]) == (
        rule.id,
        mine,
        False,
    )
    assert listed["similarity"] == 1.0
    assert scout.get(f"{BASE}/preventions/{listed['id']}").json() == listed


def test_graduation_is_read_by_anyone_and_judged_by_operators(
    scout: APIClient, acme: Tenant, api: Api
) -> None:
    body = scout.get(f"{BASE}/integration/graduation").json()
    assert (body["status"], body["is_graduated"]) == ("ALPHA (0/3 gates)", False)
    assert list(body["gates"]) == ["gate1_prevention", "gate2_rollback", "gate3_console"]
    url = f"{BASE}/integration/graduation/re-evaluate"
    assert scout.post(url).status_code == 403
    assert person(api, acme, "rita", "reviewer").post(url).status_code == 403
    assert person(api, acme, "otto", "operator").post(url).json()["status"] == body["status"]


def test_simulated_evidence_is_stored_as_such(acme: Tenant, api: Api) -> None:
    with tenant_scope(acme.id):
        opened = factories.report()
        rule = learned(opened.incident, opened.trace.id)
    otto = person(api, acme, "otto", "operator")
    base = f"{BASE}/integration/graduation/simulate"
    sent = {
        "policy_id": rule.id,
        "pattern_id": rule.pattern_id,
        "original_incident_id": opened.incident.id,
    }
    for route, body in {
        "prevention": {**sent, "confidence": 0.9},
        "regret": {
            "policy_id": rule.id,
            "regret_type": "other",
            "severity": 10,
            "description": "d",
        },
        "timeline-view": {"incident_id": opened.incident.id},
    }.items():
        answer = otto.post(f"{base}/{route}", body)
        assert (answer.status_code, answer.json()["simulated"]) == (201, True), route
    with tenant_scope(acme.id):
        assert Prevention.objects.get().simulated
        assert TimelineView.objects.get().simulated
    graduation = otto.get(f"{BASE}/integration/graduation").json()
    assert graduation["status"] == "ALPHA (0/3 gates)"
    assert graduation["gates"]["gate1_prevention"]["simulated"] == 1
    nan = otto.post(f"{base}/prevention", {**sent, "confidence": "nan"})
    assert nan.status_code == 400
    foreign = otto.post(f"{base}/prevention", {**sent, "policy_id": "pol_x", "confidence": 0.5})
    assert foreign.status_code == 404
