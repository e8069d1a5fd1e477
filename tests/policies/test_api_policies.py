"""Policies and regrets over HTTP: who may do what, and what comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from governance.actors import Actor
from governance.database.tenancy import leave_tenant, tenant_scope
from governance.models import Tenant
from policies.models import Policy
from tests import factories
from tests.policies import living

Api = Callable[..., APIClient]
DRAFT = {
    "name": "nothing is dropped",
    "condition": 'arguments.query.contains("DROP")',
    "action": "block",
    "category": "safety",
    "scope_type": "tenant",
    "scope_id": "",
}


ROLES = {
    "vera": "viewer",
    "rita": "reviewer",
    "otto": "operator",
    "olga": "operator",
    "ada": "admin",
}


class People(dict[str, APIClient]):
    """A client for each of the cast, made when first needed: hashing a password takes its time."""

    def __init__(self, of: Tenant, api: Api) -> None:
        super().__init__()
        self.of, self.api = of, api

    def __missing__(self, name: str) -> APIClient:
        if name == "scout":
            token = factories.agent_token(self.of)
        else:
            token = factories.person_token(self.of, factories.member(self.of, name, ROLES[name]))
        self[name] = self.api(token)
        return self[name]


@pytest.fixture
def people(acme: Tenant, api: Api) -> People:
    return People(acme, api)


def drafted(client: APIClient, **changes: Any) -> dict[str, Any]:
    leave_tenant()
    answer = client.post("/api/v1/policies", {**DRAFT, **changes})
    assert answer.status_code == 201, answer.json()
    body: dict[str, Any] = answer.json()
    return body


def test_a_policy_goes_from_a_draft_to_its_end(people: People) -> None:
    policy = drafted(people["otto"])
    assert (policy["mode"], policy["source"], policy["version"]) == ("draft", "manual", 1)
    address = f"/api/v1/policies/{policy['id']}"

    def post(who: str, verb: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = people[who].post(f"{address}/{verb}", body or {})
        assert answer.status_code == 200, answer.json()
        found: dict[str, Any] = answer.json()
        return found

    assert post("otto", "submit")["mode"] == "shadow"
    assert post("rita", "confirm")["evidence"]["confirmations"] == 1
    assert post("rita", "activate", {"reason": "Agreed."})["mode"] == "active"
    assert post("otto", "suspend", {"reason": "Not today."})["mode"] == "disabled"
    assert post("rita", "activate")["mode"] == "active"
    ended = post("otto", "retire", {"reason": "No longer needed."})
    assert (ended["mode"], ended["state"], ended["reason"]) == (
        "disabled",
        "retired",
        "No longer needed.",
    )


def test_the_detail_shows_versions_evidence_and_backtest(acme: Tenant, people: People) -> None:
    living.good_calls()
    policy = living.born(living.pattern())
    leave_tenant()

    shown = people["scout"].get(f"/api/v1/policies/{policy.id}").json()

    assert [version["number"] for version in shown["versions"]] == [1]
    assert shown["evidence"]["confirmations"] == 1
    assert shown["evidence"]["needed"] == 3
    assert shown["evidence"]["by_kind"]["origin"] == 1
    assert shown["backtest"]["sample"] == 25
    assert shown["backtest"]["interval"][0] == 0
    assert (shown["pattern_id"], shown["regret_score"]) == (policy.pattern_id, 0)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"condition": "arguments.query =="}, "condition"),
        ({"condition": "x" * 3_000}, "condition"),
        ({"action": "explode"}, "action"),
        ({"scope_type": "agent"}, "scope_id"),
        ({"name": ""}, "name"),
    ],
)
def test_a_bad_draft_is_refused_by_its_field(
    people: People, changes: dict[str, Any], field: str
) -> None:
    leave_tenant()
    answer = people["otto"].post("/api/v1/policies", {**DRAFT, **changes})
    assert answer.status_code == 400
    said = answer.json()
    assert field in {said.get("field"), *(each["field"] for each in said.get("errors", []))}


@pytest.mark.parametrize(
    ("who", "verb", "status"),
    [
        ("scout", "submit", 403),
        ("vera", "submit", 403),
        ("rita", "submit", 403),
        ("scout", "confirm", 403),
        ("vera", "confirm", 403),
        ("scout", "activate", 403),
        ("vera", "activate", 403),
        ("otto", "activate", 403),
        ("rita", "suspend", 403),
        ("rita", "retire", 403),
        ("ada", "activate", 409),
        ("olga", "retire", 200),
    ],
)
def test_each_verb_is_for_its_roles(people: People, who: str, verb: str, status: int) -> None:
    policy = drafted(people["otto"])

    answer = people[who].post(f"/api/v1/policies/{policy['id']}/{verb}", {"reason": "Because."})

    assert answer.status_code == status, answer.json()


def test_ones_own_draft_is_for_somebody_else_to_activate(people: People) -> None:
    policy = drafted(people["ada"])
    address = f"/api/v1/policies/{policy['id']}"
    assert people["ada"].post(f"{address}/submit", {}).status_code == 200

    assert people["ada"].post(f"{address}/activate", {"reason": "Me."}).status_code == 403
    assert people["otto"].post(f"{address}/activate", {"reason": "Us."}).status_code == 200


@pytest.mark.parametrize("verb", ["suspend", "retire"])
def test_taking_a_policy_away_asks_why(people: People, verb: str) -> None:
    policy = drafted(people["otto"])
    answer = people["otto"].post(f"/api/v1/policies/{policy['id']}/{verb}", {})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "reason"


def test_two_who_complain_demote_a_policy(
    acme: Tenant, api: Api, rita: Actor, people: People
) -> None:
    policy = living.active(living.pattern(), rita)
    ranger = api(factories.agent_token(acme, "ranger"))
    leave_tenant()
    body = {"severity": 9, "regret_type": "false_rejection", "description": "It was harmless."}

    first = people["scout"].post(f"/api/v1/policies/{policy.id}/regret", body)
    second = ranger.post(f"/api/v1/policies/{policy.id}/regret", body)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["policy_id"] == policy.id
    assert people["vera"].get(f"/api/v1/policies/{policy.id}").json()["mode"] == "shadow"
    listed = people["vera"].get(f"/api/v1/regrets?policy={policy.id}").json()["results"]
    assert [each["regret_type"] for each in listed] == ["false_rejection"] * 2
    one = people["vera"].get(f"/api/v1/regrets/{listed[0]['id']}").json()
    assert one["severity"] == 9


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"severity": 0}, 400),
        ({"severity": 11}, 400),
        ({}, 400),
        ({"severity": 5, "regret_type": "envy"}, 400),
        ({"severity": 5, "decision_id": "dec_nothing"}, 404),
    ],
)
def test_a_complaint_must_make_sense(people: People, body: dict[str, Any], status: int) -> None:
    policy = drafted(people["otto"])
    answer = people["scout"].post(f"/api/v1/policies/{policy['id']}/regret", body)
    assert answer.status_code == status


def test_lists_are_filtered_by_mode_state_pattern_and_source(
    acme: Tenant, rita: Actor, people: People
) -> None:
    kind = living.pattern()
    learned = living.active(kind, rita)
    own = drafted(people["otto"])
    gone = drafted(people["otto"])
    people["otto"].post(f"/api/v1/policies/{gone['id']}/retire", {"reason": "No."})

    def ids(query: str) -> list[str]:
        answer = people["vera"].get(f"/api/v1/policies?{query}")
        assert answer.status_code == 200, answer.json()
        return [each["id"] for each in answer.json()["results"]]

    assert ids("") == [gone["id"], own["id"], learned.id]
    assert ids("mode=active") == ids("state=active") == [learned.id]
    assert ids("mode=disabled") == [gone["id"]]
    assert ids(f"pattern={kind.id}") == ids("source=recovery") == [learned.id]
    assert people["vera"].get("/api/v1/policies?mode=asleep").status_code == 400


def test_an_outsider_sees_no_policy_and_no_regret(
    acme: Tenant, umbra: Tenant, rita: Actor, api: Api, people: People
) -> None:
    policy = living.active(living.pattern(), rita)
    leave_tenant()
    made = people["scout"].post(f"/api/v1/policies/{policy.id}/regret", {"severity": 2}).json()
    uwe = api(factories.person_token(umbra, factories.member(umbra, "uwe", "admin")))

    assert uwe.get("/api/v1/policies").json()["results"] == []
    assert uwe.get("/api/v1/regrets").json()["results"] == []
    assert uwe.get(f"/api/v1/policies/{policy.id}").status_code == 404
    assert uwe.get(f"/api/v1/regrets/{made['id']}").status_code == 404
    for verb in ("submit", "confirm", "activate", "suspend", "retire", "regret"):
        answer = uwe.post(f"/api/v1/policies/{policy.id}/{verb}", {"reason": "x", "severity": 1})
        assert answer.status_code == 404, verb
    with tenant_scope(acme.id):
        assert Policy.objects.get().state == "active"
