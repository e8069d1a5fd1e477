"""The product's state in a word, and every reason why it is not READY: one statement, for pages and the API.

STOPPED: nothing that agents ask for is allowed, because somebody stopped them or because the guard is closed.
DEGRADED: something does not work, or is held back, or is not governed. Whoever may change it finds all of it on the
page "Operations".

What readiness only warns of (a broker that gives no answer) is told here, and changes no decision.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from .. import readiness
from ..database.scoped import IN_SCOPE
from ..readiness import Standing

READY, DEGRADED, STOPPED = "READY", "DEGRADED", "STOPPED"
STOPPING = frozenset({"agent_stop", "not_ready"})

STALLED_SECONDS = 15
"""A step that nobody took for so long says that no worker is running."""
MOST_NAMED = 20
"""Stopped agents that are named; beyond it they are counted."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that is not as it should be. ``name`` is for programs, ``text`` for people; ``why`` is what a person gave."""

    name: str
    text: str
    why: str = ""
    since: datetime | None = None
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Going:
    """A bypass that was asked for, agreed, or is in force; actors as records keep them."""

    id: str
    state: str
    minutes: int
    reason: str
    requested_by: str
    confirmed_by: str
    expires_at: datetime
    ends_at: datetime | None

    @property
    def is_in_force(self) -> bool:
        return self.state == "active"


@dataclass(frozen=True, slots=True)
class Product:
    """What the product can do for this tenant at the moment."""

    state: str
    reasons: list[Reason]
    agent_stop: Reason | None
    stopped_agents: list[Reason]
    """The first 20 by name; ``subject`` is the agent's."""
    stopped_count: int
    degraded: Reason | None
    degraded_everywhere: Reason | None
    bypass: Going | None
    readiness: Standing


def product() -> Product:
    """The state of the tenant in scope; outside every scope what holds for all of them."""
    rows, standing = _rows(), readiness.standing()
    reasons = [reason for row in rows if (reason := _reason(row)) is not None]
    reasons = [*_closed(standing), *reasons, *_warnings(standing)]
    named = {reason.name: reason for reason in reasons}
    stopped = [reason for reason in reasons if reason.name == "agent_stopped"]
    counted = next((row["number"] for row in rows if row["name"] == "agent_stopped"), 0)
    going = next((_going(row) for row in rows if row["name"] == "bypass"), None)
    return Product(
        state=_word(named),
        reasons=reasons,
        agent_stop=named.get("agent_stop"),
        stopped_agents=stopped,
        stopped_count=counted,
        degraded=named.get("degraded"),
        degraded_everywhere=named.get("degraded_everywhere"),
        bypass=going,
        readiness=standing,
    )


def _word(named: dict[str, Reason]) -> str:
    if named.keys() & STOPPING:
        return STOPPED
    return DEGRADED if named else READY


def _closed(standing: Standing) -> list[Reason]:
    """Why the guard is closed, if it is: as this process knows it, without a question."""
    if standing.is_ready:
        return []
    text = f"The guard is closed: the check {standing.failing} fails"
    return [Reason("not_ready", text, standing.text, standing.since, standing.failing)]


def _warnings(standing: Standing) -> list[Reason]:
    return [
        Reason("warning", f"The check {name} warns", standing.findings[name].text, None, name)
        for name in standing.warnings
    ]


def _reason(row: dict[str, Any]) -> Reason | None:
    """A row as people read it; a bypass that is not in force yet is no reason."""
    if row["name"] == "bypass" and row["state"] != "active":
        return None
    return Reason(row["name"], _text(row), row["why"], row["since"], row["subject"])


def _text(row: dict[str, Any]) -> str:
    match row["name"]:
        case "agent_stop":
            return "All agents are stopped: every action gets kill"
        case "bypass":
            return "Nothing is governed: every action is allowed"
        case "degraded":
            return "Degraded: no new runs, running ones are warned"
        case "degraded_everywhere":
            return "Degraded by who runs the server: no new runs, running ones are warned"
        case "agent_stopped":
            return f"Agent {row['subject']} is stopped"
        case "switch_off_everywhere":
            return f"{_switch(row['subject'])} is off everywhere"
        case "switch_off":
            return f"{_switch(row['subject'])} is off"
        case _:
            return f"Nobody works the loop: steps have been ready for more than {STALLED_SECONDS} seconds"


def _switch(name: str) -> str:
    return "The loop" if name == "loop" else f"The step to {name.replace('_', ' ')}"


def _going(row: dict[str, Any]) -> Going:
    return Going(
        id=row["subject"],
        state=row["state"],
        minutes=row["number"],
        reason=row["why"],
        requested_by=row["by"],
        confirmed_by=row["confirmed_by"],
        expires_at=row["expires_at"],
        ends_at=row["ends_at"],
    )


def _rows() -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(
            _REASONS, {"tenant": IN_SCOPE, "stalled": STALLED_SECONDS, "most": MOST_NAMED}
        )
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


# In the order in which people should read them. Every part asks for the tenant, and row-level security again.
_REASONS = """
SELECT 'agent_stop' AS name, '' AS subject, stopped_reason AS why, stopped_by AS by, stopped_at AS since,
       0::bigint AS number, '' AS state, '' AS confirmed_by, NULL::timestamptz AS expires_at,
       NULL::timestamptz AS ends_at
  FROM governance_settings WHERE tenant_id = %(tenant)s AND stopped
UNION ALL
SELECT 'bypass', id, reason, requested_by, confirmed_at, minutes, state, confirmed_by, expires_at, ends_at
  FROM governance_bypass
 WHERE tenant_id = %(tenant)s AND state IN ('requested', 'confirmed', 'active')
   AND CASE state WHEN 'requested' THEN expires_at ELSE ends_at END > statement_timestamp()
UNION ALL
SELECT 'degraded_everywhere', '', reason, by, since, 0, '', '', NULL, NULL
  FROM governance_servermode WHERE name = 'degraded' AND "on"
UNION ALL
SELECT 'degraded', '', degraded_reason, degraded_by, degraded_at, 0, '', '', NULL, NULL
  FROM governance_settings WHERE tenant_id = %(tenant)s AND degraded
UNION ALL
(SELECT 'agent_stopped', name, stopped_reason, stopped_by, stopped_at, count(*) OVER (), '', '', NULL, NULL
   FROM governance_agent WHERE tenant_id = %(tenant)s AND stopped ORDER BY name LIMIT %(most)s)
UNION ALL
(SELECT 'switch_off_everywhere', name, reason, '', NULL, 0, '', '', NULL, NULL
   FROM governance_globalswitch WHERE NOT "on" ORDER BY name)
UNION ALL
(SELECT 'switch_off', name, reason, '', NULL, 0, '', '', NULL, NULL
   FROM governance_switch WHERE tenant_id = %(tenant)s AND NOT "on" ORDER BY name)
UNION ALL
SELECT 'stalled', '', '', '', NULL, 0, '', '', NULL, NULL
 WHERE EXISTS (SELECT 1 FROM governance_loopstep
                WHERE tenant_id = %(tenant)s AND state = 'ready' AND attempts = 0
                  AND available_at < now() - make_interval(secs => %(stalled)s))
"""
