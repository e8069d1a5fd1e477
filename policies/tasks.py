"""Background work of the policies pillar."""

from __future__ import annotations

from celery import shared_task

from governance.actors import CLOCK
from governance.database.tenancy import tenant_scope
from governance.models import Tenant
from policies.services import calibrations, graduation


@shared_task(name="policies.re_evaluate_graduation")
def re_evaluate_graduation() -> None:
    """Remember, for every tenant, whether it graduated or degraded since the last time."""
    for tenant_id in Tenant.objects.values_list("id", flat=True):
        with tenant_scope(tenant_id):
            graduation.re_evaluate(actor=CLOCK)


@shared_task(name="policies.calibrate")
def calibrate() -> None:
    """Let the patterns of every tenant, whose matches were judged lately, learn how sure a match must be."""
    for tenant_id in Tenant.objects.values_list("id", flat=True):
        with tenant_scope(tenant_id):
            calibrations.weigh_lately_judged(actor=CLOCK)
