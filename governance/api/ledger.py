"""The ledger over the API: entries, receipts, signed notes and proofs, of the caller's own tenant only."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, ClassVar

from django.conf import settings
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from .. import ledger
from ..access.bodies import validated
from ..access.matrix import ERASE, READ_LEDGER
from ..access.principals import actor_of
from ..access.reasons import ReasonSerializer
from ..access.views import ApiView, ReadOnlyViewSet
from ..ledger import leaves
from ..ledger.erasure import private_of
from ..ledger.receipts import latest_note
from ..models import LedgerEntry, LedgerLeaf
from ..refusals import Invalid, Refusal
from ..signing.notes import origin_of, verifier_key
from ..signing.outside import public_key
from ..signing.tree import consistency_path


class NotSigned(Refusal):
    """No signed note covers it yet; about five seconds after it was written one does."""

    status = 404
    code = "not_signed_yet"


class LedgerEntrySummarySerializer(serializers.ModelSerializer[LedgerEntry]):
    """One change that mattered. Its bytes, and what was said in private, are in the detail."""

    at = serializers.DateTimeField(source="created_at")

    class Meta:
        model = LedgerEntry
        fields: ClassVar[list[str]] = ["id", "kind", "subject", "actor", "gesture", "at"]


class LedgerEntrySerializer(LedgerEntrySummarySerializer):
    """One entry: ``hash`` is the SHA-256 of ``body`` as UTF-8, ``seq`` its number, null until it has one."""

    body = serializers.SerializerMethodField()
    hash = serializers.SerializerMethodField()
    private = serializers.SerializerMethodField()
    seq = serializers.SerializerMethodField()

    class Meta(LedgerEntrySummarySerializer.Meta):
        fields: ClassVar[list[str]] = [
            *LedgerEntrySummarySerializer.Meta.fields,
            "seq",
            "body",
            "hash",
            "private",
        ]

    def get_body(self, entry: LedgerEntry) -> str:
        return bytes(entry.body).decode()

    def get_hash(self, entry: LedgerEntry) -> str:
        return bytes(entry.hash).hex()

    @extend_schema_field(serializers.DictField(allow_null=True))
    def get_private(self, entry: LedgerEntry) -> dict[str, Any] | None:
        return private_of(entry)

    @extend_schema_field(serializers.IntegerField(allow_null=True))
    def get_seq(self, entry: LedgerEntry) -> int | None:
        return LedgerLeaf.objects.filter(pk=entry.pk).values_list("seq", flat=True).first()


class ReceiptSerializer(serializers.Serializer[Any]):
    """That an entry is in a signed tree. Hashes are base64; ``proof`` leads from ``leaf`` to the note's root."""

    seq = serializers.IntegerField()
    size = serializers.IntegerField()
    leaf = serializers.CharField()
    proof = serializers.ListField(child=serializers.CharField())
    root_hash = serializers.CharField()
    note = serializers.CharField()


class NoteSerializer(serializers.Serializer[Any]):
    """The latest signed note (C2SP tlog-checkpoint), and the key that verifies it, null where it is not known here."""

    origin = serializers.CharField()
    size = serializers.IntegerField()
    root_hash = serializers.CharField()
    note = serializers.CharField()
    verifier_key = serializers.CharField(allow_null=True)


class ConsistencySerializer(serializers.Serializer[Any]):
    """That the tree of ``size`` entries grew out of the one of ``old``. Hashes are base64."""

    old = serializers.IntegerField()
    size = serializers.IntegerField()
    old_root_hash = serializers.CharField()
    root_hash = serializers.CharField()
    proof = serializers.ListField(child=serializers.CharField())


class LedgerEntryViewSet(ReadOnlyViewSet):
    """What changed, who did it and what caused it. Entries of one gesture: ``?gesture=ges_…``."""

    filterset_fields = ["gesture", "subject"]
    access: ClassVar[Any] = {
        "list": READ_LEDGER,
        "retrieve": READ_LEDGER,
        "receipt": READ_LEDGER,
        "erase": ERASE,
    }

    def get_queryset(self) -> QuerySet[LedgerEntry]:
        entries = LedgerEntry.objects.all()
        return entries.defer("body", "hash", "xid") if self.action == "list" else entries

    def get_serializer_class(self) -> Any:
        return LedgerEntrySummarySerializer if self.action == "list" else LedgerEntrySerializer

    @extend_schema(responses=ReceiptSerializer)
    @action(detail=True, methods=["get"])
    def receipt(self, request: Request, id: str) -> Response:
        """What proves, without us, that the entry is under a signature; 404 until it is."""
        found = ledger.receipt(self.locate().pk)
        if found is None:
            raise NotSigned("The entry is not under a signature yet. Ask again in a few seconds.")
        return Response(
            {
                "seq": found.seq,
                "size": found.size,
                "leaf": _text(found.leaf),
                "proof": [_text(each) for each in found.proof],
                "root_hash": _text(found.root),
                "note": found.note,
            }
        )

    @extend_schema(request=ReasonSerializer, responses=LedgerEntrySerializer)
    @action(detail=True, methods=["post"])
    def erase(self, request: Request, id: str) -> Response:
        """Delete for good what was said in private; the entry and its hash stay, and a new entry tells of it."""
        entry = self.locate()
        ledger.erase(entry, actor=actor_of(request), **validated(ReasonSerializer, request))
        return Response(self.get_serializer(entry).data)


class NoteView(ApiView):
    """The latest signed note about the tenant's tree."""

    access: ClassVar[Any] = {"get": READ_LEDGER}
    serializer_class = NoteSerializer

    @extend_schema(responses=NoteSerializer)
    def get(self, request: Request) -> Response:
        note = _signed()
        origin, public = origin_of(note.tenant_id), public_key(settings.LEDGER_DIR)
        return Response(
            {
                "origin": origin,
                "size": note.size,
                "root_hash": _text(note.root),
                "note": note.note,
                "verifier_key": verifier_key(origin, public) if public else None,
            }
        )


class ConsistencyView(ApiView):
    """The proof that the tenant's tree only grew between two sizes, for whoever keeps an older note."""

    access: ClassVar[Any] = {"get": READ_LEDGER}
    serializer_class = ConsistencySerializer

    @extend_schema(
        parameters=[
            OpenApiParameter("old", int, required=True, description="The size of the older tree."),
            OpenApiParameter(
                "size", int, description="Of the newer; without it the one signed last."
            ),
        ],
        responses=ConsistencySerializer,
    )
    def get(self, request: Request) -> Response:
        signed = _signed().size
        size = _size(request, "size", 1, signed) if "size" in request.query_params else signed
        old = _size(request, "old", 1, size)
        return Response(
            {
                "old": old,
                "size": size,
                "old_root_hash": _text(leaves.root(old)),
                "root_hash": _text(leaves.root(size)),
                "proof": [_text(each) for each in leaves.hashes(consistency_path(old, size))],
            }
        )


def _signed() -> Any:
    note = latest_note()
    if note is None:
        raise NotSigned("Nothing of this ledger has been signed yet.")
    return note


def _size(request: Request, name: str, low: int, high: int) -> int:
    raw = request.query_params.get(name, "")
    if not raw.isascii() or not raw.isdigit() or not low <= int(raw[:18]) <= high:
        raise Invalid(f"{name} must be a whole number from {low} to {high}.", field=name)
    return int(raw)


def _text(hashed: Any) -> str:
    return b64encode(bytes(hashed)).decode()
