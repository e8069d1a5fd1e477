"""The admin: every model, read-only; verbs ask why; tenants stay apart."""

from __future__ import annotations

import json

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from governance import ledger
from governance.actors import COMMAND
from governance.database.fields import TenantModel
from governance.database.tenancy import tenant_scope
from governance.gestures import new_gesture
from governance.ledger.erasure import private_of
from governance.models import (
    ApiToken,
    Checkpoint,
    LedgerEntry,
    LoopEvent,
    LoopStep,
    Membership,
    Role,
    Settings,
    Tenant,
    User,
)
from governance.screens.admin_base import GlobalAdmin, RecordAdmin
from incidents.models import Incident, Repeats

from .. import factories
from .conftest import Visit, client_of
from .stories import loop, question

OURS = ("governance", "incidents", "catalog", "recovery", "policies", "routing")
MODELS = [model for label in OURS for model in apps.get_app_config(label).get_models()]
TENANTS = [model for model in MODELS if issubclass(model, TenantModel)]


def address(model: type, page: str, *ids: str) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=ids)  # type: ignore[attr-defined]


def superuser() -> Client:
    return client_of(User.objects.create_superuser("root", password="root" * 3))


def test_every_model_of_every_app_is_registered():
    assert [model for model in MODELS if model not in admin.site._registry] == []


def test_every_admin_is_made_from_the_base():
    for model in MODELS:
        assert isinstance(admin.site._registry[model], RecordAdmin | GlobalAdmin), model


@pytest.mark.parametrize("model", TENANTS, ids=lambda model: model._meta.label)
def test_every_list_opens_for_a_viewer_and_searches(visit: Visit, model: type[TenantModel]):
    question(loop(done=2))
    client = visit("viewer")
    assert client.get(address(model, "changelist")).status_code == 200
    for text in ("nothing", "inc_01jd3v0000000000000000000a", "%ff%F0%9F%92%A5"):
        assert client.get(f"{address(model, 'changelist')}?q={text}").status_code in {200, 302}
    assert client.get(address(model, "add")).status_code == 403


def test_a_record_opens_read_only(visit: Visit):
    question(loop(done=2))
    client = visit("admin")
    for model in (Incident, Checkpoint, LedgerEntry, Settings):
        with tenant_scope(Tenant.objects.get(slug="acme").id):
            record = model.objects.first()
        assert record is not None
        page = client.get(address(model, "change", record.pk))
        assert page.status_code == 200
        assert 'name="_save"' not in page.content.decode()
        assert (
            client.post(address(model, "change", record.pk), {"state": "resolved"}).status_code
            == 403
        )
        assert client.post(address(model, "delete", record.pk), {"post": "yes"}).status_code == 403


def test_another_tenants_record_is_not_there(visit: Visit, umbra: Tenant):
    incident = factories.incident("the secret of acme")
    client = visit("admin", "olaf", umbra)
    assert "secret" not in client.get(address(Incident, "changelist")).content.decode()
    assert client.get(address(Incident, "change", incident.id)).status_code == 302
    assert client.get(address(Incident, "do", incident.id, "resolve")).status_code == 404


def test_a_verb_asks_why_and_then_does_it(visit: Visit, acme: Tenant):
    incident = factories.incident()
    client = visit("reviewer")
    resolve = address(Incident, "do", incident.id, "resolve")
    assert "Why?" in client.get(resolve).content.decode()
    assert client.post(resolve, {"reason": " ", "id": incident.id}).status_code == 400
    assert client.post(resolve, {"reason": "fixed by hand", "id": incident.id}).status_code == 302
    with tenant_scope(acme.id):
        incident.refresh_from_db()
        entry = LedgerEntry.objects.get(kind="incident.resolved")
        assert private_of(entry) == {"reason": "fixed by hand"}
    assert incident.state == Incident.State.RESOLVED


