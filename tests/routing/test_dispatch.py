"""What a weight is now, and who gets the call."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from governance.models import Tenant
from routing import dispatch
from tests import factories

from .making import TOOL, adjustment, policy

DAY = timedelta(days=1)


def test_an_agent_that_nothing_is_known_of_is_trusted(acme: Tenant) -> None:
    scout = factories.agent()
    assert dispatch.weight(scout, TOOL) == 1.0
    assert dispatch.escalation(scout, TOOL) == 0.0
    assert dispatch.weights(scout) == {}


def test_adjustments_of_several_policies_add_up_and_fade(acme: Tenant) -> None:
    now = timezone.now()
    adjustment(policy(), magnitude=-0.2, started_at=now)
    adjustment(policy(), magnitude=-0.2, started_at=now - 3.5 * DAY)
    adjustment(policy(), magnitude=0.1, type="escalation_add", started_at=now)
    scout = factories.agent()
    assert dispatch.weight(scout, TOOL, now) == pytest.approx(0.7)
    assert dispatch.escalation(scout, TOOL, now) == pytest.approx(0.1)
    assert dispatch.weight(scout, TOOL, now + 7 * DAY) == 1.0


@pytest.mark.parametrize("state", ["draft", "shadow", "pending", "suspended", "retired"])
def test_an_adjustment_counts_only_while_its_policy_is_active(acme: Tenant, state: str) -> None:
    adjustment(policy(state=state))
    assert dispatch.weight(factories.agent(), TOOL) == 1.0


@pytest.mark.parametrize("state", ["ended", "rolled_back", "reverted"])
def test_a_closed_adjustment_does_not_count(acme: Tenant, state: str) -> None:
    adjustment(policy(), state=state)
    assert dispatch.weight(factories.agent(), TOOL) == 1.0


def test_weights_list_what_is_adjusted(acme: Tenant) -> None:
    now = timezone.now()
    one = adjustment(policy(), started_at=now)
    other = adjustment(policy(), started_at=now, type="route_block", capability="http_get")
    found = dispatch.weights(factories.agent(), now)
    assert list(found) == ["http_get", TOOL]
    assert found[TOOL].adjustments == (one.id,)
    assert not found[TOOL].is_blocked
    assert found["http_get"].adjustments == (other.id,)
    assert found["http_get"].is_blocked


def test_the_heaviest_agent_is_chosen_and_ties_go_by_name(acme: Tenant) -> None:
    scout, rover, ace = factories.agent(), factories.agent("rover"), factories.agent("ace")
    assert dispatch.choose([scout, rover, ace], TOOL) == ace
    adjustment(policy(), agent="ace")
    assert dispatch.choose([ace, scout, rover], TOOL) == rover
    assert dispatch.choose([ace, scout, rover], "http_get") == ace


def test_blocked_and_stopped_agents_are_never_chosen(acme: Tenant) -> None:
    scout, rover = factories.agent(), factories.agent("rover")
    adjustment(policy(), type="route_block")
    assert dispatch.choose([scout, rover], TOOL) == rover
    rover.stopped = True
    assert dispatch.choose([scout, rover], TOOL) is None
    assert dispatch.choose([], TOOL) is None
