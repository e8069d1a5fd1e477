"""Patterns over HTTP: what kinds of failure there are, and which recoveries a person trusts."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.masks import MaskedTextField
from governance.access.matrix import CURATE, READ
from governance.access.principals import actor_of
from governance.access.views import ReadOnlyViewSet

from .. import services
from ..models import Pattern, PatternMatch
from ..rules import taxonomy


class TaxonomySerializer(serializers.Serializer[Any]):
    """Whether the same call may succeed later, and its MAST and OWASP Agentic names; unknown where no rule tells."""

    retryable = serializers.ChoiceField(["yes", "no", "unknown"])
    mast = serializers.CharField()
    owasp = serializers.CharField()


class PatternSerializer(serializers.ModelSerializer[Pattern]):
    """One kind of failure, and how often it occurred."""

    name = MaskedTextField(read_only=True)
    error_type = MaskedTextField(read_only=True)
    template = MaskedTextField(read_only=True)
    occurrences = serializers.IntegerField(read_only=True)
    first_seen = serializers.DateTimeField(read_only=True, allow_null=True)
    last_seen = serializers.DateTimeField(read_only=True, allow_null=True)
    root_id = serializers.CharField(
        read_only=True, allow_null=True, help_text="The pattern that it was merged into."
    )
    silenced_as = serializers.ChoiceField(
        Pattern.Silence.choices, read_only=True, allow_blank=True, help_text="Empty: it is heeded."
    )
    taxonomy = serializers.SerializerMethodField()
    silenced = serializers.SerializerMethodField()

    class Meta:
        model = Pattern
        fields: ClassVar[list[str]] = [
            "id",
            "name",
            "error_type",
            "tool",
            "template",
            "frames",
            "taxonomy",
            "signature",
            "signature_version",
            "strong_above",
            "weak_from",
            "auto_apply_recovery",
            "root_id",
            "members",
            "silenced_as",
            "silenced_until",
            "silenced",
            "occurrences",
            "first_seen",
            "last_seen",
            "created_at",
        ]
        read_only_fields = fields

    def get_silenced(self, pattern: Pattern) -> int:
        """How many incidents its latest silence has silenced; 0 where there was none."""
        return services.count_silenced(pattern)

    @extend_schema_field(TaxonomySerializer)
    def get_taxonomy(self, pattern: Pattern) -> dict[str, str]:
        """Where it belongs, as far as its words tell."""
        found = taxonomy(pattern.error_type, pattern.template)
        return {"retryable": str(found.retryable), "mast": found.mast, "owasp": found.owasp}


class PatternDetailSerializer(PatternSerializer):
    """The same with whom it hit, of its newest thousand occurrences, and whether it came back."""

    agents = serializers.IntegerField(read_only=True)
    tools = serializers.IntegerField(read_only=True)
    runs = serializers.IntegerField(read_only=True)
    regressed_at = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="When it came back after it was resolved."
    )
    is_regression = serializers.BooleanField(
        read_only=True, help_text="It came back, and its newest incident is not resolved."
    )

    class Meta(PatternSerializer.Meta):
        fields: ClassVar[list[str]] = [
            *PatternSerializer.Meta.fields,
            "agents",
            "tools",
            "runs",
            "regressed_at",
            "is_regression",
        ]
        read_only_fields = fields

    def to_representation(self, pattern: Pattern) -> dict[str, Any]:
        """What it is, and what its occurrences say; two statements more."""
        found = services.affected_by(pattern)
        back = found.regression
        return {
            **super().to_representation(pattern),
            "agents": len(found.agents),
            "tools": len(found.tools),
            "runs": found.runs,
            "regressed_at": back.came_back_at if back else None,
            "is_regression": bool(back and back.is_open),
        }


class MatchSerializer(serializers.ModelSerializer[PatternMatch]):
    """Which kind of failure an incident was recognised as, or a person's correction of that."""

    corrects_id = serializers.CharField(read_only=True, allow_null=True)

    class Meta:
        model = PatternMatch
        fields: ClassVar[list[str]] = [
            "id",
            "incident_id",
            "pattern_id",
            "confidence",
            "band",
            "is_new",
            "corrects_id",
            "why",
            "created_at",
        ]
        read_only_fields = fields


class ExplainedSerializer(MatchSerializer):
    """The same with its evidence in full: words that agree, values masked, the pattern that came next."""

    why = serializers.SerializerMethodField()

    def get_why(self, match: PatternMatch) -> dict[str, Any]:
        """The evidence, explained where a known signature was stored shortly."""
        return services.explained(match)


class AutoApplySerializer(serializers.Serializer[Any]):
    """Whether the pattern's recovery may be applied without asking, and why."""

    on = serializers.BooleanField()
    reason = serializers.CharField(max_length=2_000)


class PatternViewSet(ReadOnlyViewSet):
    """The kinds of failure that are known."""

    filterset_fields: ClassVar[list[str]] = ["tool", "error_type"]
    access = {"list": READ, "retrieve": READ, "auto_apply": CURATE}

    def get_queryset(self) -> QuerySet[Pattern]:
        patterns = Pattern.objects.with_occurrences()
        # What was merged into another is found by its id, and told with that one.
        return patterns.roots() if self.action == "list" else patterns

    def get_serializer_class(self) -> type[PatternSerializer]:
        return PatternSerializer if self.action == "list" else PatternDetailSerializer

    @extend_schema(request=AutoApplySerializer, responses=PatternDetailSerializer)
    @action(detail=True, methods=["post"], url_path="auto-apply")
    def auto_apply(self, request: Request, id: str) -> Response:
        """Trust the pattern's recovery to be applied without asking where it is sure enough, or no longer."""
        pattern = self.locate()
        said = AutoApplySerializer(data=request.data)
        said.is_valid(raise_exception=True)
        services.set_auto_apply(
            pattern,
            said.validated_data["on"],
            actor=actor_of(request),
            reason=said.validated_data["reason"],
        )
        return Response(self.get_serializer(pattern).data)


class MatchViewSet(ReadOnlyViewSet):
    """Which incident is of which kind, how surely, and why."""

    serializer_class = MatchSerializer
    filterset_fields: ClassVar[list[str]] = ["incident", "pattern", "band"]
    access = {"list": READ, "retrieve": READ}

    def get_queryset(self) -> QuerySet[PatternMatch]:
        return PatternMatch.objects.select_related("pattern", "incident")

    def get_serializer_class(self) -> type[MatchSerializer]:
        return ExplainedSerializer if self.action == "retrieve" else MatchSerializer
