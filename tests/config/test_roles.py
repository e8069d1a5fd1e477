"""The matrix of roles is what happens: every door tried by every kind of caller, and the page about it current."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from django.conf import settings
from django.contrib.admin.sites import site as admin_site
from django.db import transaction
from django.db.models import Model
from django.http import HttpResponseBase
from django.test import Client
from django.utils.html import escape
from rest_framework.test import APIClient

from catalog.models import Pattern, PatternMatch, Teaching
from catalog.services import rename
from config.doors import Door, doors
from config.roles import page, unopened
from governance import checkpoints
from governance.access.matrix import MANAGE_MEMBERS, MATRIX, RUN_SERVER, Right
from governance.actors import LOOP, Actor
from governance.database.tenancy import leave_tenant, tenant_scope
from governance.loop.verbs import set_switch
from governance.models import Agent, Bypass, Checkpoint, LedgerEntry, Role, Tenant, User
from governance.modes import bypassing
from incidents.models import Incident
from policies.models import Decision, Policy, PolicySnapshot, Prevention, Regret
from recovery.models import Recovery, RecoveryTemplate
from recovery.services import make_template
from routing.models import Adjustment
from tests import factories
from tests.recovery import cast
from tests.routing import making

pytestmark = pytest.mark.slow

PRINCIPALS = ("nobody", "agent", *Role.values, "server")
# Whose ids stand in the routes of the API, by the first word of the address.
RECORDS: dict[str, type[Model]] = {
    "adjustments": Adjustment,
    "agents": Agent,
    "ops": Bypass,
    "checkpoints": Checkpoint,
    "guard": Decision,
    "incidents": Incident,
    "ledger": LedgerEntry,
    "matches": PatternMatch,
    "patterns": Pattern,
    "policies": Policy,
    "policy-sets": PolicySnapshot,
    "preventions": Prevention,
    "recoveries": Recovery,
    "recovery-templates": RecoveryTemplate,
    "regrets": Regret,
    "teachings": Teaching,
}
CHECK = {"check": "Read the schema first."}
WORDS = {
    "stage": "pattern_matched",
    "choice": "approve",
    "name": "loop",
    "mode": "degraded",
    "to": "off",
    "what": "dashboard",
    "verb": "freeze",
    "verdict": "right",
    "project": "1",
}
NAMED_RECORDS = {
    "incident": Incident,
    "incident_id": Incident,
    "bypass_id": Bypass,
    "checkpoint_id": Checkpoint,
    "policy_id": Policy,
    "pattern_id": Pattern,
    "patternmatch_id": PatternMatch,
}


@dataclass
class Caller:
    """One kind of caller, with the means it has: a token, a session, or neither."""

    name: str
    token: str | None
    session: Client

    @property
    def role(self) -> str | None:
        return self.name if self.name in Role.values else None

    def has(self, right: Right) -> bool:
        """What the matrix says."""
        if right.public:
            return True
        if self.name in ("nobody", "server"):
            return self.name == "server" and right.server
        return right.belongs_to(self.role)


def caller(acme: Tenant, name: str) -> Caller:
    session, token = Client(), None
    if name == "agent":
        token = factories.agent_token(acme, "probe")
    elif name == "server":
        session.force_login(User.objects.create_superuser("root", password="root of the server"))
    elif name in Role.values:
        member = factories.member(acme, f"the {name}", name)
        token = factories.person_token(acme, member)
        session.force_login(member)
    leave_tenant()
    return Caller(name, token, session)


@pytest.fixture
def record_of(acme: Tenant) -> Callable[[type[Model]], str]:
    """The id of one of acme's records of a model; made where the story of one failure has none."""
    with tenant_scope(acme.id):
        policy = making.policy()
        making.adjustment(policy)
        making.outcomes(1, 0)
        failure = cast.pattern()
        cast.land(cast.work(failure))
        make_template(
            failure, name="t", kind="pre_check", params=CHECK, declared_confidence=0.7, actor=LOOP
        )
        rename(failure, "Renamed", actor=Actor("user", "0"))
        bypassing.ask(minutes=5, actor=Actor("user", "0"), reason="for the record")
        set_switch("loop", on=True, actor=LOOP, reason="for the record")
        checkpoints.ask("simulate_routing", subject="x", title="?", shown={}, requested_by=LOOP)

    def find(model: type[Model]) -> str:
        with tenant_scope(acme.id):
            found = model._default_manager.order_by("pk").values_list("pk", flat=True).first()
        return str(found) if found else "nothing"

    return find


