"""Calibrations over HTTP: how well the confidence of a pattern's matches holds, and a person's word on it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import Pattern, PatternMatch
from governance.access.bodies import validated
from governance.access.matrix import CURATE, READ
from governance.access.principals import actor_of
from governance.access.reasons import ReasonSerializer
from governance.access.views import ApiView
from governance.ids import ID_LENGTH
from policies.services import calibrations


class BinSerializer(serializers.Serializer[Any]):
    """The matches of one range of confidence: predicted against confirmed, with Wilson's interval."""

    start = serializers.FloatField()
    end = serializers.FloatField()
    count = serializers.IntegerField()
    predicted = serializers.FloatField()
    confirmed = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()


class CalibrationChangeSerializer(serializers.Serializer[Any]):
    """One change of the thresholds, or of whether they may change by themselves."""

    id = serializers.CharField()
    kind = serializers.CharField()
    strong_before = serializers.FloatField()
    weak_before = serializers.FloatField()
    strong_above = serializers.FloatField()
    weak_from = serializers.FloatField()
    outcomes = serializers.IntegerField()
    right = serializers.IntegerField()
    actor = serializers.CharField()
    reason = serializers.CharField()
    at = serializers.DateTimeField()


class CalibrationSerializer(serializers.Serializer[Any]):
    """A pattern's thresholds, what they were learned from, and how they came to be."""

    pattern_id = serializers.CharField()
    name = serializers.CharField()
    strong_above = serializers.FloatField()
    weak_from = serializers.FloatField()
    is_frozen = serializers.BooleanField(help_text="By a person.")
    is_held = serializers.BooleanField(help_text="The error of the latest outcomes jumped.")
    outcomes = serializers.IntegerField()
    right = serializers.IntegerField()
    needed = serializers.IntegerField()
    bins = BinSerializer(many=True)
    history = CalibrationChangeSerializer(many=True)


class JudgementSerializer(serializers.Serializer[Any]):
    """Whether an incident really was of this pattern."""

    incident_id = serializers.CharField(max_length=ID_LENGTH)
    is_right = serializers.BooleanField()
    reason = serializers.CharField(max_length=2_000, allow_blank=True, default="")


class OfPattern(ApiView):
    """A route about one pattern."""

    serializer_class = CalibrationSerializer

    def get_queryset(self) -> QuerySet[Pattern]:
        return Pattern.objects.all()


class CalibrationView(OfPattern):
    """How well the confidence of its matches holds."""

    access: ClassVar[Any] = {"get": READ}

    @extend_schema(responses=CalibrationSerializer)
    def get(self, request: Request, id: str) -> Response:
        return _answer(self.locate())


class WeighView(OfPattern):
    """Learn from the outcomes now, instead of within the hour."""

    access: ClassVar[Any] = {"post": CURATE}

    @extend_schema(request=None, responses=CalibrationSerializer)
    def post(self, request: Request, id: str) -> Response:
        pattern = self.locate()
        calibrations.weigh(pattern, actor=actor_of(request))
        return _answer(pattern)


class FreezeView(OfPattern):
    """Keep the thresholds as they are until somebody thaws them."""

    access: ClassVar[Any] = {"post": CURATE}

    @extend_schema(request=ReasonSerializer, responses=CalibrationSerializer)
    def post(self, request: Request, id: str) -> Response:
        pattern = self.locate()
        calibrations.freeze(
            pattern, actor=actor_of(request), **validated(ReasonSerializer, request)
        )
        return _answer(pattern)


class ThawView(OfPattern):
    """Let the thresholds learn again."""

    access: ClassVar[Any] = {"post": CURATE}

    @extend_schema(request=ReasonSerializer, responses=CalibrationSerializer)
    def post(self, request: Request, id: str) -> Response:
        pattern = self.locate()
        calibrations.thaw(pattern, actor=actor_of(request), **validated(ReasonSerializer, request))
        return _answer(pattern)


class RevertCalibrationView(OfPattern):
    """Take the latest change of the thresholds back, and freeze them."""

    access: ClassVar[Any] = {"post": CURATE}

    @extend_schema(request=ReasonSerializer, responses=CalibrationSerializer)
    def post(self, request: Request, id: str) -> Response:
        pattern = self.locate()
        calibrations.revert(
            pattern, actor=actor_of(request), **validated(ReasonSerializer, request)
        )
        return _answer(pattern)


class JudgeMatchView(OfPattern):
    """Say whether an incident really was of this pattern."""

    access: ClassVar[Any] = {"post": CURATE}

    @extend_schema(request=JudgementSerializer, responses=CalibrationSerializer)
    def post(self, request: Request, id: str) -> Response:
        pattern = self.locate()
        said = validated(JudgementSerializer, request)
        match = get_object_or_404(
            PatternMatch, pattern=pattern, incident_id=said["incident_id"], corrects=None
        )
        calibrations.judge(
            match, is_right=said["is_right"], actor=actor_of(request), reason=said["reason"]
        )
        return _answer(pattern)


def _answer(pattern: Pattern) -> Response:
    return Response(CalibrationSerializer(calibrations.status(pattern)).data)
