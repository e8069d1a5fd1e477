"""The cast, and the things that tests need many of. Everything is made by the product's own verbs."""

from __future__ import annotations

from typing import Any

from governance import tenants, tokens
from governance.actors import COMMAND, Actor
from governance.database.tenancy import current_tenant, enter_tenant, leave_tenant, tenant_scope
from governance.identity import register_agent
from governance.models import Account, Agent, Tenant, User
from incidents import services as incidents
from incidents.models import Incident

SCOUT = Actor("service", "acc_scout", "scout")


def tenant(slug: str, **settings: Any) -> Tenant:
    """A tenant with its settings; made outside the scope that a test may be in."""
    inside = current_tenant()
    leave_tenant()
    try:
        return tenants.make_tenant(slug, **settings)
    finally:
        if inside:
            enter_tenant(inside)


def member(of: Tenant, name: str, role: str) -> User:
    """A person with a role in a tenant; the password is the name, ten times."""
    user = User.objects.filter(username=name).first() or User.objects.create_user(
        name, password=name * 10, is_staff=True
    )
    tenants.add_member(of, user, role)
    return user


def agent_token(of: Tenant, name: str = "scout") -> str:
    """A service account's token."""
    with tenant_scope(of.id):
        account, _ = Account.objects.get_or_create(name=name)
        return tokens.make_token(name=name, account=account)


def person_token(of: Tenant, user: User) -> str:
    """A person's token."""
    with tenant_scope(of.id):
        return tokens.make_token(name=user.username, user=user)


def agent(name: str = "scout") -> Agent:
    """An agent of the tenant in scope."""
    return register_agent(name, actor=COMMAND)


def incident(message: str = "no such column: custmer_id", **details: Any) -> Incident:
    """A reported incident of the tenant in scope, its loop begun and nothing of it run."""
    return report(message, **details).incident


def report(message: str = "no such column: custmer_id", **details: Any) -> incidents.Opened:
    """The same, with its trace."""
    details = {
        "agent": "scout",
        "error_type": "OperationalError",
        "tool": "sql_query",
        "arguments": {"query": "SELECT custmer_id FROM orders"},
        "actor": SCOUT,
        **details,
    }
    return incidents.report(message=message, **details)
