"""The last step of every loop: close the story."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .loop.bridges import GoOn, Outcome, Work


def land(works: Sequence[Work]) -> Mapping[str, Outcome]:
    """Say that nothing is left to do. Events reached the console as they happened; this is the last of them."""
    return {work.step_id: GoOn("The loop is complete", work.incident_id) for work in works}
