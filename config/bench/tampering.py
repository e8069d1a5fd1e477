"""What a superuser of the database may do to a ledger that was signed, one thing at a time, and where it begins.

Each way is a function of a ``Ledger`` that does it and answers the number of the first entry that is not as it was.
Triggers are off, and whoever does it knows how the ledger is made: several forge everything that depends on what they
change, so that only what is outside the database can tell.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from random import Random
from typing import Any

import psycopg

from governance.ids import new_id
from governance.ledger.entries import canonical
from governance.signing.tree import leaf_hash

TABLES = ("entry", "leaf", "payload", "node", "note")
FAR = 1_000_000  # numbers that are free


@dataclass(slots=True)
class Ledger:
    """One tenant's ledger in the hands of a superuser, within a transaction."""

    connection: psycopg.Connection[Any]
    tenant_id: str
    other_tenant: str
    size: int
    chance: Random

    def open_up(self) -> None:
        """Take away what would refuse."""
        for table in TABLES:
            self.run(f"ALTER TABLE governance_ledger{table} DISABLE TRIGGER ALL")

    def run(self, sql: str, **params: Any) -> None:
        self.connection.execute(sql.encode(), {"tenant": self.tenant_id, **params})

    def one(self, sql: str, **params: Any) -> Any:
        row = self.connection.execute(sql.encode(), {"tenant": self.tenant_id, **params}).fetchone()
        assert row is not None, sql
        return row[0] if len(row) == 1 else row

    def some(self) -> int:
        """A number of an entry."""
        return self.chance.randrange(self.size)

    def two(self) -> tuple[int, int]:
        """Two numbers of entries, the smaller first."""
        first, second = sorted(self.chance.sample(range(self.size), 2))
        return first, second

    def entry(self, seq: int) -> str:
        return str(
            self.one(
                "SELECT id FROM governance_ledgerleaf WHERE tenant_id = %(tenant)s AND seq = %(seq)s",
                seq=seq,
            )
        )

    def with_payload(self) -> int:
        """A number of an entry that has a payload."""
        return int(
            self.one(
                "SELECT l.seq FROM governance_ledgerleaf l JOIN governance_ledgerpayload p ON p.id = l.id"
                " WHERE l.tenant_id = %(tenant)s ORDER BY md5(l.id || %(salt)s) LIMIT 1",
                salt=str(self.chance.random()),
            )
        )

    def set_entry(self, seq: int, change: str, **params: Any) -> int:
        self.run(
            f"UPDATE governance_ledgerentry SET {change} WHERE id = %(id)s",  # noqa: S608 - words of ours
            id=self.entry(seq),
            **params,
        )
        return seq

    def set_leaf(self, seq: int, change: str, **params: Any) -> int:
        self.run(
            f"UPDATE governance_ledgerleaf SET {change} WHERE tenant_id = %(tenant)s AND seq = %(seq)s",  # noqa: S608
            seq=seq,
            **params,
        )
        return seq

    def shift(self, start: int, by: int) -> None:
        """Renumber everything from ``start`` on; by way of numbers that are free."""
        for change, floor in ((FAR, start), (by - FAR, FAR)):
            self.run(
                "UPDATE governance_ledgerleaf SET seq = seq + %(by)s WHERE tenant_id = %(tenant)s AND seq >= %(floor)s",
                by=change,
                floor=floor,
            )

    def forged(self, seq: int, **changes: Any) -> bytes:
        """The canonical bytes of an entry with something else in them."""
        body = self.one(
            "SELECT body FROM governance_ledgerentry WHERE id = %(id)s", id=self.entry(seq)
        )
        return canonical(json.loads(bytes(body)) | changes)


Way = Callable[[Ledger], int]

# --- Edited ---------------------------------------------------------------------------------------------------


def edited(column: str, value: str) -> Way:
    """A column of an entry."""

    def edit(ledger: Ledger) -> int:
        return ledger.set_entry(ledger.some(), f"{column} = {value}")

    return edit


def a_byte(ledger: Ledger) -> int:
    seq = ledger.some()
    size = ledger.one(
        "SELECT length(body) FROM governance_ledgerentry WHERE id = %(id)s", id=ledger.entry(seq)
    )
    place, bit = ledger.chance.randrange(size), 1 << ledger.chance.randrange(8)
    change = "body = set_byte(body, %(place)s, get_byte(body, %(place)s) # %(bit)s)"
    return ledger.set_entry(seq, change, place=place, bit=bit)


def a_space(ledger: Ledger) -> int:
    """The same words, not canonical; the hash fits."""
    change = "body = body || '\\x20'::bytea, hash = sha256(body || '\\x20'::bytea)"
    return ledger.set_entry(ledger.some(), change)


def facts(ledger: Ledger) -> int:
    """Other facts, with the hash of the entry but not of the leaf."""
    seq = ledger.some()
    body = ledger.forged(seq, facts={"forged": ledger.chance.random()})
    return ledger.set_entry(seq, "body = %(body)s, hash = sha256(%(body)s)", body=body)


