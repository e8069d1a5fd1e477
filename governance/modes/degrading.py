"""degraded: no new runs, running ones go on with a warning, everything is recorded."""

from __future__ import annotations

from django.db import transaction
from django.db.models.functions import Now

from .. import ledger
from ..actors import Actor
from ..database.tenancy import outside_tenants, required_tenant, tenant_scope
from ..models import ServerMode, Settings, Tenant
from ..story import live
from .reasons import given


def set_degraded(*, on: bool, actor: Actor, reason: str) -> bool:
    """Say that the tenant's product is degraded, or that it is no longer; whether that was news.

    Raises Invalid without a reason.
    """
    why = given(reason)
    changes = {
        "degraded": on,
        "degraded_reason": why if on else "",
        "degraded_by": str(actor) if on else "",
        "degraded_at": Now() if on else None,
    }
    with transaction.atomic():
        if not Settings.objects.filter(degraded=not on).update(**changes):
            return False
        tenant_id = required_tenant()
        ledger.append(
            f"degraded.{'on' if on else 'off'}",
            tenant_id,
            actor=actor,
            reason=why,
            everywhere=False,
        )
        live.publish_after_commit(tenant_id, [])
    return True


def set_degraded_everywhere(*, on: bool, actor: Actor, reason: str) -> bool:
    """The same for every tenant, by who runs the server; each tenant's ledger tells of it."""
    why = given(reason)
    name = ServerMode.Name.DEGRADED
    with transaction.atomic(), outside_tenants():
        ServerMode.objects.bulk_create(
            [ServerMode(name=name, on=False, reason="")], ignore_conflicts=True
        )
        changed = ServerMode.objects.filter(name=name, on=not on).update(
            on=on, reason=why, by=str(actor), since=Now()
        )
        if not changed:
            return False
        for tenant_id in list(Tenant.objects.values_list("id", flat=True)):
            with tenant_scope(tenant_id):
                ledger.append(
                    f"degraded.{'on' if on else 'off'}",
                    tenant_id,
                    actor=actor,
                    reason=why,
                    everywhere=True,
                )
            live.publish_after_commit(tenant_id, [])
    return True
