"""One tenant's ledger in one file, for who verifies it without us: JSON, one object a line.

* ``{"antibody_ledger": 1, "tenant", "origin", "verifier_key"}``
* ``{"note"}``: each signed note, oldest first
* ``{"seq", "body", "leaf"}``: each entry in order; leaf is the hash that was signed, base64, where it is known; with
  payloads also ``salt`` and ``payload`` where something was said in private
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..signing.notes import origin_of, verifier_key
from ..signing.outside import Outside, public_key
from .snapshots import Rows, placed

VERSION = 1


def lines(tenant_id: str, rows: Rows, directory: Path, *, with_payloads: bool) -> Iterator[str]:
    """The file, line by line. Raises Unreadable."""
    public, origin = public_key(directory), origin_of(tenant_id)
    outside = Outside(directory, tenant_id)
    [(size,)] = rows(_SIZE, {"tenant": tenant_id})
    yield _line(
        antibody_ledger=VERSION,
        tenant=tenant_id,
        origin=origin,
        verifier_key=verifier_key(origin, public) if public else None,
    )
    for note in outside.notes():
        # One about entries that came since could not be verified with this file.
        if note.size <= size:
            yield _line(note=note.text)
    leaves = outside.leaf_hashes()
    for row in placed(tenant_id, rows):
        body = bytes(row.entry.body) if row.entry else b""
        entry: dict[str, Any] = {"seq": row.seq, "body": body.decode("utf-8", "replace")}
        if leaf := next(leaves, None):
            entry["leaf"] = b64encode(leaf).decode()
        if with_payloads and row.private is not None:
            salt, payload = row.private
            entry |= {"salt": salt.hex(), "payload": payload.decode()}
        yield _line(**entry)


def _line(**said: Any) -> str:
    return json.dumps(said, ensure_ascii=False) + "\n"


_SIZE = """
SELECT coalesce(max(seq) + 1, 0) FROM governance_ledgerleaf WHERE tenant_id = %(tenant)s
"""
