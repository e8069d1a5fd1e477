"""The work queue in PostgreSQL: claim, fence, finish, release. All SQL of the loop is here.

Only the database's clock decides leases and order. Several loops are moved by one statement, because a round
trip costs more than a row.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from ..database.scoped import IN_SCOPE
from ..gestures import current_gesture
from ..models.switches import WHOLE_LOOP
from .bridges import Work, bridges

LEASE_SECONDS = 5.0
BATCH = 40
CHANNEL = "antibody_steps"


@dataclass(frozen=True, slots=True)
class Claim:
    """What one process holds: its token and the works it may finish."""

    token: str
    works: list[Work]


def claim(limit: int = BATCH, *, suspects: bool = False, seconds: float = LEASE_SECONDS) -> Claim:
    """Take up to ``limit`` ready steps, of any tenant.

    Fresh steps are taken in batches. A suspect (a step that somebody already failed to finish) is taken alone,
    so that a lost lease says something about that step and never about its neighbours.
    """
    token = secrets.token_hex(16)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, tenant_id, trace_id, incident_id, stage, output, attempts, gesture"
            " FROM antibody_claim_steps(%s, %s, %s, %s)",
            (1 if suspects else limit, seconds, token, suspects),
        )
        rows = cursor.fetchall()
    return Claim(
        token,
        [
            Work(
                step_id,
                tenant_id,
                trace_id,
                incident_id,
                stage,
                _facts(output),
                attempts,
                gesture=gesture,
            )
            for step_id, tenant_id, trace_id, incident_id, stage, output, attempts, gesture in rows
        ],
    )


def begin(trace: dict[str, Any], *, step_id: str, stage: str, event: dict[str, Any]) -> None:
    """Write a trace, its first step, ready, and its first event; and wake every sweeper on commit.

    One statement, because every report of a failure waits for it. ``trace`` has id, tenant, incident,
    generation, headline and simulated; ``event`` id, type, stage, headline, subject, actor and details.
    """
    values = {f"event_{name}": value for name, value in event.items()} | trace
    values["event_details"] = json.dumps(event["details"])
    with connection.cursor() as cursor:
        cursor.execute(
            _BEGIN,
            {
                **values,
                "step": step_id,
                "first": stage,
                "channel": CHANNEL,
                "gesture": current_gesture(),
            },
        )


def fence(token: str, works: Sequence[Work]) -> tuple[set[str], set[str]]:
    """Lock the steps that are still ours; also says which stages of the loop are switched off for this tenant.

    What is missing in the answer was lost to somebody else and must be discarded. Where the whole loop is switched
    off, so is every stage of it.
    """
    with connection.cursor() as cursor:
        ids = [work.step_id for work in works]
        cursor.execute(_FENCE, {"ids": ids, "token": token, "tenant": IN_SCOPE})
        rows = cursor.fetchall()
    off = set(rows[0][1]) if rows else set()
    return {row[0] for row in rows}, set(bridges()) if WHOLE_LOOP in off else off


def is_switched_off(stage: str) -> bool:
    """Ask again, holding the switches: whoever turns one on waits for us, and then sees the waiting step."""
    with connection.cursor() as cursor:
        off = 0
        for table, whose, tenant in (
            ("governance_switch", "AND tenant_id = %s", [IN_SCOPE]),
            ("governance_globalswitch", "", []),
        ):
            cursor.execute(
                f'SELECT "on" FROM {table} WHERE name = ANY(%s) {whose} FOR SHARE',  # noqa: S608 - fixed words
                [[WHOLE_LOOP, stage], *tenant],
            )
            off += sum(not on for (on,) in cursor.fetchall())
    return off > 0


def finish(
    token: str,
    steps: Sequence[dict[str, Any]],
    traces: Sequence[dict[str, Any]],
    events: Sequence[dict[str, Any]],
) -> None:
    """Write what came of fenced steps, in one statement.

    Each step: id, tenant, trace, stage, is_new (it began in this transaction), state, attempts, failures, waits_for,
    failure_state, error, output, gesture, lease (seconds, counts where it is running) and available (seconds from now, counts
    where it is ready). Each trace, once: id, tenant, state, stage (empty where it stays) and failure_state. Each event:
    id, tenant, trace, type, stage, headline, subject, actor, gesture and details.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _FINISH,
            {
                "steps": json.dumps(steps),
                "traces": json.dumps(traces),
                "events": json.dumps(events),
                "token": token,
            },
        )


def renew(token: str, step_id: str, seconds: float) -> bool:
    """Hold on to a step for longer; False when it is no longer ours."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE governance_loopstep SET lease_until = clock_timestamp() + make_interval(secs => %s)"
            " WHERE id = %s AND claim_token = %s AND state = 'running' AND tenant_id = %s",
            (seconds, step_id, token, IN_SCOPE),
        )
        return bool(cursor.rowcount)


def resume(waits_for: str) -> int:
    """Make every step ready that waits for this; how many there were."""
    return _wake("waits_for = %s", [waits_for])


def resume_step(step_id: str) -> int:
    """Make one waiting, failed or dead step ready again."""
    return _wake("id = %s", [step_id], "waiting", "failed", "dead")


def notify() -> None:
    """Wake every sweeper when this transaction commits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, '')", (CHANNEL,))


def expired(limit: int = 200) -> list[tuple[str, str]]:
    """(tenant id, step id) of steps whose lease has run out, of any tenant."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tenant_id, id FROM antibody_expired_steps(%s)", (limit,))
        return list(cursor.fetchall())


def due_in() -> float | None:
    """Seconds until the next ready step is due, at least 0; None when none is waiting for its time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT antibody_next_due()")
        row = cursor.fetchone()
    return None if row is None or row[0] is None else max(0.0, float(row[0]))


