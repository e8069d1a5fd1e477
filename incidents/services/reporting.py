"""Reporting a failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone
from rest_framework.exceptions import ParseError

from governance import identity, ledger
from governance.access import parsers
from governance.actors import Actor
from governance.database.inserts import insert
from governance.database.trips import one_trip
from governance.loop import verbs as loop
from governance.models import Agent, LoopTrace, Run
from governance.refusals import Invalid

from ..models import Incident
from ..rules import MOST_AHEAD, is_plausible
from .repeats import count_repeat


@dataclass(frozen=True, slots=True)
class Opened:
    """An incident, its newest loop, and whether this report made it."""

    incident: Incident
    trace: LoopTrace
    is_new: bool


def report(  # noqa: PLR0913 - a report has as many parts as there is to say
    *,
    agent: Agent | str,
    error_type: str,
    message: str,
    actor: Actor,
    tool: str = "",
    arguments: Mapping[str, Any] | None = None,
    category: str = Incident.Category.EXECUTION_FAILURE,
    severity: str = Incident.Severity.MEDIUM,
    context: Mapping[str, Any] | None = None,
    occurred_at: datetime | None = None,
    source: str = "api",
    source_key: str | None = None,
    run: Run | None = None,
    simulated: bool = False,
) -> Opened:
    """Open an incident and begin its loop, in one transaction; the same (source, source_key) is the same incident.

    What comes again under its key is counted, and nothing else of it is kept.

    Without ``arguments`` those in ``context["arguments"]`` are taken, an object or its JSON text. Raises Invalid
    for an ``occurred_at`` that no clock can be off by, and UnknownAgent where the tenant is strict.
    """
    if occurred_at is not None and not is_plausible(occurred_at, timezone.now()):
        raise Invalid(
            f"occurred_at lies more than {MOST_AHEAD.days} day in the future.", field="occurred_at"
        )
    agent = identity.see_agent(agent, actor=actor) if isinstance(agent, str) else agent
    incident = Incident(
        agent=agent,
        run=run,
        error_type=error_type,
        message=message,
        tool=tool,
        arguments=_arguments(arguments, context),
        category=category,
        severity=severity,
        context=dict(context or {}),
        source=source,
        source_key=source_key,
        simulated=simulated,
        **({"occurred_at": occurred_at} if occurred_at else {}),
    )
    # The constraint says who was first, whether that was a moment ago or is happening now.
    if not insert([incident], ignore_conflicts=source_key is not None):
        return _known(incident)
    with one_trip():
        trace = loop.begin_first(
            incident.id,
            headline=str(incident),
            actor=actor,
            details={"severity": severity, "category": category, "agent": agent.name, "tool": tool},
            simulated=simulated,
        )
        ledger.append("incident.opened", incident.id, actor=actor, trace=trace.id, source=source)
    return Opened(incident, trace, True)


def newest_trace(incident_id: str) -> LoopTrace:
    """The loop of the incident that counts: the one of the latest generation."""
    trace = LoopTrace.objects.filter(incident_id=incident_id).order_by("-generation").first()
    if trace is None:
        raise LoopTrace.DoesNotExist(f"{incident_id} has no loop.")
    return trace


def _known(incident: Incident) -> Opened:
    """What was opened before under the same source and key, reported once more."""
    kept = Incident.objects.get(source=incident.source, source_key=incident.source_key)
    count_repeat(kept)
    return Opened(kept, newest_trace(kept.id), False)


def _arguments(
    given: Mapping[str, Any] | None, context: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    if given is not None:
        return dict(given)
    found = (context or {}).get("arguments")
    if isinstance(found, str):
        # A text inside the body was not looked into when the body was parsed, and it is no less hostile.
        try:
            found = parsers.parse(found.encode())
        except (ParseError, UnicodeEncodeError):
            return None
    return found if isinstance(found, dict) else None
