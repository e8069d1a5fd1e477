"""What becomes of an incident once it is known: acknowledge, resolve, reopen."""

from __future__ import annotations

from governance.actors import Actor
from governance.states import move

from ..models import Incident


def acknowledge(incident: Incident, *, actor: Actor, reason: str = "") -> None:
    """Say that somebody looks at it. Raises IllegalMove or Stale."""
    move(incident, Incident.State.ACKNOWLEDGED, actor=actor, reason=reason)


def resolve(incident: Incident, *, actor: Actor, reason: str) -> None:
    """Say that nothing is left to do. Raises IllegalMove or Stale."""
    move(incident, Incident.State.RESOLVED, actor=actor, reason=reason)


def reopen(incident: Incident, *, actor: Actor, reason: str) -> None:
    """Say that something is left to do after all. Raises IllegalMove or Stale."""
    move(incident, Incident.State.OPEN, actor=actor, reason=reason)
