"""The ledgers of preventions and regrets over HTTP: rates of the tenant, of each policy and of each pattern."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.matrix import READ
from governance.access.views import ApiView
from policies import rules
from policies.services import rates

BY = {"policy": rates.by_policy, "pattern": rates.by_pattern}


class RatesSerializer(serializers.Serializer[Any]):
    """Counts of 30 days; a rate is null where nothing happened."""

    preventions = serializers.IntegerField()
    incidents = serializers.IntegerField(help_text="That happened in spite of an active policy.")
    regrets = serializers.IntegerField()
    prevention_rate = serializers.FloatField(allow_null=True)
    regret_rate = serializers.FloatField(allow_null=True)


class RateLineSerializer(RatesSerializer):
    id = serializers.CharField()
    name = serializers.CharField()
    state = serializers.CharField(help_text="The policy's mode; empty for a pattern.")


class RatesAnswerSerializer(serializers.Serializer[Any]):
    """The tenant's rates, and those of at most 200 policies or patterns, those that prevented most first."""

    window_days = serializers.IntegerField()
    tenant = RatesSerializer()
    by = serializers.ChoiceField(choices=sorted(BY))
    lines = RateLineSerializer(many=True)


class AskedRatesSerializer(serializers.Serializer[Any]):
    by = serializers.ChoiceField(choices=sorted(BY), default="policy")


class ToldSerializer(serializers.Serializer[Any]):
    """One thing that happened in the life of a policy."""

    at = serializers.DateTimeField()
    type = serializers.CharField()
    headline = serializers.CharField()
    actor = serializers.CharField(allow_blank=True)
    subject = serializers.CharField(allow_blank=True)
    reason = serializers.CharField(allow_blank=True)
    simulated = serializers.BooleanField()
    details = serializers.DictField()


class BornFromSerializer(serializers.Serializer[Any]):
    incident_id = serializers.CharField()
    headline = serializers.CharField()
    pattern_id = serializers.CharField(allow_null=True)
    failures_behind_it = serializers.IntegerField()


class PreventedSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    decision_id = serializers.CharField(allow_null=True)
    agent_id = serializers.CharField(allow_null=True)
    tool = serializers.CharField()
    similarity = serializers.FloatField()
    at = serializers.DateTimeField()


class PreventionsOfPolicySerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    latest = PreventedSerializer(many=True)


class RegretsOfPolicySerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    score = serializers.FloatField(help_text="Of an active policy, now; it is demoted at 5.0.")
    by_type = serializers.DictField(child=serializers.IntegerField())


class FaultSerializer(serializers.Serializer[Any]):
    """One reason why it could not tell, and the latest call of which it could not."""

    fault = serializers.CharField()
    count = serializers.IntegerField()
    latest_decision_id = serializers.CharField()
    latest_at = serializers.DateTimeField()


class LetPassesSerializer(serializers.Serializer[Any]):
    """Calls of 30 days that a policy with `fail_open` let pass because it could not tell."""

    count = serializers.IntegerField()
    stopped_anyway = serializers.IntegerField(help_text="By another policy, or by a mode.")
    faults = FaultSerializer(many=True)


class RecordSerializer(serializers.Serializer[Any]):
    """What a policy was born from, what it stopped and what it is blamed for."""

    policy_id = serializers.CharField()
    name = serializers.CharField()
    mode = serializers.CharField()
    said = serializers.CharField(help_text="Policy P, born from A, blocked B, C and D.")
    born_from = BornFromSerializer(allow_null=True)
    preventions = PreventionsOfPolicySerializer()
    regrets = RegretsOfPolicySerializer()
    demotions = serializers.IntegerField()
    in_shadow = serializers.DictField(child=serializers.IntegerField())
    explored = serializers.DictField(child=serializers.IntegerField())
    let_pass = LetPassesSerializer()
    overlaps = serializers.ListField(
        child=serializers.CharField(),
        help_text="How it stands to live policies about the same calls, a sentence each.",
    )
    rates = RatesSerializer()
    simulated = serializers.DictField(child=serializers.IntegerField())


class RatesView(ApiView):
    """How often failures are prevented and policies regretted, in 30 days and without anything simulated."""

    access: ClassVar[Any] = {"get": READ}
    serializer_class = RatesAnswerSerializer

    @extend_schema(
        parameters=[OpenApiParameter("by", str, enum=sorted(BY))], responses=RatesAnswerSerializer
    )
    def get(self, request: Request) -> Response:
        asked = AskedRatesSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        by, now = asked.validated_data["by"], timezone.now()
        return Response(
            {
                "window_days": rules.RATE_WINDOW.days,
                "tenant": rates.of_tenant(now).as_json(),
                "by": by,
                "lines": [line.as_json() for line in BY[by](now)],
            }
        )
