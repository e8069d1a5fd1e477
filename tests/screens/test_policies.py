"""The console's pages of policies, graduation and calibrations."""

from __future__ import annotations

import pytest
from django.utils.html import escape

from catalog.models import PatternMatch
from governance.actors import CLOCK, Actor
from governance.database.tenancy import tenant_scope
from governance.models import Tenant
from policies.conditions import compile_condition
from policies.models import Policy
from policies.services import calibrations, graduation, regret
from policies.views.policies import EXAMPLES
from tests import factories
from tests.factories import SCOUT
from tests.policies import living

from .conftest import Visit

PAGES = ["policies", "policies?mode=active&source=recovery&tool=x", "graduation", "calibrations"]


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_tenant_sees_every_page(visit: Visit, page: str) -> None:
    assert visit().get(f"/console/{page}").status_code == 200


def test_the_life_of_a_policy_is_on_one_page(acme: Tenant, rita: Actor, visit: Visit) -> None:
    living.manual(category="custom", tool="")
    policy = living.active(living.pattern(), rita)
    for actor in (SCOUT, rita):
        regret.report(policy, severity=8, actor=actor, description="It stopped a good one.")
    client = visit()
    page = client.get(f"/console/policies/{policy.id}").content.decode()
    for part in ("In force", "Version 1 lost its force", "It makes sense.", "Version 1 to 2"):
        assert part in page, part
    assert "custmer_id" in page
    assert client.get(f"/console/policies/{policy.id}?from=1&to=99").status_code == 200
    assert client.get("/console/policies/pol_nobody").status_code == 404
    listed = client.get("/console/policies?mode=shadow").content.decode()
    assert policy.name.split(":")[0] in listed


def test_an_outsider_sees_none_of_it(
    acme: Tenant, umbra: Tenant, rita: Actor, visit: Visit
) -> None:
    policy = living.active(living.pattern(), rita)
    client = visit("admin", "olaf", umbra)
    assert client.get(f"/console/policies/{policy.id}").status_code == 404
    assert client.get(f"/console/calibrations/{policy.pattern_id}").status_code == 404
    assert policy.name not in client.get("/console/policies").content.decode()


def test_an_operator_writes_a_policy_and_a_bad_condition_is_named(
    acme: Tenant, visit: Visit
) -> None:
    client = visit("operator", "otto")
    said = {
        "name": "Nothing is dropped",
        "condition": 'arguments.query.contains("DROP"',
        "action": "block",
        "category": "custom",
        "tool": "sql_query",
        "failure_mode": "fail_open",
        "bind_at": "run_start",
    }
    refused = client.post("/console/policies/new", said)
    assert refused.status_code == 400
    assert "wrong" in refused.content.decode()
    drafted = client.post("/console/policies/new", {**said, "condition": said["condition"] + ")"})
    assert drafted.status_code == 302
    with tenant_scope(acme.id):
        policy = Policy.objects.get()
        assert (policy.state, policy.source) == ("draft", "manual")
        assert (policy.failure_mode, policy.bind_at) == ("fail_open", "run_start")
    assert visit("viewer", "vera").get("/console/policies/new").status_code == 403


def test_what_it_would_have_touched_is_told_before_anything_is_saved(
    acme: Tenant, visit: Visit
) -> None:
    for ok in (True, True, False):
        living.reported(living.decision({"sql": "DROP TABLE orders"}), ok=ok)
    living.reported(living.decision({"sql": "SELECT 1"}), ok=True)
    said = {
        "name": "Nothing is dropped",
        "condition": 'arguments.sql.contains("DROP")',
        "action": "block",
        "category": "custom",
        "failure_mode": "fail_closed",
        "bind_at": "each_step",
        "try": "yes",
    }
    client = visit("operator", "otto")
    page = client.post("/console/policies/new", said)
    assert page.status_code == 200
    told = " ".join(page.content.decode().split())
    assert "Would have touched 3 calls of 1 agent in 30 days, of 4 that were carried out." in told
    assert "1 of them had failed, 2 had gone well." in told
    assert "Nothing is dropped" in told, "what was typed must not be lost"
    with tenant_scope(acme.id):
        assert not Policy.objects.exists()
    wrong = client.post("/console/policies/new", {**said, "condition": "arguments.sql ="})
    assert wrong.status_code == 400
    assert "Would have touched" not in wrong.content.decode()


@pytest.mark.parametrize("condition", [condition for condition, _ in EXAMPLES])
def test_an_example_is_a_condition_and_is_shown(acme: Tenant, visit: Visit, condition: str) -> None:
    compile_condition(condition)
    page = visit("operator", "otto").get("/console/policies/new").content.decode()
    assert escape(condition) in page


def test_what_was_simulated_stands_apart(acme: Tenant, rita: Actor, visit: Visit) -> None:
    policy = living.active(living.pattern(), rita)
    regret.report(policy, severity=10, actor=rita, simulated=True)
    client = visit()
    page = client.get("/console/graduation").content.decode()
    assert "which never count" in page
    with tenant_scope(acme.id):
        graduation.forget_simulations(actor=rita)
    page = client.get("/console/graduation").content.decode()
    assert "which never count" not in page
    assert "Simulated evidence forgotten" in page


def test_a_calibration_is_plotted_frozen_and_judged_by_hand(
    acme: Tenant, rita: Actor, visit: Visit
) -> None:
    pattern = living.pattern()
    *judged, match = [
        PatternMatch.objects.create(
            incident=factories.incident(f"shape {at}"),
            pattern=pattern,
            confidence=0.75,
            band="weak",
        )
        for at in range(11)
    ]
    for each in judged:
        calibrations.judge(each, is_right=True, actor=rita)
    calibrations.weigh(pattern, actor=CLOCK)
    client = visit("reviewer", "paul")
    address = f"/console/calibrations/{pattern.id}"
    page = client.get(address).content.decode()
    assert "<circle" in page
    assert "confirmed 100%" in page
    assert client.post(f"{address}/freeze", {"reason": "Wait."}).status_code == 302
    assert "frozen" in client.get(address).content.decode()
    assert client.post(f"{address}/freeze", {"reason": "Wait."}).status_code == 409
    assert client.post(f"{address}/matches/{match.id}/wrong").status_code == 302
    assert visit("viewer", "vera").post(f"{address}/thaw", {"reason": "x"}).status_code == 403
