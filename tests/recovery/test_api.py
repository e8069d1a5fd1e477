"""Recoveries and templates over HTTP."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.database.tenancy import leave_tenant, tenant_scope
from recovery import webhooks
from tests import factories

from .cast import land, pattern, question_of, recovery_of, work

BASE = "/api/v1/recoveries"
TEMPLATES = "/api/v1/recovery-templates"
NEW = {
    "name": "Look",
    "kind": "pre_check",
    "params": {"check": "Look."},
    "declared_confidence": 0.7,
}


@pytest.fixture
def asked(acme):
    """A work whose recovery waits for a person."""
    new = work(pattern(), "novel", is_new=True)
    land(new)
    return new


@pytest.fixture
def suggested(asked):
    return recovery_of(asked)


@pytest.fixture
def as_(acme, api):
    """`as_("reviewer")`: a client of the API in that role; `as_("agent")` an agent's."""

    def client(role, of=acme):
        if role == "agent":
            return api(factories.agent_token(of))
        return api(factories.person_token(of, factories.member(of, f"{role} of {of.slug}", role)))

    return client


@pytest.fixture
def over_http(asked, as_):
    """The same outside every scope, as requests come in."""

    def client(role, *of):
        leave_tenant()
        return as_(role, *of)

    return client


def test_a_recovery_is_shown_with_its_incident(suggested, asked, over_http):
    answer = over_http("viewer").get(f"{BASE}/{suggested.id}")

    assert answer.status_code == 200
    body = answer.json()
    assert body["id"] == suggested.id
    assert body["incident_id"] == asked.incident_id
    assert (body["state"], body["agent_id"], body["kind"]) == ("suggested", "scout", "pre_check")
    assert body["params"]["check"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=suggested", 1),
        ("state=applied", 0),
        ("agent=scout", 1),
        ("agent=nobody", 0),
        ("pattern=pat_none", 0),
        ("kind=pre_check&source=heuristic", 1),
    ],
)
def test_a_list_can_be_narrowed(suggested, over_http, query, found):
    answer = over_http("agent").get(f"{BASE}?{query}")

    assert answer.status_code == 200
    assert len(answer.json()["results"]) == found


def test_a_state_that_is_none_is_refused_by_name(suggested, over_http):
    answer = over_http("viewer").get(f"{BASE}?state=undecided")

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "state"


def test_an_outsider_sees_nothing(suggested, umbra, over_http):
    client = over_http("admin", umbra)

    assert client.get(BASE).json()["results"] == []
    assert client.get(f"{BASE}/{suggested.id}").status_code == 404
    assert client.post(f"{BASE}/{suggested.id}/apply", {}).status_code == 404


def test_a_list_costs_the_same_for_many(asked, acme, over_http):
    land(*[work(recovery_of(asked).pattern, "weak") for _ in range(5)])
    client = over_http("viewer")
    client.get(BASE)  # the token's first use is written down

    with CaptureQueriesContext(connection) as few:
        client.get(f"{BASE}?limit=1")
    with CaptureQueriesContext(connection) as many:
        assert len(client.get(BASE).json()["results"]) == 6

    assert len(many) == len(few)


def test_a_reviewer_applies_and_takes_back(suggested, acme, over_http):
    client = over_http("reviewer")

    applied = client.post(f"{BASE}/{suggested.id}/apply", {"reason": "Yes."})
    assert (applied.status_code, applied.json()["state"]) == (200, "applied")
    assert applied.json()["directive_id"]
    assert client.post(f"{BASE}/{suggested.id}/apply", {}).status_code == 409

    back = client.post(f"{BASE}/{suggested.id}/roll-back", {"reason": "It did harm."})
    assert (back.status_code, back.json()["state"]) == (200, "rolled_back")
    assert client.post(f"{BASE}/{suggested.id}/roll-back", {"reason": "Again."}).status_code == 409


def test_a_reviewer_rejects_and_closes_the_question(suggested, asked, acme, over_http):
    client = over_http("reviewer")

    without = client.post(f"{BASE}/{suggested.id}/reject", {})
    rejected = client.post(f"{BASE}/{suggested.id}/reject", {"reason": "No."})

    assert without.status_code == 400
    assert without.json()["errors"][0]["field"] == "reason"
    assert (rejected.status_code, rejected.json()["state"]) == (200, "rejected")
    with tenant_scope(acme.id):
        assert question_of(asked).state == "rejected"


@pytest.mark.parametrize("role", ["agent", "viewer"])
@pytest.mark.parametrize("verb", ["apply", "reject", "roll-back"])
def test_agents_and_viewers_decide_nothing(suggested, over_http, role, verb):
    answer = over_http(role).post(f"{BASE}/{suggested.id}/{verb}", {"reason": "Because."})

    assert answer.status_code == 403


def test_an_operator_writes_and_disables_a_template(suggested, over_http):
    client = over_http("operator")
    body = {**NEW, "pattern_id": suggested.pattern_id}

    made = client.post(TEMPLATES, body)
    assert made.status_code == 201
    assert made.json()["enabled"] is True
    assert client.post(TEMPLATES, body).status_code == 409

    place = f"{TEMPLATES}/{made.json()['id']}"
    disabled = client.post(f"{place}/disable", {"reason": "Wrong."})
    assert (disabled.status_code, disabled.json()["enabled"]) == (200, False)
    assert client.post(f"{place}/disable", {"reason": "Wrong."}).status_code == 409
    assert len(client.get(f"{TEMPLATES}?enabled=false").json()["results"]) == 1


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"kind": "explode"}, "kind"),
        ({"params": {"check": ""}}, "params.check"),
        ({"params": "look"}, "params"),
        ({"declared_confidence": 0.96}, "declared_confidence"),
        ({"name": "x" * 201}, "name"),
    ],
)
def test_a_wrong_template_names_its_field(suggested, over_http, wrong, field):
    answer = over_http("operator").post(
        TEMPLATES, {**NEW, "pattern_id": suggested.pattern_id, **wrong}
    )

    assert answer.status_code == 400
    body = answer.json()
    assert field in {body.get("field"), *(error["field"] for error in body.get("errors", []))}


def test_a_template_of_anothers_pattern_is_not_found(suggested, umbra, over_http):
    answer = over_http("operator", umbra).post(
        TEMPLATES, {**NEW, "pattern_id": suggested.pattern_id}
    )

    assert answer.status_code == 404


def test_only_an_admin_reads_the_signing_secret(acme, over_http):
    answer = over_http("admin").get(f"{TEMPLATES}/webhook-secret")

    assert answer.json() == {"secret": webhooks.secret_of(acme.id)}
    assert over_http("operator").get(f"{TEMPLATES}/webhook-secret").status_code == 403
