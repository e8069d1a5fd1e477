"""Policies over HTTP: read by anyone, drafted and moved by people, regretted by anyone."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

import django_filters
from django.db.models import F, QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import (
    OpenApiParameter,
    extend_schema,
    extend_schema_field,
    inline_serializer,
)
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from governance import tenants
from governance.access.bodies import validated
from governance.access.matrix import JUDGE_POLICIES, READ, REPORT_HARM, WRITE_POLICIES
from governance.access.principals import actor_of
from governance.access.reasons import ReasonSerializer
from governance.access.views import ReadOnlyViewSet
from governance.ids import ID_LENGTH
from governance.models.identity import NAME_LENGTH
from incidents.models import Incident
from policies.conditions import SOURCE_LIMIT
from policies.models import Decision, Evidence, Policy, PolicyVersion, Regret, WouldBlock
from policies.services import confirmations, life, record, regret, versions

from .records import RecordSerializer, ToldSerializer
from .regrets import RegretSerializer

LONGEST_TEXT = 2_000
MOST_VERSIONS = 2**31 - 1
MODES = ("draft", "shadow", "pending", "active", "disabled")
DISABLED = (Policy.State.SUSPENDED, Policy.State.RETIRED)


class DraftSerializer(serializers.Serializer[Any]):
    """A person's own policy. The condition is CEL over the names in docs/conditions.md."""

    name = serializers.CharField(max_length=300)
    condition = serializers.CharField(max_length=SOURCE_LIMIT, trim_whitespace=False)
    action = serializers.ChoiceField(choices=Policy.Action.choices, default=Policy.Action.BLOCK)
    category = serializers.ChoiceField(
        choices=Policy.Category.choices, default=Policy.Category.CUSTOM
    )
    scope_type = serializers.ChoiceField(choices=Policy.Scope.choices, default=Policy.Scope.TENANT)
    scope_id = serializers.CharField(
        max_length=NAME_LENGTH,
        allow_blank=True,
        default="",
        help_text="The agent's name where the scope is an agent.",
    )
    tool = serializers.CharField(
        max_length=200,
        allow_blank=True,
        default="",
        help_text="The one tool it is about; empty: every tool.",
    )
    failure_mode = serializers.ChoiceField(
        choices=Policy.FailureMode.choices,
        default=Policy.FailureMode.FAIL_CLOSED,
        help_text="What holds where the condition has no answer.",
    )
    bind_at = serializers.ChoiceField(
        choices=Policy.BindAt.choices,
        default=Policy.BindAt.EACH_STEP,
        help_text="Which runs it is about: those that begin under it, those whose first model call comes under it,"
        " or every run from its next step on.",
    )


class PolicyNoteSerializer(serializers.Serializer[Any]):
    """Why, if there is something to say."""

    reason = serializers.CharField(max_length=LONGEST_TEXT, allow_blank=True, default="")


class RegretReportSerializer(serializers.Serializer[Any]):
    """What harm the policy did, 1 (a nuisance) to 10 (a disaster)."""

    severity = serializers.IntegerField(min_value=1, max_value=10)
    regret_type = serializers.ChoiceField(choices=Regret.Type.choices, default=Regret.Type.OTHER)
    description = serializers.CharField(max_length=LONGEST_TEXT, allow_blank=True, default="")
    decision_id = serializers.CharField(
        max_length=ID_LENGTH, allow_null=True, default=None, help_text="The verdict it is about."
    )
    incident_id = serializers.CharField(
        max_length=ID_LENGTH,
        allow_null=True,
        default=None,
        help_text="Of a caused_incident: the incident that the policy caused.",
    )


class PolicySerializer(serializers.ModelSerializer[Policy]):
    """One policy in its newest version."""

    mode = serializers.ChoiceField(choices=MODES, read_only=True)
    pattern_id = serializers.CharField(allow_null=True, read_only=True)
    recovery_id = serializers.CharField(allow_null=True, read_only=True)
    trace_id = serializers.CharField(allow_null=True, read_only=True)

    class Meta:
        model = Policy
        fields: ClassVar[list[str]] = [
            "id",
            "name",
            "mode",
            "state",
            "category",
            "action",
            "scope_type",
            "scope_id",
            "source",
            "failure_mode",
            "bind_at",
            "tool",
            "version",
            "condition",
            "explanation",
            "confidence",
            "backtest",
            "pattern_id",
            "recovery_id",
            "trace_id",
            "simulated",
            "reason",
            "state_since",
            "created_at",
        ]


