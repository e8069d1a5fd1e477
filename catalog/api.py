"""Patterns over HTTP: what kinds of failure there are, and which recoveries a person trusts."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.matrix import CURATE, READ
from governance.access.principals import actor_of
from governance.access.views import ReadOnlyViewSet

from . import services
from .models import Pattern


class PatternSerializer(serializers.ModelSerializer[Pattern]):
    """One kind of failure, and how often it occurred."""

    occurrences = serializers.IntegerField(read_only=True)
    first_seen = serializers.DateTimeField(read_only=True, allow_null=True)
    last_seen = serializers.DateTimeField(read_only=True, allow_null=True)

    class Meta:
        model = Pattern
        fields: ClassVar[list[str]] = [
            "id",
            "name",
            "error_type",
            "tool",
            "template",
            "signature",
            "signature_version",
            "strong_above",
            "weak_from",
            "auto_apply_recovery",
            "occurrences",
            "first_seen",
            "last_seen",
            "created_at",
        ]
        read_only_fields = fields


class AutoApplySerializer(serializers.Serializer[Any]):
    """Whether the pattern's recovery may be applied without asking, and why."""

    on = serializers.BooleanField()
    reason = serializers.CharField(max_length=2_000)


class PatternViewSet(ReadOnlyViewSet):
    """The kinds of failure that are known."""

    serializer_class = PatternSerializer
    filterset_fields: ClassVar[list[str]] = ["tool", "error_type"]
    access = {"list": READ, "retrieve": READ, "auto_apply": CURATE}

    def get_queryset(self) -> QuerySet[Pattern]:
        return Pattern.objects.with_occurrences()

    @extend_schema(request=AutoApplySerializer, responses=PatternSerializer)
    @action(detail=True, methods=["post"], url_path="auto-apply")
    def auto_apply(self, request: Request, id: str) -> Response:
        """Trust the pattern's recovery to be applied without asking where it is sure enough, or no longer."""
        pattern = self.locate()
        said = AutoApplySerializer(data=request.data)
        said.is_valid(raise_exception=True)
        services.set_auto_apply(
            pattern,
            said.validated_data["on"],
            actor=actor_of(request),
            reason=said.validated_data["reason"],
        )
        return Response(self.get_serializer(pattern).data)
