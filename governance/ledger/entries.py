"""Entries of the ledger: canonical bytes and their hash, in the transaction of the change they tell of.

No entry, no change: an append that fails takes the change down with it. An entry is never updated: its number and
its place in the tree come later, in tables of their own. What a person said, and whatever else must be forgotten one
day, is no part of the bytes: they hold a salted hash of it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import rfc8785
from django.db import connection

from ..actors import Actor
from ..database.tenancy import required_tenant
from ..gestures import current_gesture
from ..ids import new_id

MAX_REASON = 2_000
SALT_BYTES = 32


class LedgerError(RuntimeError):
    """An entry could not be written as canonical bytes, or outside a transaction."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one change was: its kind (``policy.active``), the record's id, who, why and the facts of it.

    The reason and the ``private`` facts can be erased later. ``gesture`` says what caused it, where that is not what
    is going on anyway.
    """

    kind: str
    subject: str
    actor: Actor
    reason: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    private: dict[str, Any] = field(default_factory=dict)
    gesture: str = ""


def append(
    kind: str,
    subject: str,
    *,
    actor: Actor,
    reason: str = "",
    private: dict[str, Any] | None = None,
    **facts: Any,
) -> str:
    """Write one entry; its id. Facts are JSON values; secrets and an agent's arguments never belong in them.

    What is ``private`` can be erased later, as the reason can.
    """
    [entry_id] = append_all([Entry(kind, subject, actor, reason, facts, private or {})])
    return entry_id


def append_all(entries: Iterable[Entry]) -> list[str]:
    """Write several entries in one statement; their ids, in order."""
    if not connection.in_atomic_block:
        raise LedgerError(
            "The ledger is written in the transaction of the change, and there is none."
        )
    tenant_id, gesture, now = required_tenant(), current_gesture(), datetime.now(UTC)
    rows = [_row(tenant_id, entry, entry.gesture or gesture, now) for entry in entries]
    if rows:
        # One text and one parameter however many entries: the plan is made once.
        text = _INSERT_WITH_PAYLOADS if any("salt" in row for row in rows) else _INSERT
        with connection.cursor() as cursor:
            cursor.execute(text, [tenant_id, json.dumps(rows, ensure_ascii=False)])
    return [row["id"] for row in rows]


def canonical(value: dict[str, Any]) -> bytes:
    """The one byte form of a JSON object (RFC 8785). Raises LedgerError for what has none."""
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise LedgerError(f"No canonical form: {error}") from error


def digest(value: dict[str, Any]) -> str:
    """SHA-256 of the canonical bytes, in hex: what a decision of a person is bound to."""
    return hashlib.sha256(canonical(value)).hexdigest()


def said_at(moment: datetime) -> str:
    """A time as entries say it: UTC, to the microsecond."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def salted_hash(salt: bytes, payload: bytes) -> str:
    """What the bytes of an entry say of its payload."""
    return hashlib.sha256(salt + payload).hexdigest()


_COLUMNS = "id text, at timestamptz, kind text, subject text, actor text, gesture text, body text, hash text"
_INSERT = f"""
INSERT INTO governance_ledgerentry (tenant_id, id, created_at, kind, subject, actor, gesture, body, hash)
SELECT %s, id, at, kind, subject, actor, gesture, convert_to(body, 'UTF8'), decode(hash, 'hex')
  FROM json_to_recordset(%s) AS entry ({_COLUMNS})
"""  # noqa: S608 - constants of this file
_INSERT_WITH_PAYLOADS = f"""
WITH entry AS (
    SELECT %s::text AS tenant, said.* FROM json_to_recordset(%s) AS said ({_COLUMNS}, salt text, payload text)
), written AS (
    INSERT INTO governance_ledgerentry (tenant_id, id, created_at, kind, subject, actor, gesture, body, hash)
    SELECT tenant, id, at, kind, subject, actor, gesture, convert_to(body, 'UTF8'), decode(hash, 'hex') FROM entry
)
INSERT INTO governance_ledgerpayload (tenant_id, id, salt, payload)
SELECT tenant, id, decode(salt, 'hex'), convert_to(payload, 'UTF8') FROM entry WHERE salt IS NOT NULL
"""  # noqa: S608 - constants of this file


def _row(tenant_id: str, entry: Entry, gesture: str, now: datetime) -> dict[str, str]:
    """The columns of an entry as texts: the canonical bytes are UTF-8, hashes are written in hex."""
    entry_id, actor, at = new_id("led"), str(entry.actor), said_at(now)
    row = {
        "id": entry_id,
        "at": at,
        "kind": entry.kind,
        "subject": entry.subject,
        "actor": actor,
        "gesture": gesture,
    }
    private = None
    if said := _private(entry):
        salt, payload = secrets.token_bytes(SALT_BYTES), canonical(said)
        row |= {"salt": salt.hex(), "payload": payload.decode()}
        private = salted_hash(salt, payload)
    body = canonical(
        {
            "id": entry_id,
            "tenant": tenant_id,
            "kind": entry.kind,
            "subject": entry.subject,
            "actor": actor,
            "gesture": gesture,
            "at": at,
            "facts": entry.facts,
            "private": private,
        }
    )
    return {**row, "body": body.decode(), "hash": hashlib.sha256(body).hexdigest()}


def _private(entry: Entry) -> dict[str, Any]:
    reason = {"reason": entry.reason[:MAX_REASON]} if entry.reason else {}
    return {**entry.private, **reason}