class VersionSerializer(serializers.ModelSerializer[PolicyVersion]):
    """One wording of a policy, and why it came to be."""

    class Meta:
        model = PolicyVersion
        fields: ClassVar[list[str]] = [
            "number",
            "condition",
            "explanation",
            "backtest",
            "reason",
            "created_at",
        ]


class EvidenceSerializer(serializers.Serializer[Any]):
    """What speaks for the present version, and how what it would have blocked then went."""

    confirmations = serializers.IntegerField()
    needed = serializers.IntegerField()
    by_kind = serializers.DictField(child=serializers.IntegerField())
    would_blocks = serializers.DictField(child=serializers.IntegerField())


class PolicyDetailSerializer(PolicySerializer):
    """One policy with its versions, its evidence and the regret about it."""

    versions = VersionSerializer(many=True, read_only=True)
    evidence = serializers.SerializerMethodField()
    regret_score = serializers.SerializerMethodField()

    class Meta(PolicySerializer.Meta):
        fields: ClassVar[list[str]] = [
            *PolicySerializer.Meta.fields,
            "versions",
            "evidence",
            "regret_score",
        ]

    @extend_schema_field(EvidenceSerializer)
    def get_evidence(self, policy: Policy) -> dict[str, Any]:
        given = Evidence.objects.filter(policy=policy, withdraws=False, version=policy.version)
        watched = WouldBlock.objects.filter(
            policy=policy, version=policy.version, simulated=F("policy__simulated")
        )
        return {
            "confirmations": confirmations(policy),
            "needed": tenants.settings().confirmations,
            "by_kind": _counts(given, "kind", Evidence.Kind.values),
            "would_blocks": _counts(watched, "result", WouldBlock.Result.values),
        }

    @extend_schema_field(serializers.FloatField(help_text="An active policy is demoted at 5.0."))
    def get_regret_score(self, policy: Policy) -> float:
        return round(regret.score(policy), 4)


class LineSerializer(serializers.Serializer[Any]):
    """One line of a difference: "-" went, "+" came, "=" stayed."""

    op = serializers.ChoiceField(choices=["-", "+", "="])
    text = serializers.CharField()


# ``from`` is no name that a class may give a field.
DifferenceSerializer = inline_serializer(
    "Difference",
    {
        "from": serializers.IntegerField(),
        "to": serializers.IntegerField(),
        "is_same": serializers.BooleanField(),
        "lines": LineSerializer(many=True),
        "text": serializers.CharField(),
        "reason": serializers.CharField(),
        "backtest": serializers.DictField(),
    },
)


class AskedVersionsSerializer(serializers.Serializer[Any]):
    """Which two versions; the newest and the one before it where nothing is said."""

    to = serializers.IntegerField(min_value=1, max_value=MOST_VERSIONS, required=False)

    def get_fields(self) -> dict[str, Any]:
        before = serializers.IntegerField(min_value=1, max_value=MOST_VERSIONS, required=False)
        return {**super().get_fields(), "from": before}


class PolicyFilter(django_filters.FilterSet):
    """``mode`` is the life in the API's words, ``state`` in the product's."""

    mode = django_filters.ChoiceFilter(
        choices=[(mode, mode) for mode in MODES], method="filter_mode"
    )
    pattern = django_filters.CharFilter(field_name="pattern_id")

    class Meta:
        model = Policy
        fields: ClassVar[list[str]] = ["mode", "state", "pattern", "source", "tool", "action"]

    def filter_mode(self, found: QuerySet[Policy], name: str, mode: str) -> QuerySet[Policy]:
        return found.filter(state__in=DISABLED if mode == "disabled" else [mode])


