"""What people do in the console: decide, try again, take back, switch."""

from __future__ import annotations

import pytest

from governance import checkpoints
from governance.access.middleware import SESSION_KEY
from governance.actors import Actor
from governance.database.tenancy import tenant_scope
from governance.models import Checkpoint, LedgerEntry, LoopStep, Switch, Tenant

from .. import factories
from .conftest import Visit
from .stories import loop, question


def test_a_reviewer_approves_what_was_shown(visit: Visit, acme: Tenant):
    asked = question(loop(done=1))
    response = visit("reviewer").post(
        f"/console/checkpoints/{asked.id}/approve", {"digest": asked.digest}
    )
    assert response.status_code == 302
    with tenant_scope(acme.id):
        asked.refresh_from_db()
    assert asked.state == Checkpoint.State.APPROVED
    assert asked.decided_by.startswith("user:")


def test_htmx_gets_the_decided_question_instead_of_a_page(visit: Visit):
    asked = question(loop(done=1))
    response = visit("reviewer").post(
        f"/console/checkpoints/{asked.id}/approve",
        {"digest": asked.digest},
        headers={"HX-Request": "true"},
    )
    html = response.content.decode()
    assert response.status_code == 200
    assert f'id="{asked.id}"' in html
    assert "approved" in html
    assert "<html" not in html


def test_a_rejection_needs_a_reason(visit: Visit, acme: Tenant):
    asked = question(loop(done=1))
    response = visit("reviewer").post(
        f"/console/checkpoints/{asked.id}/reject", {"digest": asked.digest}
    )
    assert response.status_code == 400
    with tenant_scope(acme.id):
        asked.refresh_from_db()
    assert asked.state == Checkpoint.State.PENDING


def test_what_changed_since_it_was_shown_is_not_decided(visit: Visit):
    asked = question(loop(done=1))
    response = visit("reviewer").post(
        f"/console/checkpoints/{asked.id}/approve", {"digest": "0" * 64}
    )
    assert response.status_code == 409
    assert "read it again" in response.content.decode()


@pytest.mark.parametrize("htmx", [{}, {"HX-Request": "true"}])
def test_the_loser_is_told_who_was_first(visit: Visit, acme: Tenant, htmx: dict[str, str]):
    asked = question(loop(done=1))
    rita = factories.member(acme, "rita", "reviewer")
    checkpoints.decide(
        asked, approve=True, actor=Actor("user", str(rita.pk), "rita"), digest=asked.digest
    )
    response = visit("reviewer").post(
        f"/console/checkpoints/{asked.id}/reject",
        {"digest": asked.digest, "reason": "late"},
        headers=htmx,
    )
    assert response.status_code == 409
    assert "rita was first: it is approved already." in response.content.decode()


def test_those_that_ask_the_same_are_decided_each_by_itself(visit: Visit, acme: Tenant):
    same = [question(loop(f"payment {number}", done=1), params={"max": 120}) for number in range(3)]
    other = question(loop("another", done=1), params={"max": 999})
    client = visit("reviewer")
    assert "2 more like this" in client.get("/console/checkpoints").content.decode()
    client.post(
        f"/console/checkpoints/{same[0].id}/reject",
        {"digest": same[0].digest, "reason": "no", "also": "1"},
    )
    with tenant_scope(acme.id):
        states = dict(Checkpoint.objects.values_list("id", "state"))
        entries = LedgerEntry.objects.filter(kind="checkpoint.rejected").count()
    assert [states[each.id] for each in same] == ["rejected"] * 3
    assert states[other.id] == "pending"
    assert entries == 3


def test_a_viewer_cannot_decide(visit: Visit, acme: Tenant):
    asked = question(loop(done=1))
    client = visit("viewer")
    assert "data-approve" not in client.get("/console/checkpoints").content.decode()
    assert (
        client.post(
            f"/console/checkpoints/{asked.id}/approve", {"digest": asked.digest}
        ).status_code
        == 403
    )
    with tenant_scope(acme.id):
        asked.refresh_from_db()
    assert asked.state == Checkpoint.State.PENDING


def test_deciding_is_never_a_get(visit: Visit):
    asked = question(loop(done=1))
    assert visit("reviewer").get(f"/console/checkpoints/{asked.id}/approve").status_code == 405


def test_a_dead_step_shows_its_cause_and_is_tried_again_with_one_click(visit: Visit, acme: Tenant):
    trace = loop(done=1, step="dead", state="dead", error="OperationalError: connection refused")
    client = visit("reviewer")
    page = client.get(f"/console/stories/{trace.incident_id}").content.decode()
    assert "connection refused" in page
    assert "Try again" in page
    assert (
        client.post(f"/console/stories/{trace.incident_id}/retry/recovery_suggested").status_code
        == 302
    )
    with tenant_scope(acme.id):
        assert trace.steps.get(stage="recovery_suggested").state == LoopStep.State.READY
        assert trace.events.filter(type="retried").exists()


def test_a_stage_that_did_not_fail_cannot_be_tried_again(visit: Visit):
    trace = loop(done=2)
    response = visit("reviewer").post(f"/console/stories/{trace.incident_id}/retry/pattern_matched")
    assert response.status_code == 409


def test_taking_a_loop_back_asks_why_and_then_somebody_else(visit: Visit, acme: Tenant):
    trace = loop(done=3)
    client = visit("operator")
    address = f"/console/stories/{trace.incident_id}/revert"
    assert "Why?" in client.get(address).content.decode()
    assert client.post(address, {"reason": " "}).status_code == 400
    assert client.post(address, {"reason": "it was a drill"}).status_code == 302
    with tenant_scope(acme.id):
        asked = Checkpoint.objects.get(type=Checkpoint.Type.REVERT_LOOP)
    own = client.post(f"/console/checkpoints/{asked.id}/approve", {"digest": asked.digest})
    assert own.status_code == 403
    assert "Nobody decides what they asked for" in own.content.decode()


def test_a_switch_is_turned_by_an_operator_with_a_reason(visit: Visit, acme: Tenant):
    operator, viewer = visit("operator", "olga"), visit("viewer", "vera")
    assert viewer.post("/console/switches/loop/off", {"reason": "x"}).status_code == 403
    assert operator.post("/console/switches/loop/off", {"reason": ""}).status_code == 400
    assert operator.post("/console/switches/nonsense/off", {"reason": "x"}).status_code == 400
    assert operator.post("/console/switches/loop/off", {"reason": "holiday"}).status_code == 302
    with tenant_scope(acme.id):
        assert not Switch.objects.get(name="loop").on


def test_a_person_of_two_tenants_chooses_which_one_to_work_for(visit: Visit, umbra: Tenant):
    visit("viewer", "olga", umbra)
    client = visit("viewer", "olga")
    assert client.post("/console/tenant", {"tenant": umbra.id}).status_code == 302
    assert client.session[SESSION_KEY] == umbra.id
    assert "<h1>umbra</h1>" in client.get("/console/").content.decode()


def test_nobody_chooses_a_tenant_they_do_not_belong_to(visit: Visit, umbra: Tenant):
    client = visit()
    assert client.post("/console/tenant", {"tenant": umbra.id}).status_code == 404
    assert SESSION_KEY not in client.session
