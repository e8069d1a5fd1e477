"""The queue of decisions."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from .. import checkpoints
from ..access.bodies import validated
from ..access.masks import MaskedField, MaskedTextField
from ..access.matrix import DECIDE, READ
from ..access.principals import actor_of
from ..access.views import ReadOnlyViewSet
from ..models import Checkpoint


class CheckpointSerializer(serializers.ModelSerializer[Checkpoint]):
    """One question as people are shown it, and its answer. The digest is of what is kept, before secrets are masked."""

    title = MaskedTextField(read_only=True)
    shown = MaskedField(read_only=True)
    trace_id = serializers.CharField(allow_null=True)
    priority = serializers.SerializerMethodField()

    class Meta:
        model = Checkpoint
        fields = [
            "id",
            "type",
            "state",
            "priority",
            "blocking",
            "title",
            "subject",
            "trace_id",
            "shown",
            "digest",
            "requested_by",
            "decided_by",
            "decided_at",
            "reason",
            "created_at",
            "expires_at",
        ]

    def get_priority(self, checkpoint: Checkpoint) -> str:
        return Checkpoint.Priority(checkpoint.priority).name.lower()


class DecisionSerializer(serializers.Serializer[Any]):
    """The digest of what was shown binds the decision to it; a rejection needs a reason."""

    digest = serializers.CharField(max_length=64)
    reason = serializers.CharField(max_length=2_000, required=False, allow_blank=True, default="")


class CheckpointViewSet(ReadOnlyViewSet):
    """What people are asked, and their answers."""

    serializer_class = CheckpointSerializer
    filterset_fields = ["state", "type", "priority", "subject", "trace"]
    access = {"list": READ, "retrieve": READ, "approve": DECIDE, "reject": DECIDE}

    def get_queryset(self) -> QuerySet[Checkpoint]:
        return Checkpoint.objects.all()

    @extend_schema(request=DecisionSerializer, responses=CheckpointSerializer)
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, id: str) -> Response:
        """Say yes. 409 when what was shown has changed or somebody was first."""
        return self._decide(request, approve=True)

    @extend_schema(request=DecisionSerializer, responses=CheckpointSerializer)
    @action(detail=True, methods=["post"])
    def reject(self, request: Request, id: str) -> Response:
        """Say no, and why. 409 when what was shown has changed or somebody was first."""
        return self._decide(request, approve=False)

    def _decide(self, request: Request, *, approve: bool) -> Response:
        checkpoint = self.locate()
        asked = validated(DecisionSerializer, request)
        decided = checkpoints.decide(checkpoint, approve=approve, actor=actor_of(request), **asked)
        return Response(CheckpointSerializer(decided).data)