class PolicyViewSet(ReadOnlyViewSet):
    """Rules born from recoveries or written by people, and their life."""

    serializer_class = PolicySerializer
    filterset_class = PolicyFilter
    access = {
        "list": READ,
        "retrieve": READ,
        "create": WRITE_POLICIES,
        "submit": WRITE_POLICIES,
        "confirm": JUDGE_POLICIES,
        "activate": JUDGE_POLICIES,
        "suspend": WRITE_POLICIES,
        "retire": WRITE_POLICIES,
        "regret": REPORT_HARM,
        "record": READ,
        "story": READ,
        "diff": READ,
    }

    def get_queryset(self) -> QuerySet[Policy]:
        return Policy.objects.all()

    @extend_schema(responses=PolicyDetailSerializer)
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One policy with its versions, its evidence and the regret about it."""
        return Response(PolicyDetailSerializer(self.get_object()).data)

    @extend_schema(request=DraftSerializer, responses={201: PolicyDetailSerializer})
    def create(self, request: Request) -> Response:
        """Draft a policy by hand. The guard sees nothing of it until it is submitted."""
        said = validated(DraftSerializer, request)
        policy = life.draft_manual(said.pop("name"), actor=actor_of(request), **said)
        return Response(PolicyDetailSerializer(policy).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=PolicyNoteSerializer, responses=PolicyDetailSerializer)
    @action(detail=True, methods=["post"])
    def submit(self, request: Request, id: str) -> Response:
        """From draft to shadow: from now on every decision records what it would have said."""
        policy = self.locate()
        reason = validated(PolicyNoteSerializer, request)["reason"] or "Submitted."
        life.submit(policy, actor=actor_of(request), reason=reason)
        return Response(PolicyDetailSerializer(policy).data)

    @extend_schema(request=PolicyNoteSerializer, responses=PolicyDetailSerializer)
    @action(detail=True, methods=["post"])
    def confirm(self, request: Request, id: str) -> Response:
        """Add a reviewer's one confirmation."""
        policy = self.locate()
        note = validated(PolicyNoteSerializer, request)["reason"]
        life.confirm(policy, actor=actor_of(request), note=note)
        return Response(PolicyDetailSerializer(policy).data)

    @extend_schema(request=PolicyNoteSerializer, responses=PolicyDetailSerializer)
    @action(detail=True, methods=["post"])
    def activate(self, request: Request, id: str) -> Response:
        """Put in force what is confirmed or suspended; a draft of one's own is for somebody else to activate."""
        policy = self.locate()
        reason = validated(PolicyNoteSerializer, request)["reason"]
        life.activate(policy, actor=actor_of(request), reason=reason)
        return Response(PolicyDetailSerializer(policy).data)

    @extend_schema(request=ReasonSerializer, responses=PolicyDetailSerializer)
    @action(detail=True, methods=["post"])
    def suspend(self, request: Request, id: str) -> Response:
        """Take it out of force, to be activated again."""
        policy = self.locate()
        life.suspend(policy, actor=actor_of(request), **validated(ReasonSerializer, request))
        return Response(PolicyDetailSerializer(policy).data)

    @extend_schema(request=ReasonSerializer, responses=PolicyDetailSerializer)
    @action(detail=True, methods=["post"])
    def retire(self, request: Request, id: str) -> Response:
        """End it for good."""
        policy = self.locate()
        life.retire(policy, actor=actor_of(request), **validated(ReasonSerializer, request))
        return Response(PolicyDetailSerializer(policy).data)

    @extend_schema(request=RegretReportSerializer, responses={201: RegretSerializer})
    @action(detail=True, methods=["post"])
    def regret(self, request: Request, id: str) -> Response:
        """Say that it did harm. Too much of that and it is demoted, from the next decision on."""
        policy = self.locate()
        said = validated(RegretReportSerializer, request)
        reported = regret.report(
            policy,
            severity=said["severity"],
            type=said["regret_type"],
            description=said["description"],
            decision=_decision(said["decision_id"]),
            incident=_incident(said["incident_id"]),
            actor=actor_of(request),
        )
        return Response(RegretSerializer(reported).data, status=status.HTTP_201_CREATED)

    @extend_schema(responses=RecordSerializer)
    @action(detail=True, methods=["get"])
    def record(self, request: Request, id: str) -> Response:
        """What it was born from, what it stopped and what it is blamed for."""
        return Response(RecordSerializer(record.record_of(self.locate())).data)

    @extend_schema(responses=ToldSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def story(self, request: Request, id: str) -> Response:
        """What happened in its life, oldest first; of a long one the newest 200 of each kind."""
        return Response(ToldSerializer(record.story_of(self.locate()), many=True).data)

    @extend_schema(
        parameters=[
            OpenApiParameter("from", int, description="The version before; usually one less."),
            OpenApiParameter("to", int, description="The version after; usually the newest."),
        ],
        responses=DifferenceSerializer,
    )
    @action(detail=True, methods=["get"])
    def diff(self, request: Request, id: str) -> Response:
        """How one version differs from another."""
        policy = self.locate()
        asked = AskedVersionsSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        after = asked.validated_data.get("to") or policy.version
        before = asked.validated_data.get("from") or max(1, after - 1)
        return Response(versions.compare(policy, before, after))


def _decision(decision_id: str | None) -> Decision | None:
    if not decision_id:
        return None
    decision = Decision.objects.select_related("agent").filter(pk=decision_id).first()
    if decision is None:
        raise Http404
    return decision


def _incident(incident_id: str | None) -> Incident | None:
    return get_object_or_404(Incident, pk=incident_id) if incident_id else None


def _counts(rows: QuerySet[Any], field: str, names: list[str]) -> dict[str, int]:
    return dict.fromkeys(names, 0) | Counter(rows.values_list(field, flat=True))
