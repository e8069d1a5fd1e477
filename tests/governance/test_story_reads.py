"""Statistics, progress and narrative are read from the story's own events."""

from __future__ import annotations

import pytest

from governance.actors import COMMAND
from governance.database.tenancy import tenant_scope
from governance.loop.run import run_ready
from governance.models import Tenant
from governance.story.events import tell
from governance.story.progress import progress, stages
from governance.story.stats import stats
from governance.story.timeline import NoStory, timeline
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def tenant() -> Tenant:
    return factories.tenant("acme")


def test_figures_of_an_empty_tenant_are_zero_and_its_shares_unknown(tenant: Tenant) -> None:
    with tenant_scope(tenant.id):
        found = stats(24)
    assert found["total_incidents"] == 0
    assert found["loop_completion_rate"] is None
    assert {target["met"] for target in found["targets"]} == {None, True}


def test_a_waiting_loop_is_counted_apart(tenant: Tenant) -> None:
    with tenant_scope(tenant.id):
        factories.incident()
        factories.incident()
    run_ready()
    with tenant_scope(tenant.id):
        found = stats(24)
    assert found["total_incidents"] == 2
    assert (found["patterns_created"], found["patterns_matched"]) == (1, 1)
    assert found["loops"]["waiting"] == 2
    assert found["recoveries_suggested"] == 2
    assert found["recoveries_applied"] == 0
    assert {t["key"]: t["value"] for t in found["targets"]}["lost"] == 0


def test_progress_says_what_it_waits_for(tenant: Tenant) -> None:
    with tenant_scope(tenant.id):
        opened = factories.report()
    run_ready()
    with tenant_scope(tenant.id):
        opened.trace.refresh_from_db()
        now, rows = progress(opened.trace), stages(opened.trace)
    assert now["completion_pct"] == 40
    assert [row["state"] for row in rows] == ["done", "done", "waiting", "pending", "pending"]
    assert rows[2]["waits_for"].startswith("chk_")


def test_a_timeline_tells_simulated_from_real(tenant: Tenant) -> None:
    with tenant_scope(tenant.id):
        opened = factories.report()
        tell(opened.trace.id, "policy_born", "A policy was born", actor=COMMAND)
        tell(opened.trace.id, "prevention", "Prevented", actor=COMMAND, simulated=True)
        assert not timeline(opened.incident.id)["summary"]["is_learning_proof"]
        tell(opened.trace.id, "prevention", "Prevented", actor=COMMAND)
        found = timeline(opened.incident.id)
    assert found["summary"] == {"event_count": 4, "has_prevention": True, "is_learning_proof": True}
    assert "custmer_id" in found["narrative"]["what_happened"]


def test_an_unknown_incident_has_no_story(tenant: Tenant) -> None:
    with tenant_scope(tenant.id), pytest.raises(NoStory):
        timeline("inc_nothing")