def test_an_admin_erases_what_was_said_and_a_reviewer_may_not(visit: Visit, acme: Tenant):
    entry = LedgerEntry.objects.get(
        pk=ledger.append("test.said", "sub_1", actor=COMMAND, reason="Rosa Khan wants it")
    )
    erase = address(LedgerEntry, "do", entry.pk, "erase")
    page = visit("viewer").get(address(LedgerEntry, "change", entry.pk)).content.decode()
    assert "reason: Rosa Khan wants it" in page
    assert visit("reviewer", "rita").post(erase, {"reason": "no"}).status_code == 403
    boss = visit("admin", "anna")
    assert boss.post(erase, {"reason": "she asked", "id": entry.pk}).status_code == 302
    page = boss.get(address(LedgerEntry, "change", entry.pk)).content.decode()
    assert "Rosa" not in page
    assert "erased" in page


def test_what_one_gesture_caused_is_found_by_its_id(visit: Visit, acme: Tenant):
    with new_gesture() as made:
        factories.incident("mine")
    factories.incident("another")
    client = visit("viewer")
    for model in (LedgerEntry, LoopEvent, LoopStep):
        with tenant_scope(acme.id):
            mine = list(model.objects.filter(gesture=made))
            others = list(model.objects.exclude(gesture=made))
        page = client.get(f"{address(model, 'changelist')}?q={made}").content.decode()
        assert mine
        assert others
        # In addresses the admin writes an underscore out.
        assert all(quote(each.pk) in page for each in mine), model
        assert not any(quote(each.pk) in page for each in others), model


def test_a_viewer_is_offered_no_verb(visit: Visit):
    incident = factories.incident()
    client = visit("viewer")
    assert "/do/" not in client.get(address(Incident, "change", incident.id)).content.decode()
    assert 'value="resolve"' not in client.get(address(Incident, "changelist")).content.decode()
    assert client.get(address(Incident, "do", incident.id, "resolve")).status_code == 403


def test_several_records_are_asked_about_once_and_done_one_by_one(visit: Visit, acme: Tenant):
    done, open_ = factories.incident("one"), factories.incident("two")
    client = visit("reviewer")
    asked = client.post(
        address(Incident, "changelist"),
        {"action": "resolve", "_selected_action": [done.id, open_.id]},
    )
    assert "Why?" in asked.content.decode()
    client.post(address(Incident, "do", done.id, "resolve"), {"reason": "first", "id": done.id})
    response = client.post(
        address(Incident, "do_all", "resolve"),
        {"reason": "both", "id": [done.id, open_.id]},
        follow=True,
    )
    assert "cannot go from resolved to resolved" in response.content.decode()
    with tenant_scope(acme.id):
        open_.refresh_from_db()
    assert open_.state == Incident.State.RESOLVED


def test_a_checkpoint_is_decided_on_what_was_shown(visit: Visit, acme: Tenant):
    asked = question(loop(done=1))
    client = visit("reviewer")
    approve = address(Checkpoint, "do", asked.id, "approve")
    assert asked.digest in client.get(approve).content.decode()
    for digest, state in (("0" * 64, "pending"), (asked.digest, "approved")):
        client.post(approve, {"reason": "", "id": asked.id, f"bound:{asked.id}": digest})
        with tenant_scope(acme.id):
            asked.refresh_from_db()
        assert asked.state == state


def test_a_token_is_revoked_by_an_admin_only(visit: Visit, acme: Tenant):
    factories.agent_token(acme)
    token = ApiToken.objects.get()
    revoke = address(ApiToken, "do", token.id, "revoke")
    body = {"reason": "leaked", "id": token.id}
    assert visit("operator", "olga").post(revoke, body).status_code == 403
    assert visit("admin", "ada").post(revoke, body).status_code == 302
    with tenant_scope(acme.id):
        token.refresh_from_db()
    assert token.revoked_at


