"""Tenants and who belongs to them."""

from __future__ import annotations

from django.db import transaction
from django.db.models import QuerySet

from . import ledger
from .actors import COMMAND, Actor
from .database.compiled import compiled
from .database.tenancy import outside_tenants, tenant_scope
from .models import Membership, Role, Settings, Tenant, User
from .refusals import Conflict, Forbidden


class OwnRole(Forbidden):
    """Somebody would give themselves a role."""


class LastAdmin(Conflict):
    """A tenant would have nobody left who manages it."""


RANKS = (Role.VIEWER, Role.REVIEWER, Role.OPERATOR, Role.ADMIN)


def make_tenant(slug: str, *, name: str = "", actor: Actor = COMMAND, **settings: object) -> Tenant:
    """The tenant of this slug, made with its settings when it is new. Runs outside every tenant's scope."""
    with transaction.atomic():
        tenant, is_new = Tenant.objects.get_or_create(slug=slug, defaults={"name": name or slug})
        with tenant_scope(tenant.id):
            if is_new:
                Settings.objects.create(**settings)
                ledger.append("tenant.made", tenant.id, actor=actor, slug=slug)
    return tenant


def change_settings(*, actor: Actor, reason: str, **changes: object) -> Settings:
    """Change settings of the tenant in scope, with the ledger telling what was before."""
    settings = Settings.objects.select_for_update().get()
    before = {name: getattr(settings, name) for name in changes}
    for name, value in changes.items():
        setattr(settings, name, value)
    settings.full_clean()
    settings.save(update_fields=list(changes))
    ledger.append(
        "settings.changed",
        settings.id,
        actor=actor,
        reason=reason,
        before=before,
        after=dict(changes),
    )
    return settings


def change_limits(tenant: Tenant, *, actor: Actor, reason: str, **quotas: int | None) -> None:
    """Change how many requests a minute a tenant, or each of its tokens, may make; None is the usual number.

    For who runs the server: a tenant that set its own would take from the others. Raises ValidationError for a
    number out of bounds.
    """
    before = {name: getattr(tenant, name) for name in quotas}
    for name, quota in quotas.items():
        setattr(tenant, name, quota)
    tenant.full_clean()
    with transaction.atomic(), outside_tenants():
        tenant.save(update_fields=list(quotas))
        with tenant_scope(tenant.id):
            ledger.append(
                "limits.changed", tenant.id, actor=actor, reason=reason, before=before, after=quotas
            )


def rename(tenant: Tenant, name: str, *, actor: Actor, reason: str = "") -> None:
    """Give a tenant another name; its ledger tells of it. Raises ValidationError for an empty or too long one."""
    with transaction.atomic(), outside_tenants():
        before = Tenant.objects.select_for_update().values_list("name", flat=True).get(pk=tenant.pk)
        tenant.name = name
        tenant.full_clean()
        if before == name:
            return
        tenant.save(update_fields=["name"])
        with tenant_scope(tenant.id):
            ledger.append(
                "tenant.renamed", tenant.id, actor=actor, reason=reason, before=before, after=name
            )


def settings() -> Settings:
    """The settings of the tenant in scope. Raises Settings.DoesNotExist for a tenant that is none."""
    for found in _settings():
        return found
    raise Settings.DoesNotExist


@compiled
def _settings() -> QuerySet[Settings]:
    """None or one."""
    return Settings.objects.order_by()


def add_member(tenant: Tenant, user: User, role: str, *, actor: Actor = COMMAND) -> Membership:
    """Give a person a role in a tenant, or change the one he has.

    Raises OwnRole for who would change their own, and LastAdmin where nobody would be left to manage the others.
    """
    if str(actor) == f"user:{user.pk}":
        raise OwnRole("Nobody changes their own role: ask another admin.")
    with tenant_scope(tenant.id):
        # One change of a tenant's members after the other, or two admins could lower each other at once.
        Tenant.objects.select_for_update().get(pk=tenant.pk)
        admins = Membership.objects.filter(tenant=tenant, role=Role.ADMIN)
        if role != Role.ADMIN and [each.user_id for each in admins] == [user.pk]:
            raise LastAdmin(f"{user} is the last admin of {tenant}: make somebody else one first.")
        membership, _ = Membership.objects.update_or_create(
            tenant=tenant, user=user, defaults={"role": Role(role)}
        )
        ledger.append("membership.set", str(user.pk), actor=actor, role=str(role))
    return membership
