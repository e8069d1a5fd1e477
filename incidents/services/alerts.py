"""Alerts: what a source tells again and again under one key, until it says that it is over."""

from __future__ import annotations

from typing import Any

from governance.actors import Actor
from governance.database.inserts import insert

from ..intake.told import episode_key
from ..models import Alias, Incident
from .handling import acknowledge, resolve
from .repeats import count_repeat
from .reporting import Opened, newest_trace, report


def raise_alert(*, source: str, key: str, actor: Actor, **told: Any) -> Opened:
    """Open an incident for this alert, or count a report of the one that is open for it.

    An alert whose incident was resolved, by whomever, begins another one. ``key`` has at most 200 characters; ``told``
    is what ``report`` takes. Raises what ``report`` raises.
    """
    if repeat := _repeat(source, key):
        return repeat
    # Several may be the first to tell: they queue at the alias, and all but one find what that one opened.
    insert([Alias(source=source, key=key)], ignore_conflicts=True)
    alias = Alias.objects.select_for_update().get(source=source, key=key)
    if repeat := _repeat(source, key):
        return repeat
    episode = alias.episode + 1
    opened = report(source=source, source_key=episode_key(key, episode), actor=actor, **told)
    Alias.objects.filter(pk=alias.pk).update(incident=opened.incident, episode=episode)
    return opened


def acknowledge_alert(*, source: str, key: str, actor: Actor, reason: str) -> bool:
    """Say that somebody looks at the alert's incident; False where none is open that nobody looks at."""
    incident = _held(Incident.objects.filter(aliases__source=source, aliases__key=key))
    if incident is None or incident.state != Incident.State.OPEN:
        return False
    acknowledge(incident, actor=actor, reason=reason)
    return True


def end_alert(*, source: str, key: str, actor: Actor, reason: str) -> bool:
    """Resolve the incident that is open for this alert; False where there is none."""
    return _end(Incident.objects.filter(aliases__source=source, aliases__key=key), actor, reason)


def end_known(*, source: str, source_key: str, actor: Actor, reason: str) -> bool:
    """Resolve the incident that was reported under this source and key; False where none is open."""
    return _end(Incident.objects.filter(source=source, source_key=source_key), actor, reason)


def _repeat(source: str, key: str) -> Opened | None:
    """What is open for this alert already, reported once more; None where nothing is."""
    alias = Alias.objects.select_related("incident").filter(source=source, key=key).first()
    if alias is None or alias.incident is None:
        return None
    if alias.incident.state == Incident.State.RESOLVED:
        return None
    count_repeat(alias.incident)
    return Opened(alias.incident, newest_trace(alias.incident.id), False)


def _end(found: Any, actor: Actor, reason: str) -> bool:
    incident = _held(found)
    if incident is None or incident.state == Incident.State.RESOLVED:
        return False
    resolve(incident, actor=actor, reason=reason)
    return True


def _held(found: Any) -> Incident | None:
    """The incident, its row held: a person may be about to move it too, and one of the two is later."""
    incident: Incident | None = found.select_for_update(of=("self",), no_key=True).first()
    return incident
