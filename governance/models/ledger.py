"""The ledger: entries, their places in the tenant's tree, and the signed notes about it."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.functions import Now

from ..database.fields import AppendOnly, OwnerField
from ..ids import ID_LENGTH, IdField


class CurrentXid(models.Func):
    """The transaction that writes the row."""

    function = "pg_current_xact_id"
    arity = 0
    output_field = models.BigIntegerField()


class XidField(models.BigIntegerField):  # type: ignore[type-arg]
    """The number of a transaction: 64 bits, never used twice in the life of a PostgreSQL cluster."""

    def db_type(self, connection: Any) -> str:
        return "xid8"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> int | None:
        return None if value is None else int(value)


class LedgerEntry(AppendOnly):
    """One change that mattered, as canonical bytes (RFC 8785) and their SHA-256."""

    id = IdField("led")
    # Row-level security lets only the tenant in scope be written, and the change that an entry tells of, in the same
    # transaction, is bound to it by a key: looking it up and locking it once more for each entry says nothing new.
    tenant = OwnerField(db_constraint=False)
    # When, by the clock of who wrote it: the bytes say the same.
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    kind = models.CharField(max_length=60)
    subject = models.CharField(max_length=60)
    actor = models.CharField(max_length=80)
    gesture = models.CharField(max_length=ID_LENGTH, blank=True)
    body = models.BinaryField()
    hash = models.BinaryField(max_length=32)
    # Who numbers the entries finds new ones by it, however late they were committed.
    xid = XidField(db_default=CurrentXid(), editable=False)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "ledger entries"
        indexes = [
            models.Index(fields=["tenant", "subject"], name="ledger_subject"),
            models.Index(fields=["tenant", "gesture"], name="ledger_gesture"),
            models.Index(fields=["xid"], name="ledger_xid"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"


class LedgerPayload(AppendOnly):
    """What an entry must not say for ever (a person's words, mostly): its bytes say only the hash of salt and payload.

    The one kind of evidence that can be erased, by ``ledger.erase`` and nothing else. Its id is the entry's.
    """

    id = IdField()
    salt = models.BinaryField(max_length=32)
    payload = models.BinaryField()
    created_at = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return f"payload of {self.id}"


class LedgerLeaf(AppendOnly):
    """The place of an entry in its tenant's tree, given to it after it was committed. Its id is the entry's."""

    id = IdField()
    # Only a function of the database writes it, and copies the tenant from the entry, whose key is held: to look the
    # tenant up once more for each would cost a quarter of what writing a row does.
    tenant = OwnerField(db_constraint=False)
    seq = models.BigIntegerField()
    hash = models.BinaryField(max_length=32)
    xid = XidField(editable=False)
    created_at = None  # type: ignore[assignment]
    written_by_functions = True

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "seq"], name="leaf_once")]

    def __str__(self) -> str:
        return f"{self.seq}: {self.id}"


class LedgerNode(AppendOnly):
    """The hash over 256 leaves (level 1) or 256 such nodes (level 2 and so on), so that a proof needs few rows."""

    id = IdField("lnd")
    level = models.PositiveSmallIntegerField()
    place = models.BigIntegerField()
    hash = models.BinaryField(max_length=32)
    created_at = None  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "level", "place"], name="node_once")
        ]

    def __str__(self) -> str:
        return f"node {self.level}/{self.place}"


class LedgerNote(AppendOnly):
    """What the signer signed about the tree (C2SP tlog-checkpoint); the notes that count are outside the database."""

    id = IdField("lnt")
    size = models.BigIntegerField()
    root = models.BinaryField(max_length=32)
    note = models.TextField()

    class Meta:
        ordering = ["-size"]
        constraints = [models.UniqueConstraint(fields=["tenant", "size"], name="note_once")]

    def __str__(self) -> str:
        return f"{self.size} entries"


class LedgerMark(models.Model):
    """From which transaction on entries may still be without a number, in which PostgreSQL cluster. One row."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    cluster = models.CharField(max_length=20)
    floor = XidField()

    def __str__(self) -> str:
        return f"from transaction {self.floor} on"
