"""The page about coverage: filters in its address, empty states, and nothing of another tenant."""

from __future__ import annotations

from django.test import Client

from governance.database.tenancy import tenant_scope
from governance.models import Tenant
from tests.policies.guarding import ask, policy

from .conftest import Visit


def shown(vera: Client, query: str = "") -> str:
    answer = vera.get(f"/console/coverage/{query}")
    assert answer.status_code == 200
    return answer.content.decode()


def test_an_empty_tenant_is_told_so(visit: Visit) -> None:
    page = shown(visit())
    assert "No call in the last 30 days." in page
    assert "No policy is live." in page
    assert page.count("No policy is live.") == 2


def test_calls_rules_and_clashes_are_shown_and_filtered(visit: Visit, acme: Tenant) -> None:
    policy("no first class", tool="book", condition='arguments.cabin == "first"')
    policy("<b>never</b>", tool="book", condition='arguments.cabin == "first" && has(arguments.x)')
    ask("book", {"cabin": "first"})
    ask("pay", {})
    vera = visit()
    page = shown(vera)
    assert "spoke of 1 of 2 calls" in page
    assert "&lt;b&gt;never&lt;/b&gt;" in page
    assert "<b>never" not in page
    assert "<b>redundant</b>" in page
    assert "spoke of 1 of 1 calls" in shown(vera, "?tool=book&days=7")
    alone = shown(vera, "?tool=pay")
    assert "spoke of 0 of 1 calls" in alone
    assert "No policy is live for pay." in alone
    assert "redundant" not in alone
    assert "No call of walk in the last 90 days." in shown(vera, "?tool=walk&days=90")
    assert "in the last 30 days" in shown(vera, "?days=x&tool=walk")


def test_another_tenants_calls_and_policies_are_not_there(
    visit: Visit, acme: Tenant, umbra: Tenant
) -> None:
    vera = visit()
    with tenant_scope(umbra.id):
        policy("umbra's own", tool="umbral")
        ask("umbral", {})
    assert "umbra" not in shown(vera)
