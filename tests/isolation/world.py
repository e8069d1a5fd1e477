"""Two tenants whose every text holds a canary, and the seven who look around in one of them.

Whatever can be, is done by the product's own verbs, over its API; the rest is filled in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, QuerySet
from django.test import Client

from governance import tenants
from governance.database.isolation import tenant_models
from governance.database.tenancy import tenant_scope
from governance.ledger.sequencer import number_entries
from governance.loop.run import run_ready
from governance.models import Membership, Role, Tenant, User
from tests import factories

from .filling import fill, texts_without
from .words import Words

API = "/api/v1/"
PASSWORD = "correct horse battery staple"
ANONYMOUS, AGENT, SERVER = "anonymous", "agent", "superuser"


@dataclass
class Side:
    """One tenant: its canaries, its people, their tokens, and the ids of its rows by model."""

    words: Words
    tenant: Tenant
    people: dict[str, User]
    tokens: dict[str, str]
    ids: dict[str, list[str]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    known_outside: set[str] = field(default_factory=set)
    """Words in tables without a tenant: names of the tenant and of its people."""

    @property
    def every_id(self) -> set[str]:
        return {self.tenant.id, *(each for found in self.ids.values() for each in found)}

    def id_of(self, label: str) -> str:
        """The id of a model's oldest row: one that a verb made, where any does."""
        return self.ids[label][-1]


@dataclass
class World:
    """Acme, where the seven are; and umbra, of which they must see nothing."""

    acme: Side
    umbra: Side


def made() -> World:
    """Both tenants, committed."""
    return World(side("acmeq"), side("umbraq"))


def side(mark: str) -> Side:
    """A tenant in which all that can happen has happened."""
    words = Words(mark)
    tenant = tenants.make_tenant(words(), name=words(), confirmations=1)
    people = {role.value: _person(words, tenant, role) for role in Role}
    people[SERVER] = _person(words, tenant, Role.ADMIN, is_superuser=True)
    tokens = {AGENT: factories.agent_token(tenant, words())}
    tokens |= {role: factories.person_token(tenant, user) for role, user in people.items()}
    made = Side(words, tenant, people, tokens, known_outside=set(words.made))
    Life(made).live()
    with tenant_scope(tenant.id):
        fill(words, people["reviewer"])
        made.ids = {
            model._meta.label: _ids(model._default_manager.all()) for model in tenant_models()
        }
        assert not (empty := texts_without(mark)), f"no canary in {empty}"
    _note_in_the_admins_log(made)
    return made


def _ids(rows: QuerySet[Any]) -> list[str]:
    """Newest first."""
    return [str(pk) for pk in rows.order_by("-pk").values_list("pk", flat=True)]


def _person(words: Words, tenant: Tenant, role: Role, **rights: bool) -> User:
    user = User.objects.create_user(
        words(),
        email=f"{words()}@example.com",
        password=PASSWORD,
        first_name=words(),
        last_name=words(),
        is_staff=True,
        **rights,
    )
    tenants.add_member(tenant, user, role)
    return user


def _note_in_the_admins_log(side: Side) -> None:
    """Django's own log of changes, which knows no tenants: about each model, by one of the tenant's people."""
    about: list[tuple[type[Model], list[str]]] = [
        (Membership, _ids(Membership.objects.filter(tenant=side.tenant))),
        *((model, side.ids[model._meta.label]) for model in tenant_models()),
    ]
    for model, ids in about:
        for record_id in ids[-1:]:
            LogEntry.objects.create(
                user=side.people["admin"],
                content_type=ContentType.objects.get_for_model(model),
                object_id=record_id,
                object_repr=side.words(),
                action_flag=CHANGE,
                change_message=side.words(),
            )


