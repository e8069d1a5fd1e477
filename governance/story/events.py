"""The one way to add to a story."""

from __future__ import annotations

from typing import Any

from .. import redaction
from ..actors import Actor
from ..database.inserts import insert
from ..database.tenancy import required_tenant
from ..gestures import current_gesture
from ..models import LoopEvent
from .live import publish_after_commit


def tell(
    trace_id: str,
    type: str,
    headline: str,
    *,
    actor: Actor,
    subject: str = "",
    stage: str = "",
    details: dict[str, Any] | None = None,
    simulated: bool = False,
) -> None:
    """Write that something happened on a trace, in the transaction in which it happens; secrets in texts are masked."""
    event = LoopEvent(
        trace_id=trace_id,
        type=type,
        stage=stage,
        headline=redaction.text(headline)[:300],
        subject=subject,
        actor=str(actor),
        gesture=current_gesture(),
        details=redaction.texts(details or {}),
        simulated=simulated,
    )
    insert([event])
    publish_after_commit(required_tenant(), [trace_id])
