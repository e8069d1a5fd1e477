"""Graduation over HTTP: how far the loop has proved itself, and simulated evidence to try it out with."""

from __future__ import annotations

import math
from typing import Any, TypeVar

from django.db.models import Model
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import Pattern
from governance.access.matrix import READ, REHEARSE
from governance.access.principals import actor_of, principal_of
from governance.access.views import ApiView
from governance.ids import ID_LENGTH
from incidents.models import Incident
from policies.models import Policy, Regret
from policies.services import graduation, prevention, regret

LONGEST_DESCRIPTION = 2_000

Record = TypeVar("Record", bound=Model)


class GateSerializer(serializers.Serializer[Any]):
    """``passed`` is by real evidence only; ``simulated`` counts the rest."""

    name = serializers.CharField()
    description = serializers.CharField()
    passed = serializers.BooleanField()
    evidence = serializers.IntegerField()
    simulated = serializers.IntegerField()


class GatesSerializer(serializers.Serializer[Any]):
    gate1_prevention = GateSerializer()
    gate2_rollback = GateSerializer()
    gate3_console = GateSerializer()


class PreventionStatsSerializer(serializers.Serializer[Any]):
    window_days = serializers.IntegerField()
    preventions = serializers.IntegerField()
    incidents = serializers.IntegerField()
    rate = serializers.FloatField(allow_null=True)
    last_prevention_at = serializers.DateTimeField(allow_null=True)
    simulated = serializers.IntegerField()


class RegretStatsSerializer(serializers.Serializer[Any]):
    window_days = serializers.IntegerField()
    regrets = serializers.IntegerField()
    preventions = serializers.IntegerField()
    rate = serializers.FloatField(allow_null=True)
    demotions = serializers.IntegerField()
    simulated = serializers.IntegerField()


class CapabilitySerializer(serializers.Serializer[Any]):
    """One thing that is locked or unlocked, and what unlocks it."""

    name = serializers.CharField()
    title = serializers.CharField()
    is_unlocked = serializers.BooleanField()
    needs = serializers.CharField()


class HistorySerializer(serializers.Serializer[Any]):
    """One thing that became of the graduation; ``entry`` is the ledger's."""

    at = serializers.DateTimeField()
    event = serializers.CharField()
    actor = serializers.CharField()
    entry = serializers.CharField()


class GraduationSerializer(serializers.Serializer[Any]):
    """How far the tenant's loop has proved itself."""

    status = serializers.CharField()
    is_graduated = serializers.BooleanField()
    degraded_because = serializers.ListField(child=serializers.CharField())
    gates = GatesSerializer()
    capabilities = serializers.DictField(child=serializers.BooleanField())
    unlocks = CapabilitySerializer(many=True)
    next_action = serializers.CharField()
    prevention_stats = PreventionStatsSerializer()
    regret_stats = RegretStatsSerializer()
    history = HistorySerializer(many=True)


class SimulatePreventionSerializer(serializers.Serializer[Any]):
    policy_id = serializers.CharField(max_length=ID_LENGTH)
    pattern_id = serializers.CharField(max_length=ID_LENGTH)
    original_incident_id = serializers.CharField(max_length=ID_LENGTH)
    confidence = serializers.FloatField(min_value=0.0, max_value=1.0)

    def validate_confidence(self, confidence: float) -> float:
        # Every comparison with NaN is false, so no limit stops the text "nan".
        if not math.isfinite(confidence):
            raise serializers.ValidationError("A confidence is a number from 0 to 1.")
        return confidence


class SimulateRegretSerializer(serializers.Serializer[Any]):
    policy_id = serializers.CharField(max_length=ID_LENGTH)
    regret_type = serializers.ChoiceField(choices=Regret.Type.choices, default=Regret.Type.OTHER)
    severity = serializers.IntegerField(min_value=1, max_value=10)
    description = serializers.CharField(
        max_length=LONGEST_DESCRIPTION, allow_blank=True, default=""
    )


class SimulateViewSerializer(serializers.Serializer[Any]):
    incident_id = serializers.CharField(max_length=ID_LENGTH)


class SimulatedSerializer(serializers.Serializer[Any]):
    """The record that was stored, marked as simulated: it never graduates anything."""

    id = serializers.CharField()
    simulated = serializers.BooleanField()


class GraduationView(ApiView):
    """The three gates, what is unlocked and what to do next."""

    access = {"get": READ}
    serializer_class = GraduationSerializer

    @extend_schema(responses=GraduationSerializer)
    def get(self, request: Request) -> Response:
        return Response(GraduationSerializer(graduation.status()).data)


class ReEvaluateView(ApiView):
    """Judge the evidence now and remember what changed."""

    access = {"post": REHEARSE}
    serializer_class = GraduationSerializer

    @extend_schema(request=None, responses=GraduationSerializer)
    def post(self, request: Request) -> Response:
        return Response(GraduationSerializer(graduation.re_evaluate(actor=actor_of(request))).data)


class ForgetSimulationsView(ApiView):
    """Leave the simulated evidence that there is out of every count from now on."""

    access = {"post": REHEARSE}
    serializer_class = GraduationSerializer

    @extend_schema(request=None, responses=GraduationSerializer)
    def post(self, request: Request) -> Response:
        forgotten = graduation.forget_simulations(actor=actor_of(request))
        return Response(GraduationSerializer(forgotten).data)


class SimulatePreventionView(ApiView):
    """Store a prevention that did not happen."""

    access = {"post": REHEARSE}
    serializer_class = SimulatePreventionSerializer

    @extend_schema(request=SimulatePreventionSerializer, responses={201: SimulatedSerializer})
    def post(self, request: Request) -> Response:
        given = _given(self, request)
        stored = prevention.simulate_prevention(
            _find(Policy, given, "policy_id"),
            pattern=_find(Pattern, given, "pattern_id"),
            incident=_find(Incident, given, "original_incident_id"),
            confidence=given["confidence"],
            actor=actor_of(request),
        )
        return Response(SimulatedSerializer(stored).data, status=201)


class SimulateRegretView(ApiView):
    """Store a regret that nobody had."""

    access = {"post": REHEARSE}
    serializer_class = SimulateRegretSerializer

    @extend_schema(request=SimulateRegretSerializer, responses={201: SimulatedSerializer})
    def post(self, request: Request) -> Response:
        given = _given(self, request)
        stored = regret.report(
            _find(Policy, given, "policy_id"),
            severity=given["severity"],
            type=given["regret_type"],
            description=given["description"],
            actor=actor_of(request),
            simulated=True,
        )
        return Response(SimulatedSerializer(stored).data, status=201)


class SimulateTimelineViewView(ApiView):
    """Store the view of a timeline that nobody opened."""

    access = {"post": REHEARSE}
    serializer_class = SimulateViewSerializer

    @extend_schema(request=SimulateViewSerializer, responses={201: SimulatedSerializer})
    def post(self, request: Request) -> Response:
        incident = _find(Incident, _given(self, request), "incident_id")
        stored = graduation.simulate_timeline_view(
            incident, user=principal_of(request).user, actor=actor_of(request)
        )
        return Response(SimulatedSerializer(stored).data, status=201)


def _given(view: ApiView, request: Request) -> dict[str, Any]:
    given = view.get_serializer(data=request.data)
    given.is_valid(raise_exception=True)
    validated: dict[str, Any] = given.validated_data
    return validated


def _find(model: type[Record], given: dict[str, Any], field: str) -> Record:
    """The record of the tenant that a field names. One that is not there answers as a foreign one does: 404."""
    return get_object_or_404(model, pk=given[field])
