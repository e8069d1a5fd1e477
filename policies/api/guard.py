"""The guard over HTTP: ask before acting, report after, try it out, appeal."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal as Number
from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.bodies import rendered, validated
from governance.access.masks import MaskedField
from governance.access.matrix import ACT, READ
from governance.access.principals import actor_of
from governance.access.views import ApiView
from governance.ids import ID_LENGTH
from governance.models.identity import NAME_LENGTH
from policies import variables
from policies.models import Decision
from policies.services import guard, instead

from .guard_examples import EXAMPLES

LONGEST_TOOL = 200
LONGEST_ERROR_TYPE = 200
LONGEST_MESSAGE = 20_000
LONGEST_REASON = 2_000
LARGEST_STEP = 2**63 - 1
LARGEST_LATENCY_MS = 2**31 - 1
LARGEST_COST_USD = Number(1_000_000)

APPEAL_PATH = "/api/v1/guard/decisions/{}/appeal"


class GuardedActionSerializer(serializers.Serializer[Any]):
    """What an agent is about to do. A tool's name is taken exactly as it is written."""

    kind = serializers.ChoiceField(choices=Decision.Kind.choices, default=Decision.Kind.TOOL_CALL)
    tool = serializers.CharField(
        max_length=LONGEST_TOOL, allow_blank=True, default="", trim_whitespace=False
    )
    arguments = serializers.DictField(default=dict)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["kind"] == Decision.Kind.TOOL_CALL and not attrs["tool"]:
            raise serializers.ValidationError({"tool": "A tool call names its tool."})
        return attrs


class QuestionSerializer(serializers.Serializer[Any]):
    """The question: which agent, in which run and at which step, is about to do what."""

    agent_id = serializers.CharField(max_length=NAME_LENGTH)
    run_id = serializers.CharField(max_length=NAME_LENGTH)
    step = serializers.IntegerField(
        min_value=0, max_value=LARGEST_STEP, allow_null=True, default=None
    )
    action = GuardedActionSerializer()
    context = serializers.DictField(  # type: ignore[assignment]  # a field, by DRF's metaclass
        default=dict,
        help_text="Whatever else policies may ask about. Of these keys the types are fixed: "
        + ", ".join(f"{one.key} ({one.type})" for one in variables.TOLD)
        + ".",
    )

    def validate_context(self, context: dict[str, Any]) -> dict[str, Any]:
        if wrong := dict(variables.faults(context)):
            raise serializers.ValidationError(wrong)
        return context


class DecidingPolicySerializer(serializers.Serializer[Any]):
    """A policy that had something to say, as it was at that moment."""

    id = serializers.CharField()
    name = serializers.CharField()
    action = serializers.CharField()
    version = serializers.IntegerField()


class AllowedInsteadSerializer(serializers.Serializer[Any]):
    """One change that would get the denied action through, as the policies were at that moment.

    ``one_of`` names values that calls of this tool had when they went well (``good_calls`` of them); ``at_most``,
    ``below``, ``at_least``, ``above``, ``not_containing`` and ``not_starting_with`` name what the policy asks about;
    ``without`` has no value.
    """

    argument = serializers.CharField(
        help_text="A path into the arguments, its names joined by dots."
    )
    how = serializers.ChoiceField(choices=instead.HOW)
    values = serializers.ListField()
    good_calls = serializers.IntegerField()
    text = serializers.CharField()


class AnswerSerializer(serializers.Serializer[Any]):
    """The answer. Only ``allow`` and ``warn`` are a yes; a refusal that is retryable is not about this action.

    ``mode`` is the mode that changed the verdict, ``would_be`` what it would have been without. ``policies`` are those
    that had something to say, the deciding one first. A POST of ``{reason}`` to ``appeal_url``, with the same token, asks
    a person; it is null where nobody would be asked. ``directives`` are what people decided should be done about known
    failures of this tool. ``allowed_instead`` says only what is known, and is often empty.
    """

    decision_id = serializers.CharField()
    verdict = serializers.ChoiceField(choices=Decision.Verdict.choices)
    mode = serializers.ChoiceField(choices=Decision.Mode.choices, allow_null=True)
    would_be = serializers.ChoiceField(choices=Decision.Verdict.choices, allow_null=True)
    policies = DecidingPolicySerializer(many=True)
    reason = serializers.CharField()
    retryable = serializers.BooleanField()
    appeal_url = serializers.CharField(allow_null=True)
    directives = serializers.ListField(child=serializers.DictField())
    allowed_instead = AllowedInsteadSerializer(many=True)


class SimulatedAnswerSerializer(AnswerSerializer):
    """The same without a decision, and with what the policies in shadow would have said."""

    decision_id = serializers.CharField(allow_null=True)
    would_block = DecidingPolicySerializer(many=True)


class OutcomeErrorSerializer(serializers.Serializer[Any]):
    """How an action failed: the name of the error and its text."""

    type = serializers.CharField(max_length=LONGEST_ERROR_TYPE)
    message = serializers.CharField(
        max_length=LONGEST_MESSAGE, allow_blank=True, default="", trim_whitespace=False
    )


