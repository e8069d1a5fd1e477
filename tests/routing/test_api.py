"""Adjustments and weights over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from governance.database.tenancy import leave_tenant, tenant_scope
from governance.models import Tenant, User
from routing.models import Adjustment, AdjustmentEvidence
from tests import factories

from .making import TOOL, adjustment, policy

Api = Callable[..., APIClient]

ADJUSTMENTS = "/api/v1/adjustments"
WEIGHTS = "/api/v1/routing/weights"


@pytest.fixture
def agents(acme: Tenant, api: Api) -> APIClient:
    """A client with an agent's token; the scope is left, as in a real request."""
    token = factories.agent_token(acme)
    return api(token)


@pytest.fixture
def operator(acme: Tenant, api: Api) -> APIClient:
    """A client with an operator's token."""
    return api(factories.person_token(acme, factories.member(acme, "olga", "operator")))


def test_an_adjustment_is_shown_with_what_is_left_of_it(acme: Tenant, agents: APIClient) -> None:
    one = adjustment(policy(), started_at=timezone.now() - timedelta(days=3.5))
    AdjustmentEvidence.objects.create(adjustment=one, incident=factories.incident())
    leave_tenant()

    shown = agents.get(f"{ADJUSTMENTS}/{one.id}").json()
    assert shown["failure_state"] is None

    assert shown["agent_id"] == "scout"
    assert shown["magnitude"] == pytest.approx(-0.18)
    assert shown["effective"] == pytest.approx(-0.09, abs=0.001)
    assert shown["incidents"] == 1


def test_an_adjustment_of_a_policy_that_is_not_active_has_no_effect(
    acme: Tenant, agents: APIClient
) -> None:
    one = adjustment(policy(state="shadow"))
    leave_tenant()
    assert agents.get(f"{ADJUSTMENTS}/{one.id}/").json()["effective"] == 0.0


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", 3),
        ("?agent=scout", 2),
        ("?capability=http_get", 1),
        ("?state=ended", 1),
        ("?agent=scout&state=open", 1),
        ("?agent=nobody", 0),
    ],
)
def test_the_list_can_be_narrowed(acme: Tenant, agents: APIClient, query: str, found: int) -> None:
    by = policy()
    adjustment(by)
    adjustment(by, state="ended", capability="http_get")
    adjustment(by, agent="rover")
    leave_tenant()
    assert len(agents.get(ADJUSTMENTS + query).json()["results"]) == found


def test_a_state_that_does_not_exist_is_refused_by_name(acme: Tenant, agents: APIClient) -> None:
    leave_tenant()
    answer = agents.get(f"{ADJUSTMENTS}?state=lost")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "state"


def test_an_operator_rolls_back_once_and_with_a_reason(acme: Tenant, operator: APIClient) -> None:
    one = adjustment(policy())
    leave_tenant()
    address = f"{ADJUSTMENTS}/{one.id}/roll-back"
    assert operator.post(address, {}).status_code == 400
    answer = operator.post(address, {"reason": "scout was not to blame"})
    assert answer.status_code == 200
    assert answer.json()["state"] == "rolled_back"
    assert answer.json()["effective"] == 0.0
    assert operator.post(address, {"reason": "again"}).status_code == 409


def test_neither_agents_nor_reviewers_roll_back(
    acme: Tenant, agents: APIClient, api: Api, reviewer: User
) -> None:
    one = adjustment(policy())
    as_reviewer = api(factories.person_token(acme, reviewer))
    leave_tenant()
    for client in (agents, as_reviewer):
        assert client.post(f"{ADJUSTMENTS}/{one.id}/roll-back", {"reason": "x"}).status_code == 403
    with tenant_scope(acme.id):
        assert Adjustment.objects.get().state == "open"


def test_an_outsider_finds_nothing(acme: Tenant, umbra: Tenant, api: Api) -> None:
    one = adjustment(policy())
    leave_tenant()
    outsider = api(factories.agent_token(umbra, "raven"))
    assert outsider.get(ADJUSTMENTS).json()["results"] == []
    assert outsider.get(f"{ADJUSTMENTS}/{one.id}").status_code == 404
    assert outsider.post(f"{ADJUSTMENTS}/{one.id}/roll-back", {"reason": "x"}).status_code == 404
    assert outsider.get(f"{WEIGHTS}?agent_id=scout").status_code == 404


def test_weights_are_read_for_all_capabilities_or_for_one(acme: Tenant, agents: APIClient) -> None:
    one = adjustment(policy(), type="route_block")
    leave_tenant()

    [route] = agents.get(f"{WEIGHTS}?agent_id=scout").json()["weights"]
    assert route["capability"] == TOOL
    assert route["weight"] == pytest.approx(0.82, abs=0.001)
    assert route["is_blocked"] is True
    assert route["adjustments"] == [one.id]

    [other] = agents.get(f"{WEIGHTS}?agent_id=scout&capability=http_get").json()["weights"]
    assert other == {
        "capability": "http_get",
        "weight": 1.0,
        "escalation": 0.0,
        "is_blocked": False,
        "adjustments": [],
    }


@pytest.mark.parametrize(("query", "status"), [("", 400), ("?agent_id=nobody", 404)])
def test_weights_need_an_agent_that_is_known(
    acme: Tenant, agents: APIClient, query: str, status: int
) -> None:
    leave_tenant()
    assert agents.get(WEIGHTS + query).status_code == status
