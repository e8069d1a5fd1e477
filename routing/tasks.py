"""What the clock asks of routing, once a minute."""

from __future__ import annotations

from celery import shared_task

from governance.tasks import for_every_tenant

from . import services


@shared_task(name="routing.end_adjustments")
def end_adjustments() -> int:
    return sum(
        for_every_tenant(verb)
        for verb in (services.end_adjustments, services.check_kpis, services.ask_again)
    )