def everything(ledger: Ledger) -> int:
    """Another actor: column, bytes, hash and leaf all fit."""
    seq = ledger.some()
    body = ledger.forged(seq, actor="user:666")
    ledger.set_entry(seq, "actor = 'user:666', body = %(body)s, hash = sha256(%(body)s)", body=body)
    return ledger.set_leaf(seq, "hash = %(hash)s", hash=leaf_hash(body))


def another_time(ledger: Ledger) -> int:
    """Written at another time: column, bytes, hash and leaf all fit."""
    seq = ledger.some()
    body = ledger.forged(seq, at="2001-01-01T00:00:00.000000Z")
    change = "created_at = '2001-01-01Z', body = %(body)s, hash = sha256(%(body)s)"
    ledger.set_entry(seq, change, body=body)
    return ledger.set_leaf(seq, "hash = %(hash)s", hash=leaf_hash(body))


def everything_from_here(ledger: Ledger) -> int:
    """Every later entry was caused by somebody else, and everything fits."""
    seq = ledger.chance.randrange(max(0, ledger.size - 20), ledger.size)
    for each in range(seq, ledger.size):
        body = ledger.forged(each, gesture="ges_forged")
        change = "gesture = 'ges_forged', body = %(body)s, hash = sha256(%(body)s)"
        ledger.set_entry(each, change, body=body)
        ledger.set_leaf(each, "hash = %(hash)s", hash=leaf_hash(body))
    return seq


def leaf_hash_alone(ledger: Ledger) -> int:
    return ledger.set_leaf(ledger.some(), "hash = sha256(hash)")


def leaf_transaction(ledger: Ledger) -> int:
    return ledger.set_leaf(ledger.some(), "xid = '3'")


def leaf_of_nobody(ledger: Ledger) -> int:
    return ledger.set_leaf(ledger.some(), "id = 'led_nobody'")


# --- Deleted --------------------------------------------------------------------------------------------------


def without_entry(ledger: Ledger) -> int:
    seq = ledger.some()
    ledger.run("DELETE FROM governance_ledgerentry WHERE id = %(id)s", id=ledger.entry(seq))
    return seq


def without_leaf(ledger: Ledger) -> int:
    seq = ledger.some()
    ledger.run("DELETE FROM governance_ledgerleaf WHERE id = %(id)s", id=ledger.entry(seq))
    return seq


def without_both(ledger: Ledger) -> int:
    seq = ledger.some()
    entry = ledger.entry(seq)
    for table in ("entry", "leaf", "payload"):
        ledger.run(f"DELETE FROM governance_ledger{table} WHERE id = %(id)s", id=entry)  # noqa: S608
    return seq


def without_a_gap(ledger: Ledger) -> int:
    """Taken out, and those after it moved up."""
    seq = without_both(ledger)
    ledger.shift(seq + 1, -1)
    return seq


# --- Swapped, inserted, truncated, renumbered -----------------------------------------------------------------


def two_places(ledger: Ledger) -> int:
    first, second = ledger.two()
    ledger.set_leaf(first, "seq = -1")
    ledger.set_leaf(second, "seq = %(to)s", to=first)
    ledger.set_leaf(-1, "seq = %(to)s", to=second)
    return first


def two_bodies(ledger: Ledger) -> int:
    first, second = ledger.two()
    ids = ledger.entry(first), ledger.entry(second)
    ledger.run(
        "UPDATE governance_ledgerentry mine SET body = theirs.body, hash = theirs.hash"
        " FROM governance_ledgerentry theirs WHERE (mine.id, theirs.id) IN ((%(a)s, %(b)s), (%(b)s, %(a)s))",
        a=ids[0],
        b=ids[1],
    )
    return first


def one_more(ledger: Ledger) -> int:
    """An entry that never was, with everything that fits, between two others."""
    seq = ledger.some()
    like, entry = ledger.entry(seq), new_id("led")
    body = ledger.forged(seq, id=entry, private=None)
    ledger.shift(seq, 1)
    ledger.run(
        "INSERT INTO governance_ledgerentry (tenant_id, id, created_at, kind, subject, actor, gesture, body, hash, xid)"
        " SELECT tenant_id, %(id)s, created_at, kind, subject, actor, gesture, %(body)s, %(hash)s, xid"
        " FROM governance_ledgerentry WHERE id = %(like)s",
        id=entry,
        body=body,
        hash=sha256(body).digest(),
        like=like,
    )
    ledger.run(
        "INSERT INTO governance_ledgerleaf (tenant_id, id, seq, hash, xid)"
        " SELECT tenant_id, %(id)s, %(seq)s, %(hash)s, xid FROM governance_ledgerleaf WHERE id = %(like)s",
        id=entry,
        seq=seq,
        hash=leaf_hash(body),
        like=like,
    )
    return seq


def none_of_a_table(table: str) -> Way:
    def truncate(ledger: Ledger) -> int:
        ledger.run(f"TRUNCATE governance_ledger{table}")
        return 0

    return truncate


