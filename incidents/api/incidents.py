"""Incidents over HTTP: reported by agents, followed by anyone, closed by people."""

from __future__ import annotations

from typing import Any, ClassVar

import django_filters
from django.db.models import QuerySet
from django.db.models.functions import Left
from django.urls import reverse
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.bodies import validated
from governance.access.masks import MaskedField, MaskedTextField
from governance.access.matrix import ACT, HANDLE_INCIDENTS, READ
from governance.access.principals import actor_of
from governance.access.reasons import PerhapsReasonSerializer, ReasonSerializer
from governance.access.spine import event
from governance.access.views import ReadOnlyViewSet
from governance.access.wire import MOST_BYTES
from governance.models.identity import NAME_LENGTH

from .. import services
from ..models import Incident
from ..story import story_of

# A message may fill its body; a page of a list shows how it begins.
EXCERPT = 1_000


class ReportSerializer(serializers.Serializer[Any]):
    """One failure as an agent tells it. Null means "not said"; the body has at most 1 MB and 32 levels."""

    agent_id = serializers.CharField(
        max_length=NAME_LENGTH, help_text="The agent, as its owner names it."
    )
    error_type = serializers.CharField(max_length=200, allow_blank=True, allow_null=True)
    message = serializers.CharField(max_length=MOST_BYTES, allow_blank=True, trim_whitespace=False)
    tool = serializers.CharField(max_length=200, required=False, allow_blank=True, allow_null=True)
    skill = serializers.CharField(
        max_length=200,
        required=False,
        allow_blank=True,
        allow_null=True,
        help_text="Another word for tool.",
    )
    arguments = serializers.DictField(
        required=False,
        allow_null=True,
        help_text="What the tool was called with; else context.arguments, if any.",
    )
    category = serializers.ChoiceField(
        choices=Incident.Category.choices,
        required=False,
        allow_null=True,
        help_text="Else execution_failure.",
    )
    severity = serializers.ChoiceField(
        choices=Incident.Severity.choices, required=False, allow_null=True, help_text="Else medium."
    )
    context = serializers.DictField(required=False, allow_null=True)  # type: ignore[assignment]
    occurred_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="At most one day in the future; else now."
    )
    source = serializers.CharField(  # type: ignore[assignment]
        max_length=100, required=False, allow_null=True, help_text="Else api."
    )
    source_key = serializers.CharField(
        max_length=200,
        required=False,
        allow_null=True,
        help_text="The same source and key are the same incident.",
    )

    def validate(self, said: dict[str, Any]) -> dict[str, Any]:
        """Only what was said, with the tool under one name."""
        said = {name: value for name, value in said.items() if value is not None}
        tool, skill = said.get("tool"), said.pop("skill", None)
        if tool and skill and tool != skill:
            raise serializers.ValidationError(
                {"skill": "This is another word for tool, and tool says otherwise."}
            )
        return {**said, "tool": tool or skill or "", "error_type": said.get("error_type", "")}


class ReportedSerializer(serializers.Serializer[Any]):
    """The incident, and where its loop can be followed."""

    id = serializers.CharField()
    loop = serializers.CharField()


class IncidentSummarySerializer(serializers.ModelSerializer[Incident]):
    """One incident in a list."""

    agent_id = serializers.CharField(source="agent.name")
    error_type = MaskedTextField(read_only=True)
    message = MaskedTextField(source="excerpt", help_text=f"Its first {EXCERPT} characters.")
    source = MaskedTextField(read_only=True)  # type: ignore[assignment]  # a field, by DRF's metaclass
    source_key = MaskedTextField(read_only=True, allow_null=True)
    reported = serializers.IntegerField(help_text="How often; once is 1.")
    last_reported_at = serializers.DateTimeField()

    class Meta:
        model = Incident
        fields: ClassVar[list[str]] = [
            "id",
            "state",
            "agent_id",
            "error_type",
            "message",
            "tool",
            "category",
            "severity",
            "source",
            "source_key",
            "simulated",
            "reported",
            "last_reported_at",
            "occurred_at",
            "created_at",
        ]


class MatchStorySerializer(serializers.Serializer[Any]):
    """How the incident was recognised."""

    id = serializers.CharField()
    pattern_id = serializers.CharField()
    confidence = serializers.FloatField()
    band = serializers.CharField()
    is_new = serializers.BooleanField()


class RecoveryStorySerializer(serializers.Serializer[Any]):
    """What is done about it."""

    id = serializers.CharField()
    state = serializers.CharField()


