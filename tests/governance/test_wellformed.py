"""What surrounds a body is looked at before any page or view: addresses, queries, cookies, forms, encodings."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from rest_framework.test import APIClient

from governance.access.wellformed import LONGEST_FIELD
from governance.access.wire import MOST_BYTES
from governance.database.tenancy import leave_tenant
from governance.models import Tenant
from tests import factories

Api = Callable[..., APIClient]
REPORT = {"agent_id": "scout", "error_type": "TimeoutError", "message": "no answer"}


@pytest.fixture
def scout(acme: Tenant, api: Api) -> APIClient:
    token = factories.agent_token(acme)
    leave_tenant()
    return api(token)


@pytest.fixture
def member(acme: Tenant) -> Client:
    client = Client()
    client.force_login(factories.member(acme, "vera", "admin"))
    leave_tenant()
    return client


@pytest.mark.parametrize("path", ["incidents/a%00b", "checkpoints/%00", "policies/%00/retire"])
def test_an_address_with_nul_names_nothing(scout: APIClient, path: str) -> None:
    assert scout.get(f"/api/v1/{path}").status_code == 404
    assert scout.post(f"/api/v1/{path}", {}).status_code == 404


@pytest.mark.parametrize(
    "query", ["incidents?state=%00", "agents?name=a%00b", "incidents?x=1&tool=%00", "agents?%00=1"]
)
def test_a_query_with_nul_is_a_problem_that_names_it(scout: APIClient, query: str) -> None:
    answer = scout.get(f"/api/v1/{query}")
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["errors"][0]["field"] in {
        "state",
        "name",
        "tool",
        "\N{REPLACEMENT CHARACTER}",
    }
    assert "NUL" in answer.json()["detail"]


def test_pages_say_so_too(member: Client) -> None:
    for address in ("/console/incidents?q=%00", "/admin/incidents/incident/?q=a%00"):
        answer = member.get(address)
        assert answer.status_code == 400
        assert "q: NUL cannot be stored" in answer.content.decode()
    answer = member.post("/console/switches/loop/off", {"reason": "a\x00b"})
    assert answer.status_code == 400
    assert "reason: NUL" in answer.content.decode()
    answer = member.post("/admin/login/", {"username": "vera\x00", "password": "x"})
    assert answer.status_code == 400


def test_a_field_of_a_form_has_a_limit(member: Client) -> None:
    answer = member.post("/console/switches/loop/off", {"reason": "x" * (LONGEST_FIELD + 1)})
    assert answer.status_code == 400
    assert f"reason: at most {LONGEST_FIELD}" in answer.content.decode()


def test_a_field_of_no_name_is_no_field(member: Client) -> None:
    """Django's admin asks the model for it, and fails."""
    page = "/admin/routing/freeze/frz_none/change/"
    assert member.post(page, {"_to_field": ""}).status_code == 400
    assert member.post(f"{page}?_to_field=", {}).status_code == 400
    assert member.get(f"{page}?_to_field=").status_code == 400
    assert member.post(page, {}).status_code == 403


def test_a_form_over_the_limit_is_413(member: Client) -> None:
    answer = member.post("/console/switches/loop/off", {"reason": "x" * (MOST_BYTES + 1)})
    assert answer.status_code == 413
    urlencoded = "reason=" + "x" * MOST_BYTES
    answer = member.generic(
        "POST", "/admin/login/", urlencoded, "application/x-www-form-urlencoded"
    )
    assert answer.status_code == 413


def test_a_cookie_may_hide_nul_and_is_refused(db: None) -> None:
    answer = Client().get("/console/", headers={"Cookie": 'sessionid="a\\000b"'})
    assert answer.status_code == 400


@pytest.mark.parametrize("packed", ["gzip", "br", "deflate", "gzip, identity", "x"])
def test_a_packed_body_is_told_to_come_unpacked(scout: APIClient, packed: str) -> None:
    answer = scout.post("/api/v1/incidents", REPORT, headers={"Content-Encoding": packed})
    assert answer.status_code == 415
    assert "Content-Encoding" in answer.json()["detail"]


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "a",
        ";",
    ],
)
def test_only_json_is_taken(scout: APIClient, kind: str) -> None:
    answer = scout.generic("POST", "/api/v1/incidents", "{}", kind)
    assert answer.status_code == 415
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_host_that_is_not_ours_is_refused(db: None) -> None:
    assert Client().get("/console/", headers={"Host": "evil.example"}).status_code == 400
    assert Client().get("/api/v1/agents", headers={"Host": "a b"}).status_code == 400
