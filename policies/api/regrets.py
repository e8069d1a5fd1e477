"""Regrets over HTTP."""

from __future__ import annotations

from typing import ClassVar

from django.db.models import QuerySet
from rest_framework import serializers

from governance.access.matrix import READ
from governance.access.views import ReadOnlyViewSet
from policies.models import Regret


class RegretSerializer(serializers.ModelSerializer[Regret]):
    """One harm done by a policy, as somebody reported it."""

    policy_id = serializers.CharField()
    decision_id = serializers.CharField(allow_null=True)
    incident_id = serializers.CharField(allow_null=True)
    agent_id = serializers.CharField(source="agent.name", default=None, allow_null=True)
    regret_type = serializers.ChoiceField(choices=Regret.Type.choices, source="type")

    class Meta:
        model = Regret
        fields: ClassVar[list[str]] = [
            "id",
            "policy_id",
            "decision_id",
            "incident_id",
            "agent_id",
            "regret_type",
            "severity",
            "description",
            "reporter",
            "appellant",
            "simulated",
            "created_at",
        ]


class RegretViewSet(ReadOnlyViewSet):
    """What policies are regretted for; reported at the policy."""

    serializer_class = RegretSerializer
    filterset_fields: ClassVar[list[str]] = ["policy", "type", "simulated"]
    access = {"list": READ, "retrieve": READ}

    def get_queryset(self) -> QuerySet[Regret]:
        return Regret.objects.select_related("agent")
