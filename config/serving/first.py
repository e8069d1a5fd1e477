"""What must be there before the first visitor: tables, a person who can sign in, a tenant, tokens."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.core.management import call_command

from governance import tenants, tokens
from governance.actors import COMMAND
from governance.database.tenancy import tenant_scope
from governance.models import ApiToken, Tenant, User

from ..database import as_owner
from ..management.commands.create_token import agent_token, person_token
from ..secrets import kept_secret

ADMIN = "admin"
REVIEWER = "reviewer"
AGENT = "travel-desk"
PASSWORD_LENGTH = 20


@dataclass(frozen=True, slots=True)
class Welcome:
    """What a visitor needs to come in."""

    user: str
    password: str
    reviewer: str
    reviewer_password: str
    agent_token: str
    reviewer_token: str
    is_first: bool
    """Whether nobody has been here before."""


def migrate() -> None:
    """Bring the tables up to date, as their owner."""
    with as_owner():
        call_command("migrate", verbosity=0, interactive=False)


def welcome(*, demo: bool) -> Welcome:
    """The sign-in and fresh tokens.

    The demo's tenant confirms a policy by its first incident. So much is learned within an hour that the
    governor holds most of routing back; it does so without asking, or its questions would hide the others.
    """
    tenant = (
        tenants.make_tenant(
            "demo",
            name="Travel desk (demo)",
            confirmations=1,
            checkpoints_off=["override_guardrail"],
        )
        if demo
        else tenants.make_tenant("main")
    )
    password = kept_secret(settings.DATA_DIR, "admin")[:PASSWORD_LENGTH]
    user = User.objects.filter(username=ADMIN).first()
    is_first = user is None
    if user is None:
        user = User.objects.create_superuser(ADMIN, password=password)
    tenants.add_member(tenant, user, "admin")
    _forget_earlier(tenant)
    reviewer_token = person_token(tenant, REVIEWER, "reviewer")
    return Welcome(
        user=ADMIN,
        password=_still(user, password),
        reviewer=REVIEWER,
        reviewer_password=_second_person(),
        agent_token=agent_token(tenant, AGENT),
        reviewer_token=reviewer_token,
        is_first=is_first,
    )


def _second_person() -> str:
    """The reviewer's password: nobody decides alone, so a visitor needs to be two people now and then."""
    password = kept_secret(settings.DATA_DIR, REVIEWER)[:PASSWORD_LENGTH]
    user = User.objects.get(username=REVIEWER)
    if not user.has_usable_password():
        user.set_password(password)
        user.save(update_fields=["password"])
    return _still(user, password)


def _still(user: User, password: str) -> str:
    return password if user.check_password(password) else "(the one that you chose)"


def _forget_earlier(tenant: Tenant) -> None:
    """Tokens of earlier starts cannot be shown again, so nobody needs them."""
    with tenant_scope(tenant.id):
        for token in ApiToken.objects.filter(name__in=[AGENT, REVIEWER], revoked_at=None):
            tokens.revoke(token, actor=COMMAND, reason="The server was started anew.")