def the_end_is_missing(ledger: Ledger) -> int:
    seq = ledger.some()
    ledger.run(
        "DELETE FROM governance_ledgerentry e USING governance_ledgerleaf l"
        " WHERE l.id = e.id AND l.tenant_id = %(tenant)s AND l.seq >= %(seq)s",
        seq=seq,
    )
    ledger.run(
        "DELETE FROM governance_ledgerpayload p USING governance_ledgerleaf l"
        " WHERE l.id = p.id AND l.tenant_id = %(tenant)s AND l.seq >= %(seq)s",
        seq=seq,
    )
    ledger.run(
        "DELETE FROM governance_ledgerleaf WHERE tenant_id = %(tenant)s AND seq >= %(seq)s", seq=seq
    )
    return seq


def later(ledger: Ledger) -> int:
    """Everything from here on has a larger number."""
    seq = ledger.some()
    ledger.shift(seq, ledger.chance.randrange(1, 5))
    return seq


def one_elsewhere(ledger: Ledger) -> int:
    return ledger.set_leaf(
        ledger.some(), "seq = %(to)s", to=ledger.size + ledger.chance.randrange(5)
    )


def backwards(ledger: Ledger) -> int:
    first, second = ledger.two()
    ledger.run(
        "UPDATE governance_ledgerleaf SET seq = %(sum)s - seq + %(far)s"
        " WHERE tenant_id = %(tenant)s AND seq BETWEEN %(first)s AND %(second)s",
        sum=first + second,
        far=FAR,
        first=first,
        second=second,
    )
    ledger.run(
        "UPDATE governance_ledgerleaf SET seq = seq - %(far)s WHERE tenant_id = %(tenant)s AND seq >= %(far)s",
        far=FAR,
    )
    return first


# --- Payloads -------------------------------------------------------------------------------------------------


def payload(change: str) -> Way:
    def edit(ledger: Ledger) -> int:
        seq = ledger.with_payload()
        ledger.run(
            f"UPDATE governance_ledgerpayload SET {change} WHERE id = %(id)s",  # noqa: S608 - words of ours
            id=ledger.entry(seq),
        )
        return seq

    return edit


def without_payload(ledger: Ledger) -> int:
    seq = ledger.with_payload()
    ledger.run("DELETE FROM governance_ledgerpayload WHERE id = %(id)s", id=ledger.entry(seq))
    return seq


def other_words(ledger: Ledger) -> int:
    """Another reason, with the hash of it in the bytes, and everything fits."""
    seq = ledger.with_payload()
    salt, words = ledger.chance.randbytes(32), canonical({"reason": "nobody said this"})
    entry = ledger.entry(seq)
    body = ledger.forged(seq, private=sha256(salt + words).hexdigest())
    ledger.run(
        "UPDATE governance_ledgerpayload SET salt = %(salt)s, payload = %(words)s WHERE id = %(id)s",
        salt=salt,
        words=words,
        id=entry,
    )
    ledger.set_entry(seq, "body = %(body)s, hash = sha256(%(body)s)", body=body)
    return ledger.set_leaf(seq, "hash = %(hash)s", hash=leaf_hash(body))


def another_owner(ledger: Ledger) -> int:
    """The entry belongs to another tenant."""
    return ledger.set_entry(ledger.some(), "tenant_id = %(to)s", to=ledger.other_tenant)


WAYS: dict[str, Way] = {
    "edit kind": edited("kind", "'decision.forged'"),
    "edit subject": edited("subject", "'pol_forged'"),
    "edit actor": edited("actor", "'user:666'"),
    "edit gesture": edited("gesture", "'ges_forged'"),
    "edit time": edited("created_at", "created_at - interval '1 microsecond'"),
    "edit id": edited("id", "'led_' || md5(id)"),
    "edit hash": edited("hash", "sha256(hash)"),
    "edit transaction": edited("xid", "'3'"),
    "edit tenant": another_owner,
    "edit a byte": a_byte,
    "edit: a space more": a_space,
    "edit facts": facts,
    "edit, all fits": everything,
    "edit time, all fits": another_time,
    "edit from here on, all fits": everything_from_here,
    "edit leaf's hash": leaf_hash_alone,
    "edit leaf's transaction": leaf_transaction,
    "edit leaf's entry": leaf_of_nobody,
    "delete entry": without_entry,
    "delete leaf": without_leaf,
    "delete both": without_both,
    "delete, and close the gap": without_a_gap,
    "swap two places": two_places,
    "swap two bodies": two_bodies,
    "insert, all fits": one_more,
    "truncate entries": none_of_a_table("entry"),
    "truncate leaves": none_of_a_table("leaf"),
    "truncate at the end": the_end_is_missing,
    "renumber from here on": later,
    "renumber one": one_elsewhere,
    "renumber backwards": backwards,
    "edit payload": payload("payload = payload || '\\x20'::bytea"),
    "edit salt": payload("salt = sha256(salt)"),
    "delete payload": without_payload,
    "edit payload, all fits": other_words,
}