class OutcomeSerializer(serializers.Serializer[Any]):
    """How an allowed action went; a failure says how."""

    decision_id = serializers.CharField(max_length=ID_LENGTH)
    ok = serializers.BooleanField()
    error = OutcomeErrorSerializer(allow_null=True, default=None)
    latency_ms = serializers.IntegerField(
        min_value=0, max_value=LARGEST_LATENCY_MS, allow_null=True, default=None
    )
    cost_usd = serializers.DecimalField(
        max_digits=None,
        decimal_places=None,
        min_value=Number(0),
        max_value=LARGEST_COST_USD,
        allow_null=True,
        default=None,
        coerce_to_string=False,
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["ok"] and attrs["error"]:
            raise serializers.ValidationError({"error": "What went well has no error."})
        if not attrs["ok"] and not attrs["error"]:
            raise serializers.ValidationError({"error": "A failure says how: {type, message}."})
        return attrs


class OutcomeTakenSerializer(serializers.Serializer[Any]):
    incident_id = serializers.CharField(allow_null=True)


class AppealReasonSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=LONGEST_REASON)


class AppealSerializer(serializers.Serializer[Any]):
    """The checkpoint at which a person decides about the appeal."""

    id = serializers.CharField()
    type = serializers.CharField()
    state = serializers.CharField()
    subject = serializers.CharField()
    title = serializers.CharField()
    expires_at = serializers.DateTimeField()


class DecisionSerializer(serializers.ModelSerializer[Decision]):
    """A decision as it was recorded."""

    agent_id = serializers.CharField(source="agent.name")
    run_id = serializers.CharField(source="run.name")
    policies = DecidingPolicySerializer(many=True)
    would_block = DecidingPolicySerializer(many=True)
    arguments = MaskedField(read_only=True)
    context = MaskedField(read_only=True)  # type: ignore[assignment]  # a field, by DRF's metaclass

    class Meta:
        model = Decision
        fields = [
            "id",
            "agent_id",
            "run_id",
            "step",
            "kind",
            "tool",
            "arguments",
            "context",
            "verdict",
            "mode",
            "would_be",
            "policies",
            "would_block",
            "reason",
            "policy_set",
            "policy_set_hash",
            "simulated",
            "created_at",
        ]


class DecisionsView(ListModelMixin, ApiView):
    """What the guard answered, and asking it."""

    access = {"get": READ, "post": ACT}
    serializer_class = DecisionSerializer
    filterset_fields = ["verdict", "mode", "tool"]

    def get_queryset(self) -> QuerySet[Decision]:
        return _decisions()

    def get(self, request: Request) -> Response:
        """What was decided, newest first."""
        return self.list(request)

    @extend_schema(
        request=QuestionSerializer, responses=AnswerSerializer, filters=False, examples=EXAMPLES
    )
    def post(self, request: Request) -> Response:
        """May this action happen? The answer is recorded before it is given."""
        answer = guard.decide(**_question(request), actor=actor_of(request))
        return Response(rendered(AnswerSerializer, _body(answer)))


class DecisionView(RetrieveModelMixin, ApiView):
    """One decision as it was recorded."""

    access = {"get": READ}
    serializer_class = DecisionSerializer

    def get_queryset(self) -> QuerySet[Decision]:
        return _decisions()

    def get(self, request: Request, id: str) -> Response:
        return self.retrieve(request)


class AppealView(ApiView):
    """Ask a person to look at a refusal. It stands meanwhile."""

    access = {"post": ACT}
    serializer_class = AppealReasonSerializer

    def get_queryset(self) -> QuerySet[Decision]:
        return _decisions()

    @extend_schema(
        request=AppealReasonSerializer, responses={201: AppealSerializer, 200: AppealSerializer}
    )
    def post(self, request: Request, id: str) -> Response:
        """One appeal for each decision: asked again, it is answered with the first and how it stands."""
        decision = self.locate()
        given = validated(AppealReasonSerializer, request)
        asked = guard.appeal(decision, reason=given["reason"], actor=actor_of(request))
        asked.checkpoint.refresh_from_db()  # the database's clock said when it expires
        status = 201 if asked.is_new else 200
        return Response(AppealSerializer(asked.checkpoint).data, status=status)


class SimulateView(ApiView):
    """The guard's answer without any effect, shadow verdicts included."""

    access = {"post": ACT}
    serializer_class = QuestionSerializer

    @extend_schema(request=QuestionSerializer, responses=SimulatedAnswerSerializer)
    def post(self, request: Request) -> Response:
        answer = guard.simulate(**_question(request))
        return Response(rendered(SimulatedAnswerSerializer, _body(answer)))


class OutcomesView(ApiView):
    """How an allowed action went."""

    access = {"post": ACT}
    serializer_class = OutcomeSerializer

    @extend_schema(request=OutcomeSerializer, responses=OutcomeTakenSerializer)
    def post(self, request: Request) -> Response:
        """Report it once; the same report again is answered in the same way, another one is a conflict."""
        report = validated(OutcomeSerializer, request)
        decision = _decisions().filter(pk=report["decision_id"]).first()
        if decision is None:
            raise Http404
        error = report["error"] or {"type": "", "message": ""}
        incident = guard.report_outcome(
            decision,
            ok=report["ok"],
            error_type=error["type"],
            error_message=error["message"],
            latency_ms=report["latency_ms"],
            cost_usd=report["cost_usd"],
            actor=actor_of(request),
        )
        return Response({"incident_id": incident.id if incident else None})


def _decisions() -> QuerySet[Decision]:
    return Decision.objects.select_related("agent", "run")


def _question(request: Request) -> dict[str, Any]:
    """The arguments of ``guard.decide``, without the actor."""
    asked = validated(QuestionSerializer, request)
    return {
        "agent_name": asked["agent_id"],
        "run_name": asked["run_id"],
        "step": asked["step"],
        "context": asked["context"],
        **asked["action"],
    }


def _body(answer: guard.Answer) -> dict[str, Any]:
    appeal_url = (
        APPEAL_PATH.format(answer.decision_id) if answer.may_appeal and answer.decision_id else None
    )
    return {**asdict(answer), "appeal_url": appeal_url}