def _wake(condition: str, params: list[Any], *states: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH woken AS (
                UPDATE governance_loopstep
                   SET state = 'ready', available_at = clock_timestamp(), attempts = 0, failures = 0, gesture = %s,
                       claim_token = '', lease_until = NULL, waits_for = '', failure_state = '', error = ''
                 WHERE {condition} AND state = ANY(%s) AND tenant_id = %s
             RETURNING id, tenant_id, trace_id)
            UPDATE governance_looptrace trace
               SET state = 'running', failure_state = '', ended_at = NULL
              FROM woken WHERE trace.id = woken.trace_id AND trace.tenant_id = woken.tenant_id
            """,  # noqa: S608 - conditions are ours, values are parameters
            [current_gesture(), *params, list(states or ("waiting",)), IN_SCOPE],
        )
        count = cursor.rowcount
    if count:
        notify()
    return int(count)


def _facts(output: Any) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(output) if isinstance(output, str) else output
    return facts


_BEGIN = """
WITH begun AS (
    INSERT INTO governance_looptrace (id, tenant_id, incident_id, generation, headline, state, stage,
                                      failure_state, waited, simulated)
    VALUES (%(id)s, %(tenant)s, %(incident)s, %(generation)s, %(headline)s, 'running', %(event_stage)s,
            '', false, %(simulated)s)
), stepped AS (
    INSERT INTO governance_loopstep (id, tenant_id, trace_id, stage, state, attempts, failures, max_attempts,
                                     claim_token, waits_for, failure_state, error, output, gesture)
    VALUES (%(step)s, %(tenant)s, %(id)s, %(first)s, 'ready', 0, 0, 5, '', '', '', '', '{}', %(gesture)s)
), told AS (
    INSERT INTO governance_loopevent (id, tenant_id, trace_id, type, stage, headline, subject, actor, gesture,
                                      simulated, details)
    VALUES (%(event_id)s, %(tenant)s, %(id)s, %(event_type)s, %(event_stage)s, %(event_headline)s,
            %(event_subject)s, %(event_actor)s, %(gesture)s, %(simulated)s, %(event_details)s::jsonb)
)
SELECT pg_notify(%(channel)s, '')
"""


_FENCE = """
SELECT id, ARRAY(SELECT name::text FROM governance_switch WHERE NOT "on" AND tenant_id = %(tenant)s
                 UNION SELECT name::text FROM governance_globalswitch WHERE NOT "on")
  FROM governance_loopstep
 WHERE id = ANY(%(ids)s) AND claim_token = %(token)s AND state = 'running' AND tenant_id = %(tenant)s
 ORDER BY id FOR NO KEY UPDATE
"""


_FINISH = """
WITH landed AS (
    SELECT *,
           CASE state WHEN 'running' THEN %(token)s ELSE '' END AS held_by,
           CASE state WHEN 'running' THEN clock_timestamp() + make_interval(secs => lease) END AS held_until,
           CASE WHEN state IN ('done', 'failed', 'dead') THEN clock_timestamp() END AS ended_at
      FROM jsonb_to_recordset(%(steps)s::jsonb) AS step(
           id text, tenant text, trace text, stage text, is_new boolean, state text, attempts int, failures int,
           waits_for text, failure_state text, error text, output jsonb, gesture text, lease float8,
           available float8)
), stepped AS (
    UPDATE governance_loopstep step
       SET state = landed.state, waits_for = landed.waits_for, failure_state = landed.failure_state,
           error = landed.error, output = landed.output, failures = landed.failures, attempts = landed.attempts,
           claim_token = held_by, lease_until = held_until, finished_at = ended_at,
           available_at = CASE landed.state WHEN 'ready'
                               THEN clock_timestamp() + make_interval(secs => available)
                               ELSE step.available_at END
      FROM landed WHERE NOT is_new AND step.id = landed.id AND step.tenant_id = landed.tenant
), begun AS (
    INSERT INTO governance_loopstep (id, tenant_id, trace_id, stage, state, attempts, failures, max_attempts,
                                     lease_until, claim_token, waits_for, failure_state, error, output, gesture,
                                     finished_at)
    SELECT id, tenant, trace, stage, state, attempts, failures, 5,
           held_until, held_by, waits_for, failure_state, error, output, gesture, ended_at
      FROM landed WHERE is_new
), told AS (
    INSERT INTO governance_loopevent (id, tenant_id, trace_id, type, stage, headline, subject, actor, gesture,
                                      simulated, details)
    SELECT id, tenant, trace, type, stage, headline, subject, actor, gesture, false, details
      FROM jsonb_to_recordset(%(events)s::jsonb) AS event(
           id text, tenant text, trace text, type text, stage text, headline text, subject text, actor text,
           gesture text, details jsonb)
)
UPDATE governance_looptrace trace
   SET state = now.state,
       stage = CASE now.stage WHEN '' THEN trace.stage ELSE now.stage END,
       failure_state = now.failure_state,
       waited = trace.waited OR now.state = 'waiting',
       ended_at = CASE WHEN now.state IN ('complete', 'stopped', 'dead') THEN clock_timestamp() END
  FROM jsonb_to_recordset(%(traces)s::jsonb) AS now(id text, tenant text, state text, stage text, failure_state text)
 WHERE trace.id = now.id AND trace.tenant_id = now.tenant
"""
