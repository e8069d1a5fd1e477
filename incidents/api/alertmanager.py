"""Prometheus Alertmanager's webhook."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.bodies import validated
from governance.access.principals import actor_of
from governance.access.wire import MOST_BYTES

from .. import services
from ..intake import alertmanager
from .intake import MOST_AT_ONCE, IntakeView, ListOf, arguments

LONGEST = 2_000


class AlertSerializer(serializers.Serializer[Any]):
    """One alert: its labels are what it is, its annotations what is said about it."""

    status = serializers.ChoiceField(choices=[alertmanager.FIRING, alertmanager.RESOLVED])
    labels = serializers.DictField(child=serializers.CharField(max_length=MOST_BYTES, allow_blank=True, trim_whitespace=False))  # fmt: skip
    annotations = serializers.DictField(
        child=serializers.CharField(max_length=MOST_BYTES, allow_blank=True, trim_whitespace=False),
        required=False,
    )
    startsAt = serializers.DateTimeField()  # noqa: N815 - Alertmanager's names
    generatorURL = serializers.CharField(max_length=LONGEST, required=False, allow_blank=True)  # noqa: N815
    fingerprint = serializers.CharField(max_length=100)


class GroupSerializer(serializers.Serializer[Any]):
    """A group of alerts, as version 4 of the webhook has it."""

    version = serializers.ChoiceField(choices=["4"])
    receiver = serializers.CharField(max_length=LONGEST, required=False, allow_blank=True)
    groupKey = serializers.CharField(max_length=MOST_BYTES, required=False, allow_blank=True)  # noqa: N815
    externalURL = serializers.CharField(max_length=LONGEST, required=False, allow_blank=True)  # noqa: N815
    alerts = ListOf(child=AlertSerializer(), max_length=MOST_AT_ONCE)


class TakenSerializer(serializers.Serializer[Any]):
    """What became of a group."""

    opened = serializers.IntegerField(help_text="Incidents that it opened.")
    repeated = serializers.IntegerField(help_text="Alerts that were known, and counted.")
    resolved = serializers.IntegerField(help_text="Incidents that it ended.")


class AlertmanagerView(IntakeView):
    """Groups of alerts: one incident for each that fires, from its beginning to its end."""

    @extend_schema(request=GroupSerializer, responses={200: TakenSerializer})
    def post(self, request: Request) -> Response:
        """Take a group as Alertmanager's webhook (version 4) sends it; the same alert again is counted."""
        group, actor = validated(GroupSerializer, request), actor_of(request)
        taken = {"opened": 0, "repeated": 0, "resolved": 0}
        for alert in group["alerts"]:
            if alert["status"] == alertmanager.RESOLVED:
                taken["resolved"] += services.end_known(
                    source=alertmanager.SOURCE,
                    source_key=alertmanager.key(alert),
                    actor=actor,
                    reason="Alertmanager says that the alert is over.",
                )
                continue
            said = arguments(alertmanager.told(group, alert), actor)
            opened = services.report(source=alertmanager.SOURCE, actor=actor, **said)
            taken["opened" if opened.is_new else "repeated"] += 1
        return Response(taken)