class PolicyStorySerializer(serializers.Serializer[Any]):
    """The rule that remembers it."""

    id = serializers.CharField()
    mode = serializers.CharField()


class AdjustmentStorySerializer(serializers.Serializer[Any]):
    """What routing made of it."""

    id = serializers.CharField()


class StorySerializer(serializers.Serializer[Any]):
    """How far the incident came; each part is null until it is there."""

    match = MatchStorySerializer(allow_null=True)
    recovery = RecoveryStorySerializer(allow_null=True)
    policy = PolicyStorySerializer(allow_null=True)
    adjustment = AdjustmentStorySerializer(allow_null=True)


class IncidentSerializer(IncidentSummarySerializer):
    """One incident with everything that was reported, and its story."""

    message = MaskedTextField()
    arguments = MaskedField(read_only=True)
    context = MaskedField(read_only=True)  # type: ignore[assignment]  # a field, by DRF's metaclass
    story = serializers.SerializerMethodField()

    class Meta(IncidentSummarySerializer.Meta):
        fields: ClassVar[list[str]] = [
            *IncidentSummarySerializer.Meta.fields,
            "arguments",
            "context",
            "story",
        ]

    @extend_schema_field(StorySerializer)
    def get_story(self, incident: Incident) -> dict[str, Any]:
        return story_of(incident.id)


class IncidentFilters(django_filters.FilterSet):
    """Equality only: those are the questions that an index answers."""

    agent = django_filters.CharFilter("agent__name")

    class Meta:
        model = Incident
        fields: ClassVar[list[str]] = ["state", "agent", "tool", "category", "severity"]


class IncidentViewSet(ReadOnlyViewSet):
    """What went wrong."""

    filterset_class = IncidentFilters
    access = {
        "create": ACT,
        "list": READ,
        "retrieve": READ,
        "acknowledge": HANDLE_INCIDENTS,
        "resolve": HANDLE_INCIDENTS,
        "reopen": HANDLE_INCIDENTS,
    }

    @classmethod
    def as_view(cls, actions: Any = None, **initkwargs: Any) -> Any:
        """The router's way to a view; a report is an event, and is taken whatever the checks say."""
        view = super().as_view(actions, **initkwargs)
        return event(view) if "create" in (actions or {}).values() else view

    def get_queryset(self) -> QuerySet[Incident]:
        incidents = Incident.objects.counted().select_related("agent")
        if self.action == "list":
            return incidents.defer("message", "arguments", "context").annotate(
                excerpt=Left("message", EXCERPT)
            )
        return incidents

    def get_serializer_class(self) -> Any:
        return IncidentSummarySerializer if self.action == "list" else IncidentSerializer

    @extend_schema(request=ReportSerializer, responses={202: ReportedSerializer})
    def create(self, request: Request) -> Response:
        """Report a failure; its loop begins at once. The same (source, source_key) answers with the same incident."""
        said = validated(ReportSerializer, request)
        opened = services.report(agent=said.pop("agent_id"), actor=actor_of(request), **said)
        loop = reverse("loop", kwargs={"incident": opened.incident.id})
        return Response(
            {"id": opened.incident.id, "loop": loop},
            status.HTTP_202_ACCEPTED,
            headers={"Location": loop},
        )

    @extend_schema(request=PerhapsReasonSerializer, responses=IncidentSerializer)
    @action(detail=True, methods=["post"])
    def acknowledge(self, request: Request, id: str) -> Response:
        """Say that somebody looks at it."""
        return self._said(request, services.acknowledge, PerhapsReasonSerializer)

    @extend_schema(request=ReasonSerializer, responses=IncidentSerializer)
    @action(detail=True, methods=["post"])
    def resolve(self, request: Request, id: str) -> Response:
        """Say that nothing is left to do."""
        return self._said(request, services.resolve, ReasonSerializer)

    @extend_schema(request=ReasonSerializer, responses=IncidentSerializer)
    @action(detail=True, methods=["post"])
    def reopen(self, request: Request, id: str) -> Response:
        """Say that something is left to do after all."""
        return self._said(request, services.reopen, ReasonSerializer)

    def _said(
        self, request: Request, verb: Any, wanted: type[serializers.Serializer[Any]]
    ) -> Response:
        incident = self.locate()
        verb(incident, actor=actor_of(request), **validated(wanted, request))
        return Response(self.get_serializer(incident).data)
