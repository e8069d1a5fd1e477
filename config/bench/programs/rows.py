"""What a rival writes for one loop: as many rows of effect as the product does, in five transactions.

Three tables, as in the product: an effect (what the stage did), an event (what the console shows) and an entry
(canonical bytes and their hash). They have fewer columns, indexes and constraints than ours and no row-level
security; that is in the rivals' favour.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from typing import Any

STAGES = (
    "pattern_matched",
    "recovery_suggested",
    "policy_generated",
    "routing_adjusted",
    "loop_complete",
)
LAST_STAGE = STAGES[-1]

# Dates are the database's: begun with the transaction, written when the row is.
TABLES = """
CREATE TABLE effect (
    id text PRIMARY KEY, loop text NOT NULL, stage text NOT NULL, details jsonb NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(), UNIQUE (loop, stage));
CREATE TABLE event (
    id text PRIMARY KEY, seq bigint GENERATED ALWAYS AS IDENTITY, loop text NOT NULL, stage text NOT NULL,
    headline text NOT NULL, details jsonb NOT NULL, written_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX event_of_loop ON event (loop, seq);
CREATE TABLE entry (
    id text PRIMARY KEY, loop text NOT NULL, stage text NOT NULL, body bytea NOT NULL, hash bytea NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp());
"""


def fresh_schema(name: str) -> str:
    """SQL that gives a rival its three tables, empty, in a schema of its own."""
    return f"DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}; SET search_path TO {name}; {TABLES}"


@dataclass(frozen=True, slots=True)
class StageRows:
    """The rows that one stage of one loop writes; keys are the columns without a default."""

    effects: list[dict[str, Any]]
    events: list[dict[str, Any]]
    entries: list[dict[str, Any]]


def rows_of(loop: str, stage: str, total: int) -> StageRows:
    """A stage's share of the ``total`` rows (at least 5) that one loop writes.

    The first five are the effects, the next five the events, then the entries; any more are events again.
    """
    place = STAGES.index(stage)
    kinds = [_kind(number) for number in range(place, total, len(STAGES))]
    return StageRows(
        effects=[_effect(loop, stage) for kind in kinds if kind == "effect"],
        events=[_event(loop, stage) for kind in kinds if kind == "event"],
        entries=[_entry(loop, stage) for kind in kinds if kind == "entry"],
    )


def _kind(number: int) -> str:
    return {0: "effect", 2: "entry"}.get(number // len(STAGES), "event")


def _details(loop: str, stage: str) -> dict[str, Any]:
    return {
        "incident": loop,
        "stage": stage,
        "confidence": 0.97,
        "band": "strong",
        "pattern": "pat_0001",
    }


def _effect(loop: str, stage: str) -> dict[str, Any]:
    return {
        "id": f"eff_{secrets.token_hex(13)}",
        "loop": loop,
        "stage": stage,
        "details": _details(loop, stage),
    }


def _event(loop: str, stage: str) -> dict[str, Any]:
    return {
        "id": f"evt_{secrets.token_hex(13)}",
        "loop": loop,
        "stage": stage,
        "headline": f"{stage.replace('_', ' ').capitalize()} for {loop}",
        "details": _details(loop, stage),
    }


def _entry(loop: str, stage: str) -> dict[str, Any]:
    body = json.dumps(_details(loop, stage), sort_keys=True, separators=(",", ":")).encode()
    return {
        "id": f"led_{secrets.token_hex(13)}",
        "loop": loop,
        "stage": stage,
        "body": body,
        "hash": hashlib.sha256(body).digest(),
    }


def following(stage: str) -> str | None:
    """The stage after this one, None after the last."""
    place = STAGES.index(stage) + 1
    return STAGES[place] if place < len(STAGES) else None


def loop_name(number: int) -> str:
    """The id of a rival's loop."""
    return f"inc_{number:026d}"
