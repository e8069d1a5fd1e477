"""The notary: gives entries their numbers, and has every tree that has grown signed.

It runs beside the sweeper, in a thread of its own: a signer that does not answer must not hold up the loop. Several
may run at once. While there is no signer, entries are numbered all the same; their signatures come when it is back.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection

from ..database.inserts import insert
from ..database.tenancy import tenant_scope
from ..models import LedgerNote
from ..signing.notes import Note, origin_of, read
from ..signing.signer import SOCKET, connect
from . import leaves, sequencer
from .entries import LedgerError
from .receipts import latest_note

log = logging.getLogger("antibody.notary")

NUMBER_EVERY_SECONDS = 1.0
# With a second until the number, an entry is signed within four seconds: five are promised.
SIGN_EVERY_SECONDS = 2.0
# A tree whose first unsigned entry is younger was just signed, most likely by another notary.
LEFT_ALONE_SECONDS = 1.0
ANSWERS_WITHIN_SECONDS = 10.0
DATABASE_AWAY_SECONDS = 2.0


class Refused(LedgerError):
    """The signer did not sign: what is stored is no extension of what it signed before."""


class SignerAway(LedgerError):
    """There is no signer, or it does not answer."""


def keep_forever(leaving: threading.Event) -> None:
    """Number and have signed until ``leaving`` is set; outlives restarts of the database and of the signer."""
    pause, sign_at = 0.0, 0.0
    times_away = 0
    while not leaving.wait(pause):
        pause = NUMBER_EVERY_SECONDS
        close_old_connections()
        try:
            sequencer.number_entries()
            if time.monotonic() >= sign_at:
                sign_at = time.monotonic() + SIGN_EVERY_SECONDS
                sign_all(waiting=LEFT_ALONE_SECONDS)
                times_away = 0
        except SignerAway as error:
            times_away += 1
            if times_away == 2:  # once may be because both have just been started
                log.warning("entries are not signed: %s", error)
        except (DatabaseError, InterfaceError) as error:
            log.info("the database is away: %s", type(error).__name__)
            connection.close()
            pause = DATABASE_AWAY_SECONDS
        except Exception:
            # Nobody would start this thread again.
            log.exception("the notary stumbled; it goes on")
            connection.close()
            pause = DATABASE_AWAY_SECONDS
    connection.close()


def sign_all(*, waiting: float = 0.0) -> int:
    """Have every tree signed that has grown; how many notes came of it. Raises SignerAway.

    Only those whose first unsigned entry has been ``waiting`` for so many seconds.

    A tree that the signer refuses, or that has holes, is told in the log, and does not keep the others from theirs.
    """
    signed = 0
    trees = [tree for tree in sequencer.to_sign() if tree.waiting >= waiting]
    if trees:
        _knock()
    for tree in trees:
        try:
            signed += sign_one(tree.tenant_id)
        except SignerAway:
            raise
        except LedgerError as error:
            log.error("the ledger of %s is not signed: %s", tree.tenant_id, error)  # noqa: TRY400 - no bug of ours
    return signed


def sign_one(tenant_id: str) -> bool:
    """Have one tenant's tree signed as it is now, and keep the note; False where another one was faster.

    Raises Refused, and SignerAway.
    """
    with tenant_scope(tenant_id):
        # Once: another notary may be giving numbers at this moment.
        size = leaves.size()
        leaves.complete_nodes(size)
        root = leaves.root(size)
        last = latest_note()
        first = min(last.size, size) if last else 0
        hashes = b"".join(leaves.leaf_hashes(first, size))
    answer = _ask(tenant_id, size, root, first, hashes)
    if "note" not in answer or "refused" in answer:
        return _refused(tenant_id, answer)
    note = read(answer["note"])
    return _keep(tenant_id, note)


def _knock() -> None:
    """See that somebody listens, before anything is read for him: it would be more each time that nobody does."""
    place = settings.LEDGER_DIR / SOCKET
    try:
        connect(place, ANSWERS_WITHIN_SECONDS).close()
    except OSError as error:
        raise SignerAway(f"{place}: {error}") from error


def _keep(tenant_id: str, note: Note) -> bool:
    row = LedgerNote(size=note.size, root=note.root, note=note.text, tenant_id=tenant_id)
    with tenant_scope(tenant_id):
        return bool(insert([row], ignore_conflicts=True))


def _refused(tenant_id: str, answer: dict[str, Any]) -> bool:
    """Another notary may have been faster and had a larger tree signed; all else is the signer's no."""
    if answer.get("note"):
        note = read(answer["note"])
        with tenant_scope(tenant_id):
            if leaves.size() >= note.size and leaves.root(note.size) == note.root:
                _keep(tenant_id, note)
                return False
    raise Refused(str(answer.get("refused", "no answer that we know")))


def _ask(tenant_id: str, size: int, root: bytes, first: int, hashes: bytes) -> dict[str, Any]:
    """The signer's answer; it may want the leaves from somewhere else on."""
    place = settings.LEDGER_DIR / SOCKET
    try:
        with connect(place, ANSWERS_WITHIN_SECONDS) as signer, signer.makefile("rwb") as stream:
            answer = _exchange(stream, tenant_id, size, root, first, hashes)
            if "send_from" in answer:
                first = int(answer["send_from"])
                with tenant_scope(tenant_id):
                    hashes = b"".join(leaves.leaf_hashes(first, size))
                answer = _exchange(stream, tenant_id, size, root, first, hashes)
    except (OSError, ValueError) as error:
        raise SignerAway(f"{place}: {error}") from error
    return answer


def _exchange(
    stream: Any, tenant_id: str, size: int, root: bytes, first: int, hashes: bytes
) -> dict[str, Any]:
    header = {"origin": origin_of(tenant_id), "size": size, "root": root.hex(), "first": first}
    stream.write(json.dumps(header).encode() + b"\n" + hashes)
    stream.flush()
    answer: dict[str, Any] = json.loads(stream.readline())
    return answer
