"""Entries of the ledger: canonical bytes and their hash, in the transaction of the change they tell of.

No entry, no change: an append that fails takes the change down with it. Numbering and the tree come later, in
tables of their own: an entry is never updated.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import rfc8785
from django.db import connection

from .actors import Actor
from .database.tenancy import required_tenant
from .ids import new_id

MAX_REASON = 2_000


class LedgerError(RuntimeError):
    """An entry could not be written as canonical bytes, or outside a transaction."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one change was: its kind (``policy.active``), the record's id, who, why and the facts of it."""

    kind: str
    subject: str
    actor: Actor
    reason: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


def append(kind: str, subject: str, *, actor: Actor, reason: str = "", **facts: Any) -> None:
    """Write one entry. Facts are JSON values; secrets and an agent's arguments never belong in them."""
    append_all([Entry(kind, subject, actor, reason, facts)])


def append_all(entries: Iterable[Entry]) -> None:
    """Write several entries in one statement."""
    if not connection.in_atomic_block:
        raise LedgerError(
            "The ledger is written in the transaction of the change, and there is none."
        )
    tenant_id = required_tenant()
    rows = [_row(tenant_id, entry) for entry in entries]
    if rows:
        # One text and one parameter however many entries: the plan is made once.
        with connection.cursor() as cursor:
            cursor.execute(_INSERT, [tenant_id, json.dumps(rows, ensure_ascii=False)])


def canonical(value: dict[str, Any]) -> bytes:
    """The one byte form of a JSON object (RFC 8785). Raises LedgerError for what has none."""
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise LedgerError(f"No canonical form: {error}") from error


def digest(value: dict[str, Any]) -> str:
    """SHA-256 of the canonical bytes, in hex: what a decision of a person is bound to."""
    return hashlib.sha256(canonical(value)).hexdigest()


_INSERT = """
INSERT INTO governance_ledgerentry (tenant_id, id, kind, subject, actor, body, hash)
SELECT %s, id, kind, subject, actor, convert_to(body, 'UTF8'), decode(hash, 'hex')
  FROM json_to_recordset(%s) AS entry (id text, kind text, subject text, actor text, body text, hash text)
"""


def _row(tenant_id: str, entry: Entry) -> dict[str, str]:
    """The columns of an entry as texts: the canonical bytes are UTF-8, the hash is written in hex."""
    entry_id, actor = new_id("led"), str(entry.actor)
    body = canonical(
        {
            "id": entry_id,
            "tenant": tenant_id,
            "kind": entry.kind,
            "subject": entry.subject,
            "actor": actor,
            "reason": entry.reason[:MAX_REASON],
            "facts": entry.facts,
        }
    )
    return {
        "id": entry_id,
        "kind": entry.kind,
        "subject": entry.subject,
        "actor": actor,
        "body": body.decode(),
        "hash": hashlib.sha256(body).hexdigest(),
    }
