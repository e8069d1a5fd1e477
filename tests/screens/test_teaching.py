"""Reviewers teach in the admin: patterns side by side, merged, split, silenced, and all of it taken back."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from catalog.models import Pattern, Teaching
from catalog.services import match_incidents
from governance.database.tenancy import tenant_scope
from governance.models import Tenant

from .. import factories
from .conftest import Visit

WHY = {"reason": "I know this system."}


@pytest.fixture
def ids(acme: Tenant) -> dict[str, Any]:
    """Two patterns of the same words but one, and the incidents of the first."""
    told = [
        "order 71: shop 404 is closed",
        "order 72: shop 404 is closed",
        "order 73: shop 500 is closed",
    ]
    incidents = [factories.incident(each) for each in told]
    other = factories.incident("order 74: shop 404 is full")
    matches = match_incidents([*incidents, other])
    return {
        "closed": matches[incidents[0].id].pattern_id,
        "full": matches[other.id].pattern_id,
        "incidents": [each.id for each in incidents],
    }


def do(client: Client, pattern: str, verb: str, **said: Any) -> str:
    """Carry out a verb of a pattern; the page that follows."""
    address = reverse("admin:catalog_pattern_do", args=[pattern, verb])
    return client.post(address, {"id": pattern, **WHY, **said}, follow=True).content.decode()


def test_two_patterns_side_by_side_show_where_they_differ(
    visit: Visit, ids: dict[str, Any]
) -> None:
    client = visit("reviewer")
    page = client.get(reverse("admin:catalog_pattern_change", args=[ids["closed"]]))
    beside = f"{reverse('admin:catalog_pattern_beside', args=[ids['closed']])}?with={ids['full']}"
    assert beside in page.content.decode()

    shown = client.get(beside).content.decode()
    assert '<mark class="other">closed</mark>' in shown
    assert '<mark class="other">full</mark>' in shown
    assert '<mark class="value">&lt;num&gt;</mark>' in shown
    assert "order 74: shop 404 is full" in shown
    merge = reverse("admin:catalog_pattern_do", args=[ids["closed"], "merge"])
    assert f"{merge}?into={ids['full']}" in shown
    asked = client.get(f"{merge}?into={ids['full']}").content.decode()
    assert f'value="{ids["full"]}"' in asked


def test_the_incidents_chosen_on_the_page_are_asked_about(
    visit: Visit, ids: dict[str, Any]
) -> None:
    client = visit("reviewer")
    page = client.get(f"/console/patterns/{ids['closed']}").content.decode()
    assert f'form="chosen" name="incidents" value="{ids["incidents"][2]}"' in page
    split = reverse("admin:catalog_pattern_do", args=[ids["closed"], "split"])
    asked = client.get(split, {"incidents": ids["incidents"][1:]}).content.decode()
    assert "\n".join(ids["incidents"][1:]) in asked
    assert (
        'name="incidents"'
        not in visit("viewer", "vic").get(f"/console/patterns/{ids['closed']}").content.decode()
    )


def test_a_viewer_sees_them_and_may_not_merge(visit: Visit, ids: dict[str, Any]) -> None:
    client = visit("viewer")
    beside = reverse("admin:catalog_pattern_beside", args=[ids["closed"]])
    shown = client.get(beside, {"with": ids["full"]})
    assert shown.status_code == 200
    assert "merge" not in shown.content.decode().lower()
    merge = reverse("admin:catalog_pattern_do", args=[ids["closed"], "merge"])
    assert client.post(merge, {"into": ids["full"], **WHY}).status_code == 403


def test_merged_and_undone(visit: Visit, ids: dict[str, Any], acme: Tenant) -> None:
    client = visit("reviewer")
    assert "done" in do(client, ids["full"], "merge", into=ids["closed"])
    with tenant_scope(acme.id):
        teaching = Teaching.objects.get()
        assert Pattern.objects.get(pk=ids["full"]).root_id == ids["closed"]
    listed = client.get(reverse("admin:catalog_pattern_changelist")).content.decode()
    assert "merged into" in listed

    undo = reverse("admin:catalog_teaching_do", args=[teaching.id, "undo"])
    assert "done" in client.post(undo, {"id": teaching.id, **WHY}, follow=True).content.decode()
    with tenant_scope(acme.id):
        assert Pattern.objects.get(pk=ids["full"]).root_id is None


def test_split_by_the_ids_of_incidents(visit: Visit, ids: dict[str, Any], acme: Tenant) -> None:
    client = visit("reviewer")
    page = do(client, ids["closed"], "split", incidents=ids["incidents"][2], called="Shop 500")
    assert "done" in page
    with tenant_scope(acme.id):
        assert Pattern.objects.get(name="Shop 500").matches.get().incident_id == ids["incidents"][2]


def test_what_cannot_be_is_said(visit: Visit, ids: dict[str, Any], acme: Tenant) -> None:
    client = visit("reviewer")
    assert "There is no pattern nowhere" in do(client, ids["closed"], "merge", into="nowhere")
    assert "Say until when" in do(client, ids["closed"], "silence", how="ignored")
    assert "done" in do(client, ids["closed"], "silence", how="ignored", hours="24")
    assert "done" in do(client, ids["closed"], "heed")
    with tenant_scope(acme.id):
        assert [each.kind for each in Teaching.objects.order_by("id")] == ["silenced", "heeded"]


def test_another_tenants_pattern_is_not_there(
    visit: Visit, ids: dict[str, Any], umbra: Tenant
) -> None:
    client = visit("admin", "ursula", umbra)
    for one, other in ((ids["closed"], ids["full"]), (ids["full"], "nothing"), ("nothing", "")):
        answer = client.get(reverse("admin:catalog_pattern_beside", args=[one]), {"with": other})
        assert answer.status_code == 404
