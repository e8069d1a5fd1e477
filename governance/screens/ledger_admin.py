"""The ledger's pages in the admin: entries, their places in the tree, and what was signed about it."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from unfold.decorators import display

from .. import ledger, models
from ..access.matrix import ERASE
from ..ledger.erasure import private_of
from ..ledger.receipts import latest_note
from .admin_base import EvidenceAdmin, GlobalAdmin, Verb


def short(hashed: str) -> str:
    """The beginning of a hash in hex."""
    return f"{hashed[:16]}…"


class HashedAdmin(EvidenceAdmin):
    """What is kept with a hash."""

    @display(description="SHA-256")
    def fingerprint(self, record: Any) -> str:
        """The hash, in hex."""
        return bytes(record.hash).hex()

    @display(description="SHA-256")
    def short_hash(self, record: Any) -> str:
        """Enough of it to tell rows apart."""
        return short(bytes(record.hash).hex())


@admin.register(models.LedgerEntry)
class LedgerEntryAdmin(HashedAdmin):
    """The ledger: what changed, who did it, and the canonical bytes that say so."""

    list_display = ("kind", "when", "cause", "subject", "actor")
    search_fields = ("=kind", "=subject", "=actor", "=gesture")
    search_help_text = "Looks for an id, a kind, a subject, an actor or a gesture, whole."
    fields = (
        "id",
        "kind",
        "subject",
        "actor",
        "gesture",
        "created_at",
        "private",
        "place",
        "fingerprint",
        "what",
    )
    verbs = (
        Verb(
            "erase",
            "Erase what was said",
            ledger.erase,
            right=ERASE,
            is_grave=True,
            in_bulk=False,
            when=lambda entry: private_of(entry) is not None,
            text="The reason, and whatever else was said in private, is deleted for good. The entry stays.",
        ),
    )

    @display(description="canonical bytes")
    def what(self, record: models.LedgerEntry) -> str:
        """The entry as it is hashed; it is UTF-8 by construction."""
        return bytes(record.body).decode()

    @display(description="said in private")
    def private(self, record: models.LedgerEntry) -> str:
        """The reason, mostly: what can be erased."""
        said = private_of(record)
        if said is None:
            return "erased" if json.loads(bytes(record.body)).get("private") else "nothing"
        return "\n".join(f"{name}: {text}" for name, text in said.items())

    @display(description="place in the tree")
    def place(self, record: models.LedgerEntry) -> str:
        """Its number, and whether it is under a signature."""
        leaf = models.LedgerLeaf.objects.filter(pk=record.pk).first()
        if leaf is None:
            return "no number yet"
        note = latest_note()
        is_signed = note is not None and note.size > leaf.seq
        return f"number {leaf.seq}, {'signed' if is_signed else 'not signed yet'}"


@admin.register(models.LedgerLeaf)
class LedgerLeafAdmin(HashedAdmin):
    """The places of entries in the tree."""

    list_display = ("seq", "id", "short_hash")
    ordering = ("-seq",)
    fields = ("id", "seq", "fingerprint", "xid")


@admin.register(models.LedgerNode)
class LedgerNodeAdmin(HashedAdmin):
    """The stored nodes of the tree."""

    list_display = ("id", "level", "place", "short_hash")
    list_filter = ("level",)
    ordering = ("level", "place")
    fields = ("id", "level", "place", "fingerprint")


@admin.register(models.LedgerNote)
class LedgerNoteAdmin(EvidenceAdmin):
    """What the signer signed, as the database knows it; the notes that count are outside."""

    list_display = ("size", "short_root", "when")
    ordering = ("-size",)
    fields = ("id", "size", "root_hash", "note", "created_at")

    @display(description="root")
    def short_root(self, record: models.LedgerNote) -> str:
        """Enough of it to tell rows apart."""
        return short(bytes(record.root).hex())

    @display(description="root")
    def root_hash(self, record: models.LedgerNote) -> str:
        """The root of the tree, in hex."""
        return bytes(record.root).hex()


@admin.register(models.LedgerPayload)
class LedgerPayloadAdmin(EvidenceAdmin):
    """What can be erased; an entry's page shows it and has the verb."""

    list_display = ("id", "what")
    fields = ("id", "what")

    @display(description="said in private")
    def what(self, record: models.LedgerPayload) -> str:
        """The canonical bytes of what was said."""
        return bytes(record.payload).decode()


@admin.register(models.LedgerMark)
class LedgerMarkAdmin(GlobalAdmin):
    """From where on entries of all tenants may still be without a number."""

    list_display = ("cluster", "floor")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
