"""What a request must look like, and what is answered when it does not."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from governance.access.parsers import DEEPEST, Unreadable, parse
from governance.access.wire import MOST_BYTES
from governance.database.tenancy import leave_tenant, tenant_scope
from governance.models import Tenant
from incidents.models import Incident
from tests import factories

Api = Callable[..., APIClient]
REPORT = {"agent_id": "scout", "error_type": "TimeoutError", "message": "no answer"}


@pytest.mark.parametrize(
    ("body", "field", "complaint", "limit"),
    [
        (b"{", "", "not JSON", None),
        (b"\xff", "", "not UTF-8: byte 0", None),
        (b"\xef\xbb\xbf{}", "", "not JSON", None),
        (b'{"a": 1, "a": 2}', "a", "twice", None),
        (b'{"a": [{"b": 1, "c": 2, "b": 3}]}', "a[0].b", "twice", None),
        (b'{"a": NaN}', "a", "NaN", None),
        (b'{"a": [1, -Infinity]}', "a[1]", "Infinity", None),
        (b'{"a": 1e999}', "a", "too large", None),
        (b'{"a": ' + b"1" * 500 + b".0}", "a", "400 characters", 400),
        (b'{"a": {"b": 9223372036854775808}}', "a.b", "64 bits", 2**63 - 1),
        (b'{"a": -9223372036854775809}', "a", "64 bits", 2**63 - 1),
        (b"[" * 5_000 + b"]" * 5_000, "", "deeper than 32", 32),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "", "deeper than 32", 32),
        (b'{"a": "\\u0000"}', "a", "NUL", None),
        (b'{"a": {"\\u0000": 1}}', "a", "NUL", None),
        (b'{"a": "\\ud800"}', "a", "surrogate", None),
        (b'{"a": [0, "\\uDFFF"]}', "a[1]", "surrogate", None),
        (b'{"\\ud800": {"b": "\\u0000"}}', "", "surrogate", None),
        (b"1" * 5_000, "", "64 bits", 2**63 - 1),
    ],
)
def test_the_parser_refuses_and_names_the_field_and_the_limit(
    body: bytes, field: str, complaint: str, limit: int | None
) -> None:
    with pytest.raises(Unreadable) as refused:
        parse(body)
    [told] = refused.value.members["errors"]
    assert told["field"] == field
    assert complaint in told["message"]
    assert refused.value.members.get("limit") == limit


@pytest.mark.parametrize(
    "body", [b'"' * MOST_BYTES, b'{"a":' * 200_000, b'"\\' * 500_000, b"[" * MOST_BYTES]
)
def test_what_is_meant_to_take_long_is_refused_soon(body: bytes) -> None:
    began = time.process_time()
    with pytest.raises(Unreadable):
        parse(body)
    assert time.process_time() - began < 1.0


def test_the_parser_takes_what_is_strange_and_fine() -> None:
    assert parse('{"a": "\\ud83d\\ude00 [[[{{{ \\" \u202e"}'.encode()) == {
        "a": '😀 [[[{{{ " \u202e'
    }
    assert parse(b"[" * DEEPEST + b"]" * DEEPEST)
    assert parse(b"9223372036854775807") == 2**63 - 1


@pytest.fixture
def scout(acme: Tenant, api: Api) -> APIClient:
    token = factories.agent_token(acme)
    leave_tenant()
    return api(token)


def incidents(acme: Tenant) -> int:
    with tenant_scope(acme.id):
        return Incident.objects.count()


def test_a_refusal_is_a_problem_that_names_the_field(acme: Tenant, scout: APIClient) -> None:
    answer = scout.post("/api/v1/incidents", {**REPORT, "severity": "enormous"})
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["errors"][0]["field"] == "severity"
    assert {"type", "title", "status", "detail", "code"} <= problem.keys()
    assert incidents(acme) == 0


@pytest.mark.parametrize(
    ("accept", "query", "status"),
    [
        ("*/*", "", 200),
        ("application/json", "", 200),
        ("text/html, application/*;q=0.9", "", 200),
        ("*/*", "?format=json", 200),
        ("*/*", "?format=xml", 404),
        ("text/html", "", 406),
        ("application/xml;q=0.5", "", 406),
    ],
)
def test_an_answer_is_json_or_nothing(
    acme: Tenant, scout: APIClient, accept: str, query: str, status: int
) -> None:
    answer = scout.get(f"/api/v1/incidents{query}", headers={"Accept": accept})
    assert answer.status_code == status
    if status == 200:
        assert answer.headers["Content-Type"] == "application/json"


def test_what_the_api_answers_is_no_page(acme: Tenant, scout: APIClient) -> None:
    for answer in (scout.get("/api/v1/incidents"), scout.post("/api/v1/incidents", {})):
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "frame-ancestors 'none'" in policy
        assert "self" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"


def test_a_body_over_the_limit_is_413(acme: Tenant, scout: APIClient) -> None:
    answer = scout.post("/api/v1/incidents", {**REPORT, "message": "x" * MOST_BYTES})
    assert answer.status_code == 413


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_trailing_slash_is_accepted_everywhere(
    acme: Tenant, scout: APIClient, slash: str
) -> None:
    assert scout.get(f"/api/v1/incidents{slash}").status_code == 200
    assert scout.get(f"/api/v1/integration/stats{slash}").status_code == 200
    made = scout.post(f"/api/v1/incidents{slash}", REPORT)
    assert made.status_code == 202
    assert scout.get(f"/api/v1/incidents/{made.json()['id']}{slash}").status_code == 200


def test_the_same_key_and_body_is_answered_once_more_without_effect(
    acme: Tenant, scout: APIClient
) -> None:
    first = scout.post("/api/v1/incidents", REPORT, headers={"Idempotency-Key": "k1"})
    again = scout.post("/api/v1/incidents", REPORT, headers={"Idempotency-Key": "k1"})
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    assert incidents(acme) == 1


def test_the_same_key_with_another_body_is_422(acme: Tenant, scout: APIClient) -> None:
    scout.post("/api/v1/incidents", REPORT, headers={"Idempotency-Key": "k1"})
    other = scout.post(
        "/api/v1/incidents", {**REPORT, "message": "else"}, headers={"Idempotency-Key": "k1"}
    )
    assert other.status_code == 422
    assert incidents(acme) == 1


def test_a_refused_request_may_be_sent_again_under_its_key(acme: Tenant, scout: APIClient) -> None:
    bad = scout.post(
        "/api/v1/incidents", {**REPORT, "severity": "?"}, headers={"Idempotency-Key": "k1"}
    )
    good = scout.post("/api/v1/incidents", REPORT, headers={"Idempotency-Key": "k1"})
    assert (bad.status_code, good.status_code) == (400, 202)


def test_lists_are_paged_by_keyset(acme: Tenant, scout: APIClient) -> None:
    made = [
        scout.post("/api/v1/incidents", {**REPORT, "message": f"m {n}"}).json()["id"]
        for n in range(5)
    ]
    seen: list[str] = []
    address: Any = "/api/v1/incidents?limit=2"
    while address:
        page = scout.get(address).json()
        seen += [row["id"] for row in page["results"]]
        address = page["next"]
    assert seen == made[::-1]
    assert scout.get("/api/v1/incidents?limit=0").status_code == 400
    assert scout.get("/api/v1/incidents?limit=201").status_code == 400
    assert scout.get("/api/v1/incidents?cursor=%00").status_code == 400
