"""Recoveries over HTTP: followed by anyone, decided by people; and the templates that people write."""

from __future__ import annotations

from typing import Any, ClassVar

import django_filters
from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import Pattern
from governance.access.masks import MaskedField, MaskedTextField
from governance.access.matrix import HANDLE_RECOVERIES, READ, READ_SECRETS, WRITE_RECOVERIES
from governance.access.principals import actor_of, principal_of
from governance.access.reasons import PerhapsReasonSerializer, ReasonSerializer
from governance.access.views import ReadOnlyViewSet

from . import services, webhooks
from .models import ActionKind, Recovery, RecoveryTemplate
from .rules import MAX_DECLARED


class RecoverySerializer(serializers.ModelSerializer[Recovery]):
    """One suggestion of what to do about one incident, and what came of it."""

    incident_id = serializers.CharField(source="match.incident_id")
    match_id = serializers.CharField()
    pattern_id = serializers.CharField()
    agent_id = serializers.CharField(source="agent.name")
    template_id = serializers.CharField(allow_null=True)
    directive_id = serializers.CharField(allow_null=True)
    title = MaskedTextField(read_only=True)
    rationale = MaskedTextField(read_only=True)
    params = MaskedField(read_only=True)
    result = MaskedField(read_only=True)

    class Meta:
        model = Recovery
        fields: ClassVar[list[str]] = [
            "id",
            "state",
            "incident_id",
            "match_id",
            "pattern_id",
            "agent_id",
            "source",
            "template_id",
            "kind",
            "params",
            "title",
            "rationale",
            "confidence",
            "automatic",
            "directive_id",
            "result",
            "applied_at",
            "created_at",
        ]
        read_only_fields = fields


class RecoveryFilter(django_filters.FilterSet):
    """Which recoveries; `agent` is the agent's name, as its owner gave it."""

    pattern = django_filters.CharFilter(field_name="pattern_id")
    agent = django_filters.CharFilter(field_name="agent__name")

    class Meta:
        model = Recovery
        fields: ClassVar[list[str]] = ["state", "source", "kind"]


class RecoveryViewSet(ReadOnlyViewSet):
    """What was suggested about failures, and what people decided."""

    serializer_class = RecoverySerializer
    filterset_class = RecoveryFilter
    access = {
        "list": READ,
        "retrieve": READ,
        "apply": HANDLE_RECOVERIES,
        "reject": HANDLE_RECOVERIES,
        "roll_back": HANDLE_RECOVERIES,
    }

    def get_queryset(self) -> QuerySet[Recovery]:
        return Recovery.objects.select_related("match", "agent")

    @extend_schema(request=PerhapsReasonSerializer, responses=RecoverySerializer)
    @action(detail=True, methods=["post"])
    def apply(self, request: Request, id: str) -> Response:
        """Say yes, closing its open question. A webhook answers `approved`: the loop calls it. 409 after a decision."""
        recovery = self.locate()
        reason = _reason(request, PerhapsReasonSerializer)
        return self._answer(services.apply(recovery, actor=actor_of(request), reason=reason))

    @extend_schema(request=ReasonSerializer, responses=RecoverySerializer)
    @action(detail=True, methods=["post"])
    def reject(self, request: Request, id: str) -> Response:
        """Say no, and why, closing its open question: its loop stops. 409 after a decision."""
        recovery = self.locate()
        reason = _reason(request, ReasonSerializer)
        return self._answer(services.reject(recovery, actor=actor_of(request), reason=reason))

    @extend_schema(request=ReasonSerializer, responses=RecoverySerializer)
    @action(detail=True, methods=["post"], url_path="roll-back")
    def roll_back(self, request: Request, id: str) -> Response:
        """Take an applied recovery back; agents no longer get its directive when no other recovery holds it."""
        recovery = self.locate()
        reason = _reason(request, ReasonSerializer)
        return self._answer(services.roll_back(recovery, actor=actor_of(request), reason=reason))

    def _answer(self, recovery: Recovery) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=recovery.pk)).data)


class RecoveryTemplateSerializer(serializers.ModelSerializer[RecoveryTemplate]):
    """One recovery that a person wrote for a pattern."""

    pattern_id = serializers.CharField()

    class Meta:
        model = RecoveryTemplate
        fields: ClassVar[list[str]] = [
            "id",
            "pattern_id",
            "name",
            "kind",
            "params",
            "declared_confidence",
            "enabled",
            "created_at",
        ]
        read_only_fields = fields


class NewTemplateSerializer(serializers.Serializer[Any]):
    """A template to write; what `params` may hold depends on `kind`."""

    pattern_id = serializers.CharField(max_length=40)
    name = serializers.CharField(max_length=200)
    kind = serializers.ChoiceField(choices=ActionKind.choices)
    params = serializers.DictField()
    declared_confidence = serializers.FloatField(
        min_value=0.0, max_value=MAX_DECLARED, default=0.70
    )


class RecoveryTemplateViewSet(ReadOnlyViewSet):
    """The recoveries that people wrote; a pattern has at most one that is enabled."""

    serializer_class = RecoveryTemplateSerializer
    filterset_fields: ClassVar[list[str]] = ["enabled", "kind"]
    access = {
        "list": READ,
        "retrieve": READ,
        "create": WRITE_RECOVERIES,
        "disable": WRITE_RECOVERIES,
        "webhook_secret": READ_SECRETS,
    }

    def get_queryset(self) -> QuerySet[RecoveryTemplate]:
        return RecoveryTemplate.objects.all()

    @extend_schema(request=NewTemplateSerializer, responses={201: RecoveryTemplateSerializer})
    def create(self, request: Request) -> Response:
        """Write a template. 409 while another one of the pattern is enabled."""
        said = NewTemplateSerializer(data=request.data)
        said.is_valid(raise_exception=True)
        wanted = said.validated_data
        pattern = Pattern.objects.filter(pk=wanted.pop("pattern_id")).first()
        if pattern is None:
            raise Http404
        template = services.make_template(pattern, **wanted, actor=actor_of(request))
        return Response(
            self.get_serializer(self.get_queryset().get(pk=template.pk)).data,
            status=status.HTTP_201_CREATED,
        )

    @extend_schema(request=ReasonSerializer, responses=RecoveryTemplateSerializer)
    @action(detail=True, methods=["post"])
    def disable(self, request: Request, id: str) -> Response:
        """Stop suggesting it. What was applied from it stays until it is rolled back."""
        template = self.locate()
        reason = _reason(request, ReasonSerializer)
        services.disable_template(template, actor=actor_of(request), reason=reason)
        return Response(self.get_serializer(template).data)

    @extend_schema(
        filters=False,
        responses=inline_serializer("WebhookSecret", {"secret": serializers.CharField()}),
    )
    @action(detail=False, methods=["get"], url_path="webhook-secret", pagination_class=None)
    def webhook_secret(self, request: Request) -> Response:
        """The secret (`whsec_…`) that the receivers of this tenant's webhooks check signatures with."""
        return Response({"secret": webhooks.secret_of(principal_of(request).tenant_id)})


def _reason(request: Request, serializer: type[serializers.Serializer[Any]]) -> str:
    said = serializer(data=request.data)
    said.is_valid(raise_exception=True)
    return str(said.validated_data["reason"])
