"""What people teach about patterns, over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from catalog.models import Pattern, PatternMatch, Teaching
from catalog.services import match_incidents
from governance.database.tenancy import leave_tenant, tenant_scope
from governance.models import Tenant, User
from tests import factories

from .test_api import PATTERNS, Client

WHY = {"reason": "I know this system."}
TEACHINGS = "/api/v1/teachings"


@pytest.fixture
def ids(acme: Tenant) -> dict[str, Any]:
    """Two patterns, and the incidents of the first."""
    messages = ["order 71: shop 404", "order 72: shop 404", "order 73: shop 500"]
    incidents = [factories.incident(message) for message in messages]
    other = factories.incident("no seats are left")
    matches = match_incidents([*incidents, other])
    return {
        "orders": matches[incidents[0].id].pattern_id,
        "seats": matches[other.id].pattern_id,
        "incidents": [each.id for each in incidents],
        "other": other.id,
    }


@pytest.fixture
def rita(acme: Tenant, ids: dict[str, Any], reviewer: User, api: Client) -> APIClient:
    token = factories.person_token(acme, reviewer)
    leave_tenant()
    return api(token)


def test_merged_it_is_listed_with_the_other_one_and_undone_by_itself(
    rita: APIClient, ids: dict[str, Any]
) -> None:
    taught = rita.post(f"{PATTERNS}/{ids['seats']}/merge", {"into": ids["orders"], **WHY})
    assert (taught.status_code, taught.json()["kind"]) == (201, "merged")
    assert (taught.json()["pattern_id"], taught.json()["other_id"]) == (ids["orders"], ids["seats"])
    [listed] = rita.get(PATTERNS).json()["results"]
    assert (listed["members"], listed["occurrences"]) == ([ids["seats"]], 4)
    assert rita.get(f"{PATTERNS}/{ids['seats']}").json()["root_id"] == ids["orders"]

    address = f"{TEACHINGS}/{taught.json()['id']}"
    undone = rita.post(f"{address}/undo", WHY)
    assert (undone.status_code, undone.json()["undoes_id"]) == (201, taught.json()["id"])
    assert rita.get(address).json()["is_undone"] is True
    assert rita.post(f"{address}/undo", WHY).status_code == 409
    assert len(rita.get(PATTERNS).json()["results"]) == 2


def test_split_off_and_moved_back(rita: APIClient, ids: dict[str, Any]) -> None:
    gone = ids["incidents"][2]
    split = rita.post(
        f"{PATTERNS}/{ids['orders']}/split", {"incidents": [gone], "name": "Shop 500", **WHY}
    ).json()
    new = rita.get(f"{PATTERNS}/{split['pattern_id']}").json()
    assert (new["name"], new["occurrences"]) == ("Shop 500", 1)
    newest = rita.get("/api/v1/matches", {"incident": gone}).json()["results"][0]
    assert (newest["pattern_id"], newest["confidence"]) == (new["id"], 1.0)
    assert newest["corrects_id"]
    assert rita.get(f"/api/v1/matches/{newest['id']}").json()["why"]["taught"] == split["id"]

    moved = rita.post(f"{PATTERNS}/{ids['orders']}/move", {"incidents": [gone], **WHY})
    assert (moved.status_code, moved.json()["not_learned"]) == (201, [])
    kinds = [each["kind"] for each in rita.get(TEACHINGS, {"pattern": new["id"]}).json()["results"]]
    assert kinds == ["moved", "split"]


def test_renamed_once(rita: APIClient, ids: dict[str, Any]) -> None:
    address = f"{PATTERNS}/{ids['seats']}/rename"
    assert rita.post(address, {"name": "Booked out"}).json()["kind"] == "renamed"
    assert rita.post(address, {"name": "Booked out"}).status_code == 204
    assert rita.get(f"{PATTERNS}/{ids['seats']}").json()["name"] == "Booked out"


def test_silenced_until_and_heeded(rita: APIClient, ids: dict[str, Any], acme: Tenant) -> None:
    address = f"{PATTERNS}/{ids['seats']}"
    until = (timezone.now() + timedelta(hours=2)).isoformat()
    assert (
        rita.post(f"{address}/silence", {"how": "ignored", "until": until, **WHY}).status_code
        == 201
    )
    with tenant_scope(acme.id):
        match_incidents([factories.incident("no seats are left")])
    told = rita.get(address).json()
    assert (told["silenced_as"], told["silenced"]) == ("ignored", 1)
    assert told["silenced_until"]
    assert rita.post(f"{address}/heed", WHY).status_code == 201
    assert rita.get(address).json()["silenced_as"] == ""


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("merge", {"into": "pat_none"}, "into"),
        ("merge", {}, "into"),
        ("split", {"incidents": []}, "incidents"),
        ("split", {"incidents": ["inc_none"]}, "incidents"),
        ("split", {"incidents": ["x"] * 201}, "incidents"),
        ("move", {"incidents": "all"}, "incidents"),
        ("rename", {"name": "\u202e"}, "name"),
        ("silence", {"how": "ignored"}, "until"),
        ("silence", {"how": "loud"}, "how"),
    ],
)
def test_what_cannot_be_names_the_field(
    rita: APIClient, ids: dict[str, Any], acme: Tenant, verb: str, body: dict[str, Any], field: str
) -> None:
    answer = rita.post(f"{PATTERNS}/{ids['orders']}/{verb}", {**WHY, **body})
    assert answer.status_code == 400
    assert field in str(answer.json())
    with tenant_scope(acme.id):
        assert not Teaching.objects.exists()
        assert PatternMatch.objects.count() == 4


@pytest.mark.parametrize("verb", ["merge", "split", "move", "rename", "silence", "heed"])
def test_an_agent_may_not_and_an_outsider_finds_nothing(
    rita: APIClient, ids: dict[str, Any], acme: Tenant, umbra: Tenant, api: Client, verb: str
) -> None:
    address = f"{PATTERNS}/{ids['orders']}/{verb}"
    body = {
        "into": ids["seats"],
        "incidents": ids["incidents"][:1],
        "name": "x",
        "how": "expected",
        **WHY,
    }
    assert api(factories.agent_token(acme)).post(address, body).status_code == 403
    person = factories.member(umbra, "ursula", "admin")
    assert api(factories.person_token(umbra, person)).post(address, body).status_code == 404
    with tenant_scope(acme.id):
        assert Pattern.objects.filter(root=None, silenced_as="").count() == 2


def test_a_foreign_pattern_or_incident_is_unknown(
    rita: APIClient, ids: dict[str, Any], umbra: Tenant, api: Client
) -> None:
    with tenant_scope(umbra.id):
        theirs = factories.incident("no seats are left")
        foreign = match_incidents([theirs])[theirs.id].pattern_id
    for verb, body in (("merge", {"into": foreign}), ("move", {"incidents": [theirs.id]})):
        answer = rita.post(f"{PATTERNS}/{ids['orders']}/{verb}", {**WHY, **body})
        assert answer.status_code == 400, answer.json()
