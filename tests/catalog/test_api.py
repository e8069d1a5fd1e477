"""Patterns over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from catalog.models import Pattern
from catalog.services import match_incidents
from governance.database.tenancy import leave_tenant, tenant_scope
from governance.models import LedgerEntry, Tenant, User
from tests import factories

from .test_match import failures

Client = Callable[..., APIClient]
PATTERNS = "/api/v1/patterns"


@pytest.fixture
def rita(acme: Tenant, reviewer: User, api: Client) -> APIClient:
    """The reviewer's client, in a tenant that has met two kinds of failure, one of them twice."""
    match_incidents(failures(["flight HAT101 is full", "flight HAT122 is full"], tool="book"))
    match_incidents(failures(["the server went away"], error_type="Gone"))
    token = factories.person_token(acme, reviewer)
    leave_tenant()
    return api(token)


def test_the_list_says_how_often_and_when(rita: APIClient) -> None:
    newest, oldest = rita.get(PATTERNS).json()["results"]
    assert (newest["error_type"], newest["occurrences"]) == ("Gone", 1)
    assert (oldest["tool"], oldest["occurrences"]) == ("book", 2)
    assert oldest["first_seen"] is not None
    assert oldest["last_seen"] >= oldest["first_seen"]


@pytest.mark.parametrize(
    ("asked", "found"), [({"tool": "book"}, 1), ({"error_type": "Gone"}, 1), ({"tool": "x"}, 0)]
)
def test_the_list_is_filtered(rita: APIClient, asked: dict[str, str], found: int) -> None:
    assert len(rita.get(PATTERNS, asked).json()["results"]) == found


def test_a_list_takes_no_query_for_each_row(
    rita: APIClient, django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    rita.get(PATTERNS)  # notes that the token was used
    with django_assert_max_num_queries(6):
        rita.get(PATTERNS)


def test_a_reviewer_trusts_the_recovery_and_says_why(acme: Tenant, rita: APIClient) -> None:
    address = f"{PATTERNS}/{rita.get(PATTERNS).json()['results'][0]['id']}"
    assert rita.get(address).json()["auto_apply_recovery"] is False

    answer = rita.post(f"{address}/auto-apply", {"on": True, "reason": "it always helped"})

    assert (answer.status_code, answer.json()["auto_apply_recovery"]) == (200, True)
    assert rita.get(address).json() == answer.json()
    for body in (
        {"on": True},
        {"reason": "why"},
        {"on": "perhaps", "reason": "why"},
        {"on": True, "reason": ""},
    ):
        assert rita.post(f"{address}/auto-apply", body).status_code == 400
    with tenant_scope(acme.id):
        assert LedgerEntry.objects.filter(kind="pattern.auto_apply_on").count() == 1


def test_an_agent_may_read_and_not_decide(acme: Tenant, rita: APIClient, api: Client) -> None:
    scout = api(factories.agent_token(acme))
    [first, _] = scout.get(PATTERNS).json()["results"]
    answer = scout.post(f"{PATTERNS}/{first['id']}/auto-apply", {"on": True, "reason": "trust me"})
    assert answer.status_code == 403
    with tenant_scope(acme.id):
        assert not Pattern.objects.filter(auto_apply_recovery=True).exists()


def test_an_outsider_sees_nothing(umbra: Tenant, rita: APIClient, api: Client) -> None:
    outsider = api(factories.agent_token(umbra))
    assert outsider.get(PATTERNS).json()["results"] == []
    address = f"{PATTERNS}/{rita.get(PATTERNS).json()['results'][0]['id']}"
    assert outsider.get(address).status_code == 404
    assert outsider.post(f"{address}/auto-apply", {"on": True, "reason": "mine"}).status_code == 404


def test_a_pattern_says_what_sort_of_error_it_is(rita: APIClient) -> None:
    newest, oldest = rita.get(PATTERNS).json()["results"]
    assert newest["taxonomy"] == {"retryable": "yes", "mast": "unknown", "owasp": "unknown"}
    assert oldest["taxonomy"]["retryable"] == "unknown"
    assert oldest["frames"] == []


def test_a_match_is_explained_in_full(rita: APIClient) -> None:
    book = rita.get(PATTERNS, {"tool": "book"}).json()["results"][0]["id"]
    listed = rita.get("/api/v1/matches", {"pattern": book}).json()["results"]
    assert [match["is_new"] for match in listed] == [False, True]
    again = rita.get(f"/api/v1/matches/{listed[0]['id']}").json()
    assert "words_agreed" not in listed[0]["why"]
    assert again["why"]["words_agreed"] == ["flight", "is", "full"]
    assert again["why"]["placeholders"] == {"<id>": 1}
    assert rita.get("/api/v1/matches/mat_none").status_code == 404
