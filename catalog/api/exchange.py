"""A catalogue as a file over HTTP: exported in pieces, imported after a look at what it would bring."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from django.http import FileResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.bodies import validated
from governance.access.matrix import CURATE, READ
from governance.access.principals import actor_of
from governance.access.reasons import LONGEST_REASON
from governance.access.views import ApiView

from .. import services

FILE_NAME = "catalog.json"
HASH_LENGTH = 64


class ImportSerializer(serializers.Serializer[Any]):
    """A file as it was exported, and why. With ``preview`` nothing is changed."""

    catalog = serializers.DictField(help_text="The exported file: content, format, hash, version.")
    reason = serializers.CharField(
        max_length=LONGEST_REASON, required=False, allow_blank=True, default=""
    )
    preview = serializers.BooleanField(default=False)
    digest = serializers.CharField(
        max_length=HASH_LENGTH,
        required=False,
        allow_blank=True,
        default="",
        help_text="Of a preview: import only if it still says what would be done.",
    )


class BringingSerializer(serializers.Serializer[Any]):
    """One pattern of the file; ``pattern_id`` is the one here that it is known as, null where it is new."""

    signature = serializers.CharField(source="said.signature")
    name = serializers.CharField(source="said.name")
    pattern_id = serializers.SerializerMethodField()
    signatures = serializers.SerializerMethodField()

    def get_pattern_id(self, each: Any) -> str | None:
        """None where it is new."""
        return each.pattern_id or None

    def get_signatures(self, each: Any) -> int:
        """How many it adds."""
        return len(each.signatures)


class ClashSerializer(serializers.Serializer[Any]):
    """A signature that is another pattern's here, and stays that one's."""

    hash = serializers.CharField()
    there = serializers.CharField(help_text="The pattern's name in the file.")
    here = serializers.CharField(help_text="The pattern's id here.")


class PlanSerializer(serializers.Serializer[Any]):
    """What an import does; the lists hold at most 200 of each."""

    hash = serializers.CharField()
    digest = serializers.CharField(help_text="Stands for all that would be done.")
    new = serializers.IntegerField(help_text="Patterns that are opened.")
    extended = serializers.IntegerField(help_text="Known patterns that gain signatures.")
    unchanged = serializers.IntegerField(help_text="Known patterns that gain nothing.")
    signatures = serializers.IntegerField(help_text="Signatures that are added.")
    conflicts = serializers.IntegerField()
    patterns = BringingSerializer(many=True)
    conflicting = ClashSerializer(many=True)


class ExportView(ApiView):
    access = {"get": READ}

    @extend_schema(responses={(200, "application/json"): OpenApiTypes.OBJECT})
    def get(self, request: Request) -> HttpResponseBase:
        """The tenant's patterns and signatures as canonical JSON with its hash; secrets masked, no incident in it."""
        return exported()


class ImportView(ApiView):
    access = {"post": CURATE}
    serializer_class = PlanSerializer

    @extend_schema(request=ImportSerializer, responses=PlanSerializer)
    def post(self, request: Request) -> Response:
        """Take a file over: new patterns and signatures; what is known here stays as it is.

        A file over a megabyte goes through ``manage.py catalog import``.
        """
        said = validated(ImportSerializer, request)
        if said["preview"]:
            return Response(as_json(services.plan(said["catalog"])))
        done = services.import_catalog(
            said["catalog"],
            actor=actor_of(request),
            reason=said["reason"],
            shown=said["digest"],
        )
        return Response(as_json(done))


def exported() -> HttpResponseBase:
    """The file of the tenant in scope, written in this transaction and sent after it: 4 MB for 10,000 patterns, once."""
    file = BytesIO()
    services.export(file.write)
    file.seek(0)
    return FileResponse(
        file, as_attachment=True, filename=FILE_NAME, content_type="application/json"
    )


def as_json(plan: services.Plan) -> dict[str, Any]:
    """A plan in the words of the API."""
    told: dict[str, Any] = PlanSerializer(
        {
            "hash": plan.hash,
            "digest": plan.digest,
            "new": len(plan.new),
            "extended": len(plan.extended),
            "unchanged": plan.unchanged,
            "signatures": plan.signatures,
            "conflicts": len(plan.clashes),
            "patterns": [*plan.new, *plan.extended][: services.MOST_TOLD],
            "conflicting": plan.clashes[: services.MOST_TOLD],
        }
    ).data
    return told
