"""Preventions over HTTP: lists and details."""

from __future__ import annotations

from django.db.models import QuerySet
from rest_framework import serializers

from governance.access.matrix import READ
from governance.access.views import ReadOnlyViewSet
from policies.models import Prevention


class PreventionSerializer(serializers.ModelSerializer[Prevention]):
    """A failure that was stopped, or only simulated to be."""

    policy_name = serializers.CharField(source="policy.name")

    class Meta:
        model = Prevention
        fields = [
            "id",
            "policy_id",
            "policy_name",
            "pattern_id",
            "decision_id",
            "original_incident_id",
            "similarity",
            "simulated",
            "created_at",
        ]


class PreventionViewSet(ReadOnlyViewSet):
    """The failures that policies have stopped."""

    access = {"list": READ, "retrieve": READ}
    serializer_class = PreventionSerializer
    filterset_fields = ["simulated", "policy", "pattern"]

    def get_queryset(self) -> QuerySet[Prevention]:
        return Prevention.objects.select_related("policy")