def test_settings_are_changed_with_a_reason_and_kept_in_the_ledger(visit: Visit, acme: Tenant):
    settings = Settings.objects.get()
    client = visit("admin")
    change = address(Settings, "do", settings.id, "change")
    assert 'value="3"' in client.get(change).content.decode()
    client.post(
        change,
        {
            "id": settings.id,
            "reason": "a demo",
            "confirmations": "1",
            "default_verdict": "block",
            "exploration_percent": "2",
            "checkpoints_off": "appeal",
        },
    )
    with tenant_scope(acme.id):
        settings.refresh_from_db()
        assert LedgerEntry.objects.filter(kind="settings.changed").count() == 1
    assert (settings.confirmations, settings.default_verdict, settings.checkpoints_off) == (
        1,
        "block",
        ["appeal"],
    )
    assert settings.exploration_percent == 2


def test_a_superuser_without_a_tenant_sees_only_what_belongs_to_none(acme: Tenant):
    factories.incident("the secret of acme")
    client = superuser()
    for model in MODELS:
        wanted = 403 if issubclass(model, TenantModel) else 200
        assert client.get(address(model, "changelist")).status_code == wanted, model
    assert client.get("/admin/").status_code == 200


def test_who_runs_the_server_adds_a_tenant_and_its_first_member(db: None):
    client = superuser()
    client.post(address(Tenant, "add"), {"slug": "newco", "name": "New Co"})
    made = Tenant.objects.get(slug="newco")
    ann = User.objects.create_user("ann", password="ann" * 5)
    client.post(address(Membership, "add"), {"user": ann.pk, "tenant": made.pk, "role": Role.ADMIN})
    assert Membership.objects.get(user=ann).role == Role.ADMIN
    with tenant_scope(made.id):
        assert Settings.objects.count() == 1
        assert LedgerEntry.objects.filter(kind="membership.set").count() == 1


def test_renaming_a_tenant_is_an_entry_of_its_ledger(acme: Tenant):
    client, ledger_of = superuser(), LedgerEntry.objects.filter(kind="tenant.renamed")
    form = {"name": "Acme & Sons", "requests_per_minute": "", "token_requests_per_minute": ""}
    for _ in range(2):  # the second time nothing changes
        assert client.post(address(Tenant, "change", acme.pk), form).status_code == 302
    assert Tenant.objects.get(pk=acme.pk).name == "Acme & Sons"
    with tenant_scope(acme.id):
        (entry,) = ledger_of
        told = json.loads(bytes(entry.body))
    assert told["facts"] == {"before": "acme", "after": "Acme & Sons"}
    assert told["actor"].startswith("user:")


def test_an_admin_of_a_tenant_sees_its_members_and_no_others(visit: Visit, umbra: Tenant):
    visit("admin", "olaf", umbra)
    html = visit("admin", "ada").get(address(Membership, "changelist")).content.decode()
    assert "ada" in html
    assert "olaf" not in html
    assert visit("operator", "olga").get(address(Membership, "changelist")).status_code == 403


@pytest.mark.parametrize("model", [Incident, Checkpoint], ids=["incidents", "checkpoints"])
def test_lists_cost_the_same_however_long(visit: Visit, acme: Tenant, model: type):
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(address(model, "changelist")).status_code == 200
        return len(captured)

    def more(count: int) -> None:
        with tenant_scope(acme.id):
            for number in range(count):
                question(
                    loop(f"failure {count} {number}", incident={"agent": f"agent {count} {number}"})
                )

    client = visit("admin")
    more(2)
    few = queries()
    more(8)
    assert queries() <= few


def test_a_list_tells_how_often_each_incident_was_reported(acme: Tenant, visit: Visit) -> None:
    once = factories.incident("it broke")
    often, *_ = [
        factories.incident("the disk is full", source="alerts", source_key="disk") for _ in range(3)
    ]
    page = visit().get(address(Incident, "changelist") + "?o=-6").content.decode()
    assert page.index(often.id) < page.index(once.id), "the most reported first"
    told = " ".join(page.split())
    assert "3 times, last" in told
    assert told.count("once") == 1
    repeats = visit().get(address(Repeats, "changelist")).content.decode()
    assert often.id in repeats
    assert once.id not in repeats
