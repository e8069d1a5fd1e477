"""Operations: what state the product is in, and stopping the agents."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from ..access.bodies import validated
from ..access.matrix import OVERSEE, STOP_AGENTS
from ..access.principals import actor_of
from ..access.reasons import ReasonSerializer
from ..access.views import ApiView
from ..models import Agent, Settings
from ..models.identity import NAME_LENGTH
from ..modes.degrading import set_degraded
from ..modes.product import Product, Reason, product
from ..modes.stopping import let_go_on, named, stop


class ReasonOfStateSerializer(serializers.Serializer[Any]):
    """One thing that is not as it should be: ``why`` is the reason that a person gave."""

    name = serializers.CharField()
    text = serializers.CharField()
    why = serializers.CharField(allow_blank=True)
    since = serializers.DateTimeField(allow_null=True)


class GoingBypassSerializer(serializers.Serializer[Any]):
    """The bypass that was asked for, agreed, or is in force."""

    id = serializers.CharField()
    state = serializers.CharField()
    minutes = serializers.IntegerField()
    reason = serializers.CharField()
    requested_by = serializers.CharField()
    confirmed_by = serializers.CharField(allow_blank=True)
    expires_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField(allow_null=True)


class ReadinessSerializer(serializers.Serializer[Any]):
    """What the last look of the answering process found; ``/readyz`` has every check."""

    ready = serializers.BooleanField()
    failing = serializers.CharField(allow_blank=True)
    text = serializers.CharField(allow_blank=True)
    warnings = serializers.ListField(child=serializers.CharField())


class StateSerializer(serializers.Serializer[Any]):
    """The product's state, and everything that keeps it from being READY."""

    state = serializers.ChoiceField(choices=["READY", "DEGRADED", "STOPPED"])
    reasons = ReasonOfStateSerializer(many=True)
    agent_stop = ReasonOfStateSerializer(allow_null=True)
    stopped_agents = serializers.ListField(child=serializers.CharField())
    stopped_count = serializers.IntegerField()
    degraded = ReasonOfStateSerializer(allow_null=True)
    bypass = GoingBypassSerializer(allow_null=True)
    readiness = ReadinessSerializer()


class StateView(ApiView):
    """Whether everything works, and what does not."""

    access: ClassVar[Any] = {"get": OVERSEE}
    serializer_class = StateSerializer

    @extend_schema(responses=StateSerializer)
    def get(self, request: Request) -> Response:
        """READY, DEGRADED or STOPPED, with every reason. ``stopped_agents`` names the first 20."""
        return Response(StateSerializer(_told(product())).data)


class AgentStopSerializer(ReasonSerializer):
    """``agent_id`` is the agent's name; null, which must be said, means all of the tenant's agents."""

    agent_id = serializers.CharField(max_length=NAME_LENGTH, allow_null=True)
    on = serializers.BooleanField()


class StoppedSerializer(serializers.Serializer[Any]):
    """How it stands now. ``changed`` says whether this call did it; the reason is the one that was given first."""

    agent_id = serializers.CharField(allow_null=True)
    on = serializers.BooleanField()
    changed = serializers.BooleanField()
    reason = serializers.CharField(allow_blank=True)
    since = serializers.DateTimeField(allow_null=True)


class AgentStopView(ApiView):
    """Stop an agent, or all of them, and let them go on."""

    access: ClassVar[Any] = {"post": STOP_AGENTS}
    serializer_class = AgentStopSerializer

    @extend_schema(request=AgentStopSerializer, responses=StoppedSerializer)
    def post(self, request: Request) -> Response:
        """Every action gets kill from the next decision on. Doing it twice changes nothing.

        An agent that nobody has heard of is 404: a stop that a slip of the pen turned into nothing would be worse.
        """
        wanted = validated(AgentStopSerializer, request)
        agent = named(wanted["agent_id"])
        turn = stop if wanted["on"] else let_go_on
        changed = turn(agent, actor=actor_of(request), reason=wanted["reason"])
        held = Agent.objects.get(pk=agent.pk) if agent else Settings.objects.get()
        answer = {
            "agent_id": wanted["agent_id"],
            "on": held.stopped,
            "changed": changed,
            "reason": held.stopped_reason,
            "since": held.stopped_at,
        }
        return Response(StoppedSerializer(answer).data)


class DegradedSerializer(ReasonSerializer):
    """Whether the product is degraded."""

    on = serializers.BooleanField()


class DegradedView(ApiView):
    """Let no new runs in and warn those that are going."""

    access: ClassVar[Any] = {"post": STOP_AGENTS}
    serializer_class = DegradedSerializer

    @extend_schema(request=DegradedSerializer, responses=StateSerializer)
    def post(self, request: Request) -> Response:
        """New runs are blocked, running ones are warned, everything is recorded. Doing it twice changes nothing."""
        wanted = validated(DegradedSerializer, request)
        set_degraded(on=wanted["on"], actor=actor_of(request), reason=wanted["reason"])
        return Response(StateSerializer(_told(product())).data)


def _told(found: Product) -> dict[str, Any]:
    """The state as the API says it: degraded is one thing, whoever said so."""
    degraded: Reason | None = found.degraded or found.degraded_everywhere
    return {
        "state": found.state,
        "reasons": found.reasons,
        "agent_stop": found.agent_stop,
        "stopped_agents": [reason.subject for reason in found.stopped_agents],
        "stopped_count": found.stopped_count,
        "degraded": degraded,
        "bypass": found.bypass,
        "readiness": {
            "ready": found.readiness.is_ready,
            "failing": found.readiness.failing,
            "text": found.readiness.text,
            "warnings": found.readiness.warnings,
        },
    }
