"""Poisoned evidence: of ten agents one is hostile, and tells of failures or successes that never were.

It goes through the real guard, outcomes and loop, in a tenant where nobody is asked, so that only evidence decides.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from governance import checkpoints
from governance.actors import Actor
from governance.database.tenancy import (
    enter_tenant,
    leave_tenant,
    outside_tenants,
    required_tenant,
    tenant_scope,
)
from governance.loop.run import run_ready
from governance.models import Checkpoint, Tenant
from policies.models import Decision, Policy
from policies.services import guard, life
from tests import factories

HONEST = [f"agent-{number}" for number in range(9)]
HOSTILE = "mallory"
GONE = "Error: order 4711 was not found"
SOMEBODY = Actor("user", "1", "somebody")


pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def acme(transactional_db: None) -> Iterator[Tenant]:
    """A tenant that asks nobody about policies: three confirmations put one in force."""
    tenant = factories.tenant("acme", checkpoints_off=[Checkpoint.Type.APPROVE_POLICY.value])
    token = enter_tenant(tenant.id)
    yield tenant
    leave_tenant(token)


def tells(agent: str, run: str, *, error: str = "", order: int = 4711) -> str:
    """An agent asks, acts, and tells how it went; the verdict."""
    actor = Actor("service", f"acc_{agent}", agent)
    with tenant_scope(required_tenant()):
        answer = guard.decide(
            agent_name=agent,
            run_name=run,
            step=0,
            kind="tool_call",
            tool="ship",
            arguments={"order": order},
            context={},
            actor=actor,
        )
        if answer.verdict not in guard.DENIED:
            decision = Decision.objects.select_related("agent", "run").get(pk=answer.decision_id)
            guard.report_outcome(
                decision,
                ok=not error,
                error_type="ToolError" if error else "",
                error_message=error,
                actor=actor,
            )
    settle()
    return answer.verdict


def settle() -> None:
    """Run the loops. A person agrees to what is done about a failure; whether a policy comes into force is not asked."""
    tenant_id = required_tenant()
    with outside_tenants():
        run_ready()
        with tenant_scope(tenant_id):
            for waiting in Checkpoint.objects.filter(state=Checkpoint.State.PENDING):
                checkpoints.decide(waiting, approve=True, actor=SOMEBODY, digest=waiting.digest)
        run_ready()


def policy() -> Policy:
    """The one policy there is."""
    with tenant_scope(required_tenant()):
        return Policy.objects.get()


def states() -> list[str]:
    with tenant_scope(required_tenant()):
        return sorted(Policy.objects.values_list("state", flat=True))


def test_one_agent_that_floods_failures_puts_nothing_in_force(acme: Tenant) -> None:
    for number in range(20):
        assert tells(HOSTILE, f"run-{number}", error=GONE) == "allow"

    assert states() == ["shadow"]
    assert [tells(agent, "run-1") for agent in HONEST] == ["allow"] * 9


def test_a_second_agent_that_fails_so_puts_it_in_force(acme: Tenant) -> None:
    for number in range(2):
        tells(HONEST[0], f"run-{number}", error=GONE)
    assert states() == ["shadow"]

    tells(HONEST[1], "run-1", error=GONE)

    assert states() == ["active"]
    assert tells(HONEST[2], "run-1") == "block"


def test_a_reviewer_counts_as_the_second(acme: Tenant) -> None:
    for number in range(2):
        tells(HONEST[0], f"run-{number}", error=GONE)

    with tenant_scope(acme.id):
        life.confirm(Policy.objects.get(), actor=SOMEBODY)

    assert states() == ["active"]


def test_one_agent_that_floods_successes_takes_no_policy_from_several_others(acme: Tenant) -> None:
    for agent in HONEST[:2]:
        tells(agent, "run-1", error=GONE)
    before = policy()

    for number in range(20):
        assert tells(HOSTILE, f"run-{number}") == "allow"

    now = policy()
    assert (now.state, now.version, now.condition) == (
        "shadow",
        before.version,
        before.condition,
    )
    tells(HONEST[2], "run-1", error=GONE)
    assert states() == ["active"]
    # In force, what it is told by who is blocked changes nothing either.
    assert {tells(HOSTILE, f"later-{number}") for number in range(5)} == {"block"}
    assert states() == ["active"]


def test_two_agents_for_whom_it_went_well_are_believed(acme: Tenant) -> None:
    for agent in HONEST[:2]:
        tells(agent, "run-1", error=GONE)
    condition = policy().condition

    tells(HONEST[3], "run-1")
    assert policy().condition == condition
    tells(HONEST[4], "run-1")

    assert policy().condition != condition


def test_a_success_is_believed_at_once_where_one_agent_alone_says_otherwise(acme: Tenant) -> None:
    tells(HOSTILE, "run-1", error=GONE)
    condition = policy().condition

    tells(HONEST[0], "run-1")

    assert policy().condition != condition