class Life:
    """What agents and people of one tenant do, through the API."""

    def __init__(self, side: Side) -> None:
        self.side, self.words = side, side.words
        self.tool, self.agent, self.run = self.words(), self.words(), self.words()
        side.names |= {"tool": self.tool, "agent": self.agent, "run": self.run}

    def live(self) -> None:
        """A failure is learned from until the next is prevented; another one waits; everything is commented on."""
        first = self.fail(self.tool)
        run_ready()
        self.approve_what_waits()
        run_ready()
        self.approve_what_waits()
        run_ready()
        prevented = self.decide(self.tool)
        assert prevented["verdict"] == "block", prevented
        self.say(AGENT, f"guard/decisions/{prevented['decision_id']}/appeal", reason=self.words())
        self.fail(self.words())
        self.report_one()
        run_ready()
        self.comment_on(first)
        number_entries()

    def decide(self, tool: str) -> dict[str, Any]:
        action = {"kind": "tool_call", "tool": tool, "arguments": {"query": "x " + self.tool}}
        return self.say(
            AGENT,
            "guard/decisions",
            agent_id=self.agent,
            run_id=self.run,
            step=1,
            action=action,
            context={"note": self.words()},
        )

    def fail(self, tool: str) -> str:
        decision = self.decide(tool)
        error = {"type": self.words(), "message": f"{self.words()} and {self.words()}"}
        said = {"decision_id": decision["decision_id"], "ok": False, "error": error}
        incident: str = self.say(AGENT, "guard/outcomes", **said)["incident_id"]
        return incident

    def report_one(self) -> None:
        key = self.side.names["idempotency"] = self.words()
        self.say(
            AGENT,
            "incidents",
            key=key,
            error_type=self.words(),
            message=self.words(),
            agent_id=self.words(),
            tool=self.words(),
            source=self.words(),
            source_key=self.words(),
            context={self.words(): self.words()},
        )

    def approve_what_waits(self) -> None:
        waiting = self.read("reviewer", "checkpoints?state=pending")
        assert waiting, "somebody must be asked"
        for each in waiting:
            self.say(
                "reviewer",
                f"checkpoints/{each['id']}/approve",
                digest=each["digest"],
                reason=self.words(),
            )

    def comment_on(self, incident: str) -> None:
        """People have their say about everything that has come of it."""
        policy = self.read("reviewer", "policies?mode=active")[0]["id"]
        pattern = self.read("reviewer", "patterns")[0]["id"]
        self.ask("reviewer", f"integration/timeline/{incident}")
        self.say("reviewer", f"incidents/{incident}/acknowledge", reason=self.words())
        self.say("admin", f"policies/{policy}/regret", severity=2, description=self.words())
        self.say("operator", f"integration/loop/{incident}/revert", reason=self.words())
        self.say("operator", "policies", **self.draft())
        self.say(
            "operator",
            "recovery-templates",
            pattern_id=pattern,
            name=self.words(),
            kind="pre_check",
            params={"check": self.words()},
        )
        self.say("operator", "integration/graduation/re-evaluate")
        switch = {"name": "loop", "on": True, "reason": self.words()}
        self._sent("operator", "patch", "ops/switches", switch, "")

    def draft(self) -> dict[str, Any]:
        return {
            "name": self.words(),
            "condition": f'arguments.query.contains("{self.words()}")',
            "action": "warn",
            "category": "safety",
            "scope_type": "agent",
            "scope_id": self.words(),
            "tool": self.words(),
        }

    def read(self, who: str, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask(who, path)["results"]
        return found

    def ask(self, who: str, path: str) -> Any:
        return self._sent(who, "get", path, None, "")

    def say(self, who: str, path: str, *, key: str = "", **body: Any) -> Any:
        return self._sent(who, "post", path, body, key)

    def _sent(self, who: str, method: str, path: str, body: Any, key: str) -> Any:
        headers = {"Authorization": f"Bearer {self.side.tokens[who]}"}
        if key:
            headers["Idempotency-Key"] = key
        answer = getattr(Client(), method)(
            API + path,
            body,
            headers=headers,
            **({} if body is None else {"content_type": "application/json"}),
        )
        assert answer.status_code < 300, (path, answer.content)
        return answer.json()
