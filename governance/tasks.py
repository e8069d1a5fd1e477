"""Celery's way in: hints that something is ready, and what the clock asks for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery import shared_task
from django.db import InterfaceError, OperationalError

from . import checkpoints, heartbeats, signing_in
from .access import limits
from .access.requests import forget_old
from .database.tenancy import tenant_scope
from .loop.sweep import sweep_once
from .models import Stage, Tenant
from .modes import bypassing

log = logging.getLogger("antibody.loop")

SCHEDULED_SECONDS = 180.0  # it comes once a minute


def _bridge_task(stage: str) -> Any:
    """The task of one bridge: the step that it names is ready, and perhaps others are.

    Where the database is away there is nothing to do: whatever is ready still is when it comes back.
    """

    @shared_task(name=f"loop.{stage}", ignore_result=True)
    def task(step_id: str = "") -> int:
        try:
            return sweep_once()
        except (OperationalError, InterfaceError) as error:
            log.warning("the database is away (%s): the hint for %s is dropped", error, step_id)
            return 0

    return task


# A name of its own for each bridge: in logs, in metrics, and for routing it to workers of its own.
BRIDGE_TASKS = {
    stage.value: _bridge_task(stage.value) for stage in Stage if stage != Stage.INCIDENT_CREATED
}


@shared_task(name="governance.expire_checkpoints")
def expire_checkpoints() -> int:
    # The most frequent of the tasks that beat sends: where it comes, beat and a worker are at work.
    heartbeats.note(heartbeats.SCHEDULER, SCHEDULED_SECONDS)
    return for_every_tenant(checkpoints.expire_due)


@shared_task(name="governance.tend_bypasses")
def tend_bypasses() -> int:
    return bypassing.tend()


@shared_task(name="governance.forget_requests")
def forget_requests() -> int:
    return for_every_tenant(forget_old) + limits.forget_old() + signing_in.forget_old()


def for_every_tenant(verb: Callable[[], int]) -> int:
    """Call a verb in every tenant's scope, each in a transaction of its own; the sum of the answers."""
    total = 0
    for tenant_id in Tenant.objects.values_list("id", flat=True):
        with tenant_scope(tenant_id):
            total += verb()
    return total
