"""Entries of the ledger: canonical bytes and their hash, in the transaction of the change they tell of.

No entry, no change: an append that fails takes the change down with it. An entry is never updated: its number and
its place in the tree come later, in tables of their own. What a person said, and whatever else must be forgotten one
day, is no part of the bytes: they hold a salted hash of it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db import connection

from .. import redaction
from ..actors import Actor
from ..database.tenancy import required_tenant
from ..gestures import current_gesture
from ..ids import new_id
from .canonical_form import NoCanonicalForm, write

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

    What is ``private`` can be erased later, as the reason can. What looks like a secret all the same (a name or a
    reason that somebody pasted one into) is masked: an entry is for good.
    """
    [entry_id] = append_all([Entry(kind, subject, actor, reason, facts, private or {})])
    return entry_id


def append_all(entries: Iterable[Entry]) -> list[str]:
    """Write several entries in one statement; their ids, in order."""
    if not connection.in_atomic_block:
        raise LedgerError(
            "The ledger is written in the transaction of the change, and there is none."
        )
    tenant_id, gesture, now = required_tenant(), current_gesture(), said_at(datetime.now(UTC))
    rows, bodies, payloads = [], [], []
    for entry in entries:
        row = _row(entry, entry.gesture or gesture, now)
        payload = _payload(row["id"], entry)
        rows.append(row)
        bodies.append(_body(tenant_id, row, entry, payload))
        if payload:
            payloads.append(payload)
    if rows:
        _insert(tenant_id, rows, _without_secrets(bodies), payloads)
    return [row["id"] for row in rows]


def canonical(value: dict[str, Any]) -> bytes:
    """The one byte form of a JSON object (RFC 8785). Raises LedgerError for what has none."""
    try:
        return write(value)
    except NoCanonicalForm as error:
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


_ENTRIES = """
INSERT INTO governance_ledgerentry (tenant_id, id, created_at, kind, subject, actor, gesture, body, hash)
SELECT %s, id, at, kind, subject, actor, gesture, convert_to(body, 'UTF8'), sha256(convert_to(body, 'UTF8'))
  FROM ROWS FROM (
       json_to_recordset(%s) AS (id text, at timestamptz, kind text, subject text, actor text, gesture text),
       string_to_table(%s, E'\\n')
  ) AS entry (id, at, kind, subject, actor, gesture, body)
"""
_ENTRIES_WITH_PAYLOADS = f"""
WITH written AS ({_ENTRIES})
INSERT INTO governance_ledgerpayload (tenant_id, id, salt, payload)
SELECT %s, id, decode(salt, 'hex'), convert_to(payload, 'UTF8')
  FROM json_to_recordset(%s) AS payload (id text, salt text, payload text)
"""  # noqa: S608 - constants of this file


def _insert(
    tenant_id: str,
    rows: list[dict[str, str]],
    bodies: list[str],
    payloads: list[dict[str, str]],
) -> None:
    """One text and as many parameters however many entries: the plan is made once.

    Canonical bytes hold no line end, so that as lines they go as they are, and are not written as JSON once more.
    """
    params = [tenant_id, orjson.dumps(rows).decode(), "\n".join(bodies)]
    with connection.cursor() as cursor:
        if payloads:
            params += [tenant_id, orjson.dumps(payloads).decode()]
            cursor.execute(_ENTRIES_WITH_PAYLOADS, params)
        else:
            cursor.execute(_ENTRIES, params)


def _row(entry: Entry, gesture: str, at: str) -> dict[str, str]:
    """What the table says of an entry besides its bytes, which say the same."""
    return {
        "id": new_id("led"),
        "at": at,
        "kind": entry.kind,
        "subject": entry.subject,
        "actor": str(entry.actor),
        "gesture": gesture,
    }


def _body(tenant_id: str, row: dict[str, str], entry: Entry, payload: dict[str, str] | None) -> str:
    """The canonical bytes, as the text that is UTF-8 for them."""
    private = (
        salted_hash(bytes.fromhex(payload["salt"]), payload["payload"].encode())
        if payload
        else None
    )
    return canonical(
        {**row, "tenant": tenant_id, "facts": entry.facts, "private": private}
    ).decode()


def _payload(entry_id: str, entry: Entry) -> dict[str, str] | None:
    """What of an entry can be erased, and its salt; None where there is nothing."""
    reason = {"reason": entry.reason[:MAX_REASON]} if entry.reason else {}
    said = {**entry.private, **reason}
    if not said:
        return None
    [payload] = _without_secrets([canonical(said).decode()])
    return {"id": entry_id, "salt": secrets.token_bytes(SALT_BYTES).hex(), "payload": payload}


def _without_secrets(written: list[str]) -> list[str]:
    """Canonical texts; what looks like a secret is masked in the few that may hold one, which one look tells of all."""
    if not redaction.may_hold("\n".join(written)):
        return written
    return [
        canonical(redaction.texts(orjson.loads(each))).decode()
        if redaction.may_hold(each)
        else each
        for each in written
    ]
