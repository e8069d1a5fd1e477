"""Which tenant the code at hand works for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token

from django.db import transaction

_tenant: ContextVar[str | None] = ContextVar("antibody_tenant", default=None)


class TenantError(RuntimeError):
    """Code touched a tenant's rows without saying whose, or mixed two tenants."""


def current_tenant() -> str | None:
    """The id of the tenant in scope, or None outside every scope."""
    return _tenant.get()


def required_tenant() -> str:
    """The id of the tenant in scope; raises TenantError outside every scope."""
    tenant = _tenant.get()
    if tenant is None:
        raise TenantError("This needs a tenant: enter tenant_scope(tenant_id) first.")
    return tenant


def enter_tenant(tenant_id: str) -> Token[str | None]:
    """Set the tenant for a request whose transaction is opened elsewhere; pair it with leave_tenant()."""
    inside = _tenant.get()
    if inside not in (None, tenant_id):
        raise TenantError("Another tenant is already in scope.")
    return _tenant.set(tenant_id)


def leave_tenant(token: Token[str | None] | None = None) -> None:
    """Forget the tenant that was entered."""
    if token is None:
        _tenant.set(None)
    else:
        _tenant.reset(token)


@contextmanager
def outside_tenants() -> Iterator[None]:
    """No tenant for a while, for what is done to each of them in turn; the transaction stays the same."""
    token = _tenant.set(None)
    try:
        yield
    finally:
        _tenant.reset(token)


@contextmanager
def tenant_scope(tenant_id: str) -> Iterator[str]:
    """One transaction in which exactly this tenant's rows exist.

    Nesting the same tenant makes a savepoint; nesting another raises TenantError.
    """
    token = enter_tenant(tenant_id)
    try:
        with transaction.atomic():
            yield tenant_id
    finally:
        leave_tenant(token)
