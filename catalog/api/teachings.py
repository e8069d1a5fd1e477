"""What people teach about patterns, over HTTP: merge, split, move, rename, silence, and take it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import django_filters
from django.db.models import Exists, OuterRef, Q, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.bodies import validated
from governance.access.masks import MaskedTextField
from governance.access.matrix import CURATE, READ
from governance.access.principals import actor_of
from governance.access.reasons import PerhapsReasonSerializer, ReasonSerializer
from governance.access.views import ApiView, ReadOnlyViewSet
from governance.ids import ID_LENGTH

from .. import services
from ..models import Pattern, Teaching
from ..services.recognition import LONGEST_NAME
from ..services.teaching import MOST_AT_ONCE


class TeachingSerializer(serializers.ModelSerializer[Teaching]):
    """What a person said once, and whether it was taken back."""

    reason = MaskedTextField(read_only=True)
    pattern_id = serializers.CharField(help_text="The pattern that failures are of from then on.")
    other_id = serializers.CharField(
        allow_null=True, help_text="The pattern that they were of before."
    )
    undoes_id = serializers.CharField(allow_null=True)
    is_undone = serializers.BooleanField()
    not_learned = serializers.SerializerMethodField()

    class Meta:
        model = Teaching
        fields: ClassVar[list[str]] = [
            "id",
            "kind",
            "pattern_id",
            "other_id",
            "undoes_id",
            "is_undone",
            "not_learned",
            "actor",
            "reason",
            "created_at",
        ]
        read_only_fields = fields

    def get_not_learned(self, teaching: Teaching) -> list[str]:
        """Of a move: incidents that nothing tells from others that stay, so that later ones like them stay too."""
        alike: list[str] = teaching.facts.get("alike", [])
        return alike


class MergeSerializer(ReasonSerializer):
    """Into which pattern, and why."""

    into = serializers.CharField(max_length=ID_LENGTH)


class MoveSerializer(ReasonSerializer):
    """Which incidents, and why."""

    incidents = serializers.ListField(
        child=serializers.CharField(max_length=ID_LENGTH), min_length=1, max_length=MOST_AT_ONCE
    )


class SplitSerializer(MoveSerializer):
    """Which incidents are another kind of failure, what it is called, and why."""

    name = serializers.CharField(
        max_length=LONGEST_NAME, required=False, allow_blank=True, default=""
    )


class RenameSerializer(PerhapsReasonSerializer):
    """Its name from now on."""

    name = serializers.CharField(max_length=LONGEST_NAME)


class SilenceSerializer(ReasonSerializer):
    """Expected or ignored, until when, and why."""

    how = serializers.ChoiceField(Pattern.Silence.choices)
    until = serializers.DateTimeField(
        required=False,
        allow_null=True,
        default=None,
        help_text="At most 90 days ahead; what is expected may be so for good.",
    )


class Teach(ApiView):
    """A verb of a pattern; the answer is what was taught."""

    access: ClassVar[Any] = {"post": CURATE}
    serializer_class = TeachingSerializer

    def get_queryset(self) -> QuerySet[Pattern]:
        return Pattern.objects.all()

    def taught(self, teaching: Teaching | None, code: int = status.HTTP_201_CREATED) -> Response:
        """The answer; 204 where nothing changed."""
        if teaching is None:
            return Response(status=status.HTTP_204_NO_CONTENT)
        return Response(TeachingSerializer(_told(teaching.id)).data, code)

    def said(self, wanted: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
        """The body and who sent it, as verbs take them."""
        return {**validated(wanted, request), "actor": actor_of(request)}


class MergeView(Teach):
    """Say that this pattern is the same kind of failure as another one, which it becomes part of."""

    @extend_schema(request=MergeSerializer, responses={201: TeachingSerializer})
    def post(self, request: Request, id: str) -> Response:
        pattern = self.locate()
        return self.taught(services.merge(pattern, **self.said(MergeSerializer, request)))


class SplitView(Teach):
    """Say that some incidents of this pattern are another kind of failure: ``pattern_id`` is the new one."""

    @extend_schema(request=SplitSerializer, responses={201: TeachingSerializer})
    def post(self, request: Request, id: str) -> Response:
        pattern = self.locate()
        return self.taught(services.split(pattern, **self.said(SplitSerializer, request)))


class MoveView(Teach):
    """Say that some incidents, of whatever patterns, are of this one."""

    @extend_schema(request=MoveSerializer, responses={201: TeachingSerializer})
    def post(self, request: Request, id: str) -> Response:
        pattern = self.locate()
        return self.taught(services.move(pattern, **self.said(MoveSerializer, request)))


class RenameView(Teach):
    """Give this pattern a name that says more; nothing is answered where it has that name."""

    @extend_schema(request=RenameSerializer, responses={201: TeachingSerializer, 204: None})
    def post(self, request: Request, id: str) -> Response:
        pattern = self.locate()
        return self.taught(services.rename(pattern, **self.said(RenameSerializer, request)))


class SilenceView(Teach):
    """Say that failures of this pattern are expected, or to be ignored for a while."""

    @extend_schema(request=SilenceSerializer, responses={201: TeachingSerializer})
    def post(self, request: Request, id: str) -> Response:
        pattern = self.locate()
        return self.taught(services.silence(pattern, **self.said(SilenceSerializer, request)))


class HeedView(Teach):
    """Say that something is to come of this pattern's failures again."""

    @extend_schema(request=ReasonSerializer, responses={201: TeachingSerializer})
    def post(self, request: Request, id: str) -> Response:
        pattern = self.locate()
        return self.taught(services.heed(pattern, **self.said(ReasonSerializer, request)))


class TeachingFilters(django_filters.FilterSet):
    """Of one kind, or about one pattern, whichever part it has."""

    pattern = django_filters.CharFilter(method="about")

    class Meta:
        model = Teaching
        fields: ClassVar[list[str]] = ["kind", "pattern"]

    def about(self, queryset: QuerySet[Teaching], name: str, value: str) -> QuerySet[Teaching]:
        """Teachings that changed what failures of this pattern are."""
        return queryset.filter(Q(pattern=value) | Q(other=value))


class TeachingViewSet(ReadOnlyViewSet):
    """What people taught about how failures are grouped, the latest first."""

    serializer_class = TeachingSerializer
    filterset_class = TeachingFilters
    access = {"list": READ, "retrieve": READ, "undo": CURATE}

    def get_queryset(self) -> QuerySet[Teaching]:
        return _teachings()

    @extend_schema(request=ReasonSerializer, responses={201: TeachingSerializer})
    @action(detail=True, methods=["post"])
    def undo(self, request: Request, id: str) -> Response:
        """Take back what was taught, once; the answer is the taking back."""
        teaching = self.locate()
        said: Mapping[str, Any] = validated(ReasonSerializer, request)
        undone = services.undo(teaching, actor=actor_of(request), **said)
        return Response(TeachingSerializer(_told(undone.id)).data, status.HTTP_201_CREATED)


def _teachings() -> QuerySet[Teaching]:
    undone = Teaching.objects.filter(undoes=OuterRef("pk"))
    return Teaching.objects.annotate(is_undone=Exists(undone))


def _told(id: str) -> Teaching:
    return _teachings().get(pk=id)
