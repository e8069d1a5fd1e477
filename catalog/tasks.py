"""What the clock asks of the catalogue."""

from __future__ import annotations

from celery import shared_task

from governance.tasks import for_every_tenant

from . import services


@shared_task(name="catalog.renew_signatures")
def renew_signatures() -> int:
    """Sign a batch of every tenant's outdated signatures again; nothing to do but after a release that signs better."""
    return for_every_tenant(services.renew_some)
