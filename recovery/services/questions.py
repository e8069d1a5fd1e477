"""What a person is asked about a recovery."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance import checkpoints
from governance.actors import LOOP
from governance.models import Checkpoint, Settings

from ..models import Recovery

TYPE = Checkpoint.Type.APPROVE_RECOVERY


def ask_people(
    recoveries: Mapping[str, Recovery], gestures: Mapping[str, str], settings: Settings
) -> dict[str, Checkpoint]:
    """Ask about each recovery, in a question of its own; by its trace's id, as recoveries and gestures are given."""
    questions = [
        checkpoints.question(
            TYPE,
            subject=recovery.id,
            title=recovery.title,
            shown=shown(recovery),
            requested_by=LOOP,
            trace_id=trace_id,
            confidence=recovery.confidence,
            settings=settings,
        )
        for trace_id, recovery in recoveries.items()
    ]
    return dict(zip(recoveries, checkpoints.open_all(questions, gestures), strict=True))


def pending(recovery_id: str) -> Checkpoint | None:
    """The open question about a recovery, held until the transaction ends: who decides it then sees who waits."""
    return (
        Checkpoint.objects.select_for_update(of=("self",), no_key=True)
        .filter(subject=recovery_id, type=TYPE, state=Checkpoint.State.PENDING)
        .first()
    )


def shown(recovery: Recovery) -> dict[str, Any]:
    """Exactly what a person needs in order to decide; the decision is bound to all of it."""
    match, incident = recovery.match, recovery.match.incident
    return {
        "recovery": recovery.id,
        "title": recovery.title,
        "rationale": recovery.rationale,
        "kind": str(recovery.kind),
        "params": recovery.params,
        "source": str(recovery.source),
        "confidence": recovery.confidence,
        "incident": str(incident),
        "tool": incident.tool,
        "pattern": recovery.pattern.name,
        "band": str(match.band),
    }
