"""Bypasses: asked for by one person, confirmed by another, ended by either or by the clock."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from ..access.bodies import validated
from ..access.matrix import BYPASS, GOVERN_AGAIN, OVERSEE
from ..access.principals import actor_of
from ..access.reasons import PerhapsReasonSerializer, ReasonSerializer
from ..access.views import ApiView
from ..models import Bypass
from ..models.modes import LONGEST_BYPASS_MINUTES
from ..modes import bypassing


class BypassSerializer(serializers.ModelSerializer[Bypass]):
    """One bypass: who asked, who confirmed, how long, and what came of it."""

    class Meta:
        model = Bypass
        fields: ClassVar[list[str]] = [
            "id",
            "state",
            "minutes",
            "reason",
            "requested_by",
            "expires_at",
            "confirmed_by",
            "confirmed_at",
            "ends_at",
            "closed_by",
            "closed_at",
            "close_reason",
            "created_at",
        ]
        read_only_fields = fields


class BypassRequestSerializer(ReasonSerializer):
    """For how long nothing shall be governed, and why."""

    minutes = serializers.IntegerField(min_value=1, max_value=LONGEST_BYPASS_MINUTES)


class OfBypasses(ApiView):
    """A route about the tenant's bypasses."""

    serializer_class = BypassSerializer

    def get_queryset(self) -> QuerySet[Bypass]:
        return Bypass.objects.all()


class BypassesView(ListModelMixin, OfBypasses):
    """Govern nothing for a while: two people, a reason, at most an hour."""

    access: ClassVar[Any] = {"get": OVERSEE, "post": BYPASS}
    filterset_fields: ClassVar[list[str]] = ["state"]

    def get(self, request: Request) -> Response:
        """Every bypass that was asked for, newest first."""
        return self.list(request)

    @extend_schema(
        request=BypassRequestSerializer, responses={201: BypassSerializer}, filters=False
    )
    def post(self, request: Request) -> Response:
        """Ask for one. Nothing happens until a second person confirms it, within 15 minutes."""
        wanted = validated(BypassRequestSerializer, request)
        bypass = bypassing.ask(
            minutes=wanted["minutes"], reason=wanted["reason"], actor=actor_of(request)
        )
        return Response(BypassSerializer(bypass).data, status=201)


class BypassView(RetrieveModelMixin, OfBypasses):
    """One bypass."""

    access: ClassVar[Any] = {"get": OVERSEE}

    def get(self, request: Request, id: str) -> Response:
        return self.retrieve(request)


class ConfirmBypassView(OfBypasses):
    """The second person's yes."""

    access: ClassVar[Any] = {"post": BYPASS}

    @extend_schema(request=PerhapsReasonSerializer, responses=BypassSerializer)
    def post(self, request: Request, id: str) -> Response:
        """It comes into force once the ledger has sealed this, within seconds; its minutes count from now."""
        bypass = self.locate()
        said = validated(PerhapsReasonSerializer, request)
        bypassing.confirm(bypass, actor=actor_of(request), reason=said["reason"])
        return Response(BypassSerializer(bypass).data)


class EndBypassView(OfBypasses):
    """Govern again."""

    access: ClassVar[Any] = {"post": GOVERN_AGAIN}

    @extend_schema(request=ReasonSerializer, responses=BypassSerializer)
    def post(self, request: Request, id: str) -> Response:
        """End it, or take it back before it is in force; from the next decision on."""
        bypass = self.locate()
        why = validated(ReasonSerializer, request)
        bypassing.finish(bypass, actor=actor_of(request), reason=why["reason"])
        return Response(BypassSerializer(bypass).data)
