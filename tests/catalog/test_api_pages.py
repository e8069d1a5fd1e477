"""What the pages of patterns show, over HTTP: days, similar patterns, and a catalogue as a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
import rfc8785
from rest_framework.test import APIClient

from catalog.models import Pattern
from catalog.services import match_incidents
from governance.actors import Actor
from governance.database.tenancy import leave_tenant, tenant_scope
from governance.models import LedgerEntry, Tenant, User
from incidents import services as incidents
from tests import factories

from .test_match import failure, failures

Client = Callable[..., APIClient]
PATTERNS = "/api/v1/patterns"


@pytest.fixture
def rita(acme: Tenant, reviewer: User, api: Client) -> APIClient:
    """The reviewer's client, in a tenant with two patterns that are alike, one of which came back."""
    seen = failures(
        ["flight HAT101 is full for today", "flight HAT122 is full for today"], tool="book"
    )
    match_incidents(seen)
    actor = Actor("user", str(reviewer.pk), "rita")
    incidents.resolve(seen[1], actor=actor, reason="There are seats again.")
    match_incidents([failure("flight HAT133 is full for today", tool="book")])
    match_incidents([failure("flight HAT144 is late for today", tool="book")])
    token = factories.person_token(acme, reviewer)
    leave_tenant()
    return api(token)


@pytest.fixture
def full(rita: APIClient) -> str:
    """The address of the pattern that occurred three times."""
    rows = rita.get(PATTERNS).json()["results"]
    return f"{PATTERNS}/{next(each['id'] for each in rows if each['occurrences'] == 3)}"


def test_a_pattern_says_whom_it_hit_and_that_it_came_back(rita: APIClient, full: str) -> None:
    told = rita.get(full).json()
    assert (told["agents"], told["tools"], told["runs"]) == (1, 1, 0)
    assert told["is_regression"] is True
    assert told["regressed_at"] is not None
    other = next(each for each in rita.get(PATTERNS).json()["results"] if each["id"] not in full)
    assert "agents" not in other  # a list asks nothing for each row
    told = rita.get(f"{PATTERNS}/{other['id']}").json()
    assert (told["is_regression"], told["regressed_at"]) == (False, None)


def test_days_end_today_and_are_as_many_as_asked(rita: APIClient, full: str) -> None:
    month = rita.get(f"{full}/occurrences").json()
    assert len(month["days"]) == 30
    assert (month["total"], month["is_cut"], month["days"][-1]["count"]) == (3, False, 3)
    assert len(rita.get(f"{full}/occurrences", {"days": 90}).json()["days"]) == 90


@pytest.mark.parametrize("days", ["0", "91", "-1", "x", "1.5", "", "9" * 30, "٣"])
def test_other_days_are_refused_by_name_and_limit(rita: APIClient, full: str, days: str) -> None:
    answer = rita.get(f"{full}/occurrences", {"days": days})
    assert (answer.status_code, answer.json()["field"]) == (400, "days")
    assert "1 to 90" in answer.json()["detail"]


def test_similar_patterns_say_how_like_they_are_and_why(rita: APIClient, full: str) -> None:
    [like] = rita.get(f"{full}/similar").json()["results"]
    assert like["pattern"]["name"].endswith("flight <id> is late for today")
    assert 0 <= like["similarity"] < 0.6
    assert like["words_agreed"] == ["flight", "is", "for", "today"]
    assert like["differences"] == [{"kind": "word", "here": ["full"], "there": ["late"]}]


def test_an_export_is_one_file_and_an_agent_may_read_it(
    acme: Tenant, rita: APIClient, api: Client
) -> None:
    answer = api(factories.agent_token(acme)).get(f"{PATTERNS}/export")
    body = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    assert answer["Content-Type"] == "application/json"
    assert answer["Content-Disposition"] == 'attachment; filename="catalog.json"'
    assert int(answer["Content-Length"]) == len(body)
    file = json.loads(body)
    assert len(file["content"]["patterns"]) == 2
    assert hashlib.sha256(rfc8785.dumps(file["content"])).hexdigest() == file["hash"]


def exported(client: APIClient) -> dict[str, Any]:
    body = b"".join(client.get(f"{PATTERNS}/export").streaming_content)  # type: ignore[attr-defined]
    file: dict[str, Any] = json.loads(body)
    return file


def test_a_reviewer_looks_at_a_file_and_then_takes_it_over(
    rita: APIClient, umbra: Tenant, api: Client
) -> None:
    file = exported(rita)
    olaf = api(factories.person_token(umbra, factories.member(umbra, "olaf", "reviewer")))
    seen = olaf.post(f"{PATTERNS}/import", {"catalog": file, "preview": True}).json()
    assert (seen["new"], seen["extended"], seen["unchanged"], seen["conflicts"]) == (2, 0, 0, 0)
    assert seen["patterns"][0]["pattern_id"] is None
    assert olaf.get(PATTERNS).json()["results"] == []
    without = olaf.post(f"{PATTERNS}/import", {"catalog": file})
    assert (without.status_code, without.json()["field"]) == (400, "reason")
    body = {"catalog": file, "reason": "They failed before us."}
    other = olaf.post(f"{PATTERNS}/import", {**body, "digest": "0" * 64})
    assert other.status_code == 409
    done = olaf.post(f"{PATTERNS}/import", {**body, "digest": seen["digest"]})
    assert (done.status_code, done.json()["new"], done.json()["signatures"]) == (200, 2, 4 - 2)
    again = olaf.post(f"{PATTERNS}/import", body).json()
    assert (again["new"], again["unchanged"], again["signatures"]) == (0, 2, 0)
    assert exported(olaf) == file
    with tenant_scope(umbra.id):
        assert LedgerEntry.objects.filter(kind="catalog.imported").count() == 1


def test_a_corrupted_file_is_refused(rita: APIClient) -> None:
    file = exported(rita)
    file["content"]["patterns"][0]["name"] = "Another name"
    answer = rita.post(f"{PATTERNS}/import", {"catalog": file, "reason": "why"})
    assert (answer.status_code, answer.json()["field"]) == (400, "catalog.hash")
    for catalog in ({}, {"content": None}, {**file, "version": 10**30}):
        body = json.dumps({"catalog": catalog, "reason": "why"})
        answer = rita.post(f"{PATTERNS}/import", body, content_type="application/json")
        assert answer.status_code == 400, catalog


def test_an_agent_and_a_viewer_may_not_import(acme: Tenant, rita: APIClient, api: Client) -> None:
    file = exported(rita)
    vera = factories.member(acme, "vera", "viewer")
    for token in (factories.agent_token(acme), factories.person_token(acme, vera)):
        answer = api(token).post(f"{PATTERNS}/import", {"catalog": file, "reason": "why"})
        assert answer.status_code == 403


def test_an_outsider_sees_nothing(umbra: Tenant, rita: APIClient, full: str, api: Client) -> None:
    outsider = api(factories.agent_token(umbra))
    for path in ("", "/occurrences", "/similar"):
        assert outsider.get(f"{full}{path}").status_code == 404
    assert exported(outsider)["content"] == {"patterns": []}
    with tenant_scope(umbra.id):
        assert not Pattern.objects.exists()
