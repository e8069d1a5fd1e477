"""Adjustments and weights over HTTP."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, QuerySet
from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.matrix import READ, STEER
from governance.access.principals import actor_of
from governance.access.reasons import ReasonSerializer
from governance.access.views import ApiView, ReadOnlyViewSet
from governance.models import Agent
from governance.models.identity import NAME_LENGTH
from policies.models import Policy

from . import dispatch, services
from .models import Adjustment
from .rules import effective


class AdjustmentSerializer(serializers.ModelSerializer[Adjustment]):
    """One adjustment; ``effective`` is what is left of it now, 0 where its policy is not active."""

    policy_name = serializers.CharField(source="policy.name", read_only=True)
    agent_id = serializers.CharField(source="agent.name", read_only=True)
    effective = serializers.SerializerMethodField()
    incidents = serializers.IntegerField(read_only=True, help_text="How many support it.")
    failure_state = serializers.SerializerMethodField()

    class Meta:
        model = Adjustment
        fields = [
            "id",
            "policy_id",
            "policy_name",
            "agent_id",
            "capability",
            "type",
            "state",
            "magnitude",
            "effective",
            "incidents",
            "kpi_baseline",
            "failure_state",
            "reason",
            "started_at",
            "ends_at",
        ]
        read_only_fields = fields

    def get_failure_state(self, adjustment: Adjustment) -> str | None:
        return adjustment.failure_state or None

    def get_effective(self, adjustment: Adjustment) -> float:
        counts = (
            adjustment.state == Adjustment.State.OPEN
            and adjustment.policy.state == Policy.State.ACTIVE
        )
        if not counts:
            return 0.0
        return effective(adjustment.magnitude, adjustment.started_at, timezone.now())


class AdjustmentFilter(serializers.Serializer[Any]):
    """Which adjustments to list."""

    agent = serializers.CharField(required=False, max_length=NAME_LENGTH, help_text="Its name.")
    capability = serializers.CharField(required=False, max_length=200)
    state = serializers.ChoiceField(required=False, choices=Adjustment.State.choices)


class RouteFilter(serializers.Serializer[Any]):
    """Whose weights to read, and for one capability or for all that are adjusted."""

    agent_id = serializers.CharField(max_length=NAME_LENGTH)
    capability = serializers.CharField(required=False, max_length=200)


class RouteSerializer(serializers.Serializer[Any]):
    """One capability of an agent now; weight and escalation in 0..1."""

    capability = serializers.CharField()
    weight = serializers.FloatField()
    escalation = serializers.FloatField()
    is_blocked = serializers.BooleanField(help_text="An active policy routes away from it.")
    adjustments = serializers.ListField(child=serializers.CharField())


class RoutesSerializer(serializers.Serializer[Any]):
    """The weights of an agent; a capability that is not listed is at weight 1 and escalation 0."""

    agent_id = serializers.CharField()
    weights = RouteSerializer(many=True)


class AdjustmentViewSet(ReadOnlyViewSet):
    """What policies changed about where calls go."""

    access = {"list": READ, "retrieve": READ, "roll_back": STEER}
    serializer_class = AdjustmentSerializer

    def get_queryset(self) -> QuerySet[Adjustment]:
        found = Adjustment.objects.select_related("policy", "agent")
        return found.annotate(incidents=Count("evidence"))

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.action != "list":
            return queryset
        wanted = AdjustmentFilter(data=self.request.query_params)
        wanted.is_valid(raise_exception=True)
        names = {"agent": "agent__name", "capability": "capability", "state": "state"}
        return queryset.filter(
            **{names[key]: value for key, value in wanted.validated_data.items()}
        )

    @extend_schema(parameters=[AdjustmentFilter])
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    @extend_schema(request=ReasonSerializer, responses=AdjustmentSerializer)
    @action(detail=True, methods=["post"], url_path="roll-back")
    def roll_back(self, request: Request, id: str) -> Response:
        """Take an open adjustment out of the weight at once."""
        adjustment = self.locate()
        given = ReasonSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        services.roll_back(
            adjustment, actor=actor_of(request), reason=given.validated_data["reason"]
        )
        return Response(self.get_serializer(self.locate()).data)


class RouteView(ApiView):
    """How far an agent may be trusted now, and how readily people should be asked."""

    access = {"get": READ}
    serializer_class = RoutesSerializer

    @extend_schema(parameters=[RouteFilter], responses=RoutesSerializer)
    def get(self, request: Request) -> Response:
        wanted = RouteFilter(data=request.query_params)
        wanted.is_valid(raise_exception=True)
        agent = Agent.objects.filter(name=wanted.validated_data["agent_id"]).first()
        if agent is None:
            raise Http404
        if capability := wanted.validated_data.get("capability"):
            routes = [dispatch.route(agent, capability)]
        else:
            routes = list(dispatch.weights(agent).values())
        return Response(self.get_serializer({"agent_id": agent.name, "weights": routes}).data)