def ask(door: Door, who: Caller, record_of: Callable[[type[Model]], str]) -> HttpResponseBase:
    """Knock with an empty body; whatever it did is taken back."""
    address = re.sub(
        r"\{(\w+)\}", lambda found: _named(door, found.group(1), record_of), door.address
    )
    answer: HttpResponseBase
    with transaction.atomic():
        if door.kind == "API":
            client = APIClient()
            if who.token:
                client.credentials(HTTP_AUTHORIZATION=f"Bearer {who.token}")
            answer = client.generic(door.method, address, "{}", "application/json")
        else:
            answer = who.session.generic(door.method, address)
        leave_tenant()
        transaction.set_rollback(True)
    return answer


def _named(door: Door, name: str, record_of: Callable[[type[Model]], str]) -> str:
    if name in WORDS:
        return WORDS[name]
    if name in NAMED_RECORDS:
        return record_of(NAMED_RECORDS[name])
    if door.kind == "admin":
        app, model = door.address.split("/")[2:4]
        return record_of(
            next(m for m in admin_site._registry if m._meta.label_lower == f"{app}.{model}")
        )
    return record_of(RECORDS[door.address.removeprefix("/api/v1/").split("/")[0]])


def expected(door: Door, who: Caller) -> bool:
    assert door.right is not None
    if door.kind == "admin" and door.right is MANAGE_MEMBERS and door.method == "GET":
        # Who runs the server adds a tenant's first member.
        return who.has(MANAGE_MEMBERS) or who.has(RUN_SERVER)
    return who.has(door.right)


def test_every_door_names_a_right_of_the_matrix() -> None:
    found = list(doors())
    assert len(found) > 120
    for door in found:
        assert door.right is not None, f"{door} does not say who may"
    assert not unopened()


@pytest.mark.parametrize("name", PRINCIPALS)
def test_what_the_matrix_says_is_what_happens(
    acme: Tenant, record_of: Callable[[type[Model]], str], name: str
) -> None:
    who = caller(acme, name)
    wrong = []
    for door in doors():
        if name == "agent" and door.kind != "API":
            continue  # it has no session, and is nobody there
        if name == "server" and door.kind == "API":
            continue  # it has no token, and is nobody there
        answer = ask(door, who, record_of)
        status, place = answer.status_code, answer.headers.get("Location", "")
        is_sent_away = status == 302 and place.startswith("/admin/login/")
        if expected(door, who):
            is_right = status not in (401, 403) and status < 500 and not is_sent_away
        elif name == "nobody":
            is_right = status == 401 if door.kind == "API" else is_sent_away or status == 403
        else:
            is_right = status == 403
        if not is_right:
            wrong.append(f"{name}: {door} answered {status}")
    assert not wrong


def test_the_page_about_roles_is_current() -> None:
    assert (settings.BASE_DIR / "docs" / "roles.md").read_text() == page()


def test_rights_are_told_apart_by_their_names() -> None:
    assert (
        len({right.name for right in MATRIX}) == len({right.key for right in MATRIX}) == len(MATRIX)
    )


def test_a_higher_role_may_whatever_a_lower_one_may() -> None:
    for right in MATRIX:
        held = [right.belongs_to(role) for role in Role]
        assert held == sorted(held), right.name


def test_a_service_account_decides_nothing() -> None:
    assert {right.name for right in MATRIX if right.agents} == {
        "read",
        "report harm",
        "act as an agent",
    }


@pytest.mark.parametrize("role", Role.values)
def test_every_member_reads_who_may_do_what(client: Client, acme: Tenant, role: str) -> None:
    """The console's page is the matrix too: each right with its words, and a mark for each who has it."""
    client.force_login(factories.member(acme, "vera", role))
    html = client.get("/console/roles").content.decode()
    rights = [right for right in MATRIX if not right.public]
    marks = 0
    for right in rights:
        row = html.partition(
            f'<tr><th scope="row">{escape(right.name)}<small>{escape(right.covers)}</small>'
        )[2]
        cells = row.partition("</tr>")[0].split("<td")[1:]
        has = [right.agents, *(right.belongs_to(each) for each in Role), right.server]
        assert ['aria-label="yes"' in cell for cell in cells] == has, right.name
        own = [place for place, cell in enumerate(cells) if 'class="own"' in cell]
        assert own == [1 + Role.values.index(role)]
        marks += sum(has)
    assert html.count('aria-label="yes"') == marks
    assert f"You are <strong>{role}</strong>" in html
