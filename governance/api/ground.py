"""Agents and switches."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from ..access.bodies import validated
from ..access.matrix import OVERSEE, READ, SWITCH
from ..access.principals import actor_of
from ..access.views import ApiView, ReadOnlyViewSet
from ..loop.bridges import bridges
from ..loop.verbs import set_switch
from ..models import Agent, GlobalSwitch, Switch
from ..models.switches import WHOLE_LOOP


class AgentSerializer(serializers.ModelSerializer[Agent]):
    """One agent; ``agent_id`` is the name its owner gives it."""

    agent_id = serializers.CharField(source="name")

    class Meta:
        model = Agent
        fields = ["id", "agent_id", "stopped", "stopped_reason", "stopped_at", "created_at"]


class AgentViewSet(ReadOnlyViewSet):
    """The agents that are known."""

    serializer_class = AgentSerializer
    filterset_fields = ["name", "stopped"]
    access: ClassVar[Any] = {"list": READ, "retrieve": READ}

    def get_queryset(self) -> QuerySet[Agent]:
        return Agent.objects.all()


class SwitchSerializer(serializers.Serializer[Any]):
    """One switch: the whole loop or one bridge."""

    name = serializers.CharField(max_length=40)
    on = serializers.BooleanField()
    reason = serializers.CharField(max_length=2_000)


class SwitchesSerializer(serializers.Serializer[Any]):
    """Every switch; ``everywhere`` says whether whoever runs the server has it on."""

    switches = serializers.ListField(child=serializers.DictField())


class SwitchesView(ApiView):
    """Turn the loop or a bridge off: what happens is kept, and its step waits."""

    access: ClassVar[Any] = {"get": OVERSEE, "patch": SWITCH}
    serializer_class = SwitchSerializer

    @extend_schema(responses=SwitchesSerializer)
    def get(self, request: Request) -> Response:
        return Response({"switches": switch_rows()})

    @extend_schema(request=SwitchSerializer, responses=SwitchesSerializer)
    def patch(self, request: Request) -> Response:
        wanted = validated(SwitchSerializer, request)
        set_switch(
            wanted["name"], on=wanted["on"], actor=actor_of(request), reason=wanted["reason"]
        )
        return self.get(request)


def switch_rows() -> list[dict[str, Any]]:
    """Every switch there is, the whole loop first, with the tenant's setting and the server's."""
    own = {switch.name: switch for switch in Switch.objects.all()}
    everywhere = dict(GlobalSwitch.objects.values_list("name", "on"))
    return [
        {
            "name": name,
            "on": own[name].on if name in own else True,
            "reason": own[name].reason if name in own else "",
            "everywhere": everywhere.get(name, True),
        }
        for name in [WHOLE_LOOP, *bridges()]
    ]
