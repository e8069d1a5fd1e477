"""PagerDuty's Events API, version 2."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.authentication import RoutingKeyAuthentication
from governance.access.bodies import validated
from governance.access.principals import actor_of
from governance.actors import Actor

from .. import services
from ..intake import pagerduty
from .intake import IntakeView, ListOf, arguments, in_words

LONGEST = 2_000
MOST_LINKS = 100


class PayloadSerializer(serializers.Serializer[Any]):
    """What is wrong, where, and how bad it is."""

    summary = serializers.CharField(max_length=pagerduty.LONGEST_SUMMARY)
    source = serializers.CharField(max_length=LONGEST)  # type: ignore[assignment]
    severity = serializers.ChoiceField(choices=pagerduty.SEVERITIES)
    timestamp = serializers.DateTimeField(required=False, allow_null=True)
    component = serializers.CharField(
        max_length=LONGEST, required=False, allow_blank=True, allow_null=True
    )
    group = serializers.CharField(
        max_length=LONGEST, required=False, allow_blank=True, allow_null=True
    )
    custom_details = serializers.DictField(required=False, allow_null=True)

    def get_fields(self) -> dict[str, Any]:
        """One of PagerDuty's fields has a name that Python keeps for itself."""
        named = serializers.CharField(
            max_length=LONGEST, required=False, allow_blank=True, allow_null=True
        )
        return {**super().get_fields(), "class": named}


class EventSerializer(serializers.Serializer[Any]):
    """An alert that began, is looked at, or is over."""

    routing_key = serializers.CharField(
        max_length=200, required=False, write_only=True, help_text="An agent's token."
    )
    event_action = serializers.ChoiceField(choices=pagerduty.ACTIONS)
    dedup_key = serializers.CharField(
        max_length=pagerduty.LONGEST_DEDUP_KEY, required=False, allow_null=True
    )
    payload = PayloadSerializer(required=False, allow_null=True)
    client = serializers.CharField(max_length=LONGEST, required=False, allow_null=True)
    client_url = serializers.CharField(max_length=LONGEST, required=False, allow_null=True)
    links = ListOf(
        child=serializers.DictField(), max_length=MOST_LINKS, required=False, allow_null=True
    )
    images = ListOf(
        child=serializers.DictField(), max_length=MOST_LINKS, required=False, allow_null=True
    )

    def validate(self, said: dict[str, Any]) -> dict[str, Any]:
        """A trigger says what is wrong, the others which alert they mean."""
        needed = "payload" if said["event_action"] == pagerduty.TRIGGER else "dedup_key"
        if not said.get(needed):
            raise serializers.ValidationError({needed: "This field is required."}, "required")
        return said


class ProcessedSerializer(serializers.Serializer[Any]):
    """PagerDuty's own answer."""

    status = serializers.CharField()
    message = serializers.CharField()
    dedup_key = serializers.CharField()


class NotProcessedSerializer(serializers.Serializer[Any]):
    """PagerDuty's own refusal."""

    status = serializers.CharField()
    message = serializers.CharField()
    errors = serializers.ListField(child=serializers.CharField())  # type: ignore[assignment]


class EnqueueView(IntakeView):
    """Alerts by their ``dedup_key``: one incident for each, until it is resolved."""

    authentication_classes = [RoutingKeyAuthentication]

    @extend_schema(
        request=EventSerializer,
        responses={
            202: ProcessedSerializer,
            ("default", "application/json"): NotProcessedSerializer,
        },
        # Or in the body, which OpenAPI has no word for.
        auth=[{"bearer": []}, {}],  # type: ignore[list-item]
    )
    def post(self, request: Request) -> Response:
        """Trigger, acknowledge or resolve an alert as PagerDuty's Events API (version 2) does; ``routing_key`` is the token."""
        event = validated(EventSerializer, request)
        dedup_key = event.get("dedup_key") or uuid4().hex
        _carry_out({**event, "dedup_key": dedup_key}, actor_of(request))
        return Response(
            {"status": "success", "message": "Event processed", "dedup_key": dedup_key},
            status.HTTP_202_ACCEPTED,
        )

    def refusal(self, problem: dict[str, Any]) -> Any:
        is_event = problem["status"] == status.HTTP_400_BAD_REQUEST
        return {
            "status": "invalid event" if is_event else problem["code"],
            "message": "Event object is invalid" if is_event else problem["detail"],
            "errors": in_words(problem),
        }


def _carry_out(event: dict[str, Any], actor: Actor) -> None:
    alert: dict[str, Any] = {
        "source": pagerduty.SOURCE,
        "key": pagerduty.key(event["dedup_key"]),
        "actor": actor,
    }
    match event["event_action"]:
        case pagerduty.TRIGGER:
            services.raise_alert(**alert, **arguments(pagerduty.told(event), actor))
        case pagerduty.ACKNOWLEDGE:
            services.acknowledge_alert(**alert, reason="Acknowledged by the alert's source.")
        case pagerduty.RESOLVE:
            services.end_alert(**alert, reason="Resolved by the alert's source.")
