"""More about one pattern over HTTP: when it occurred, and which others are like it."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.masks import MaskedField, MaskedTextField
from governance.access.matrix import READ
from governance.access.views import ApiView
from governance.refusals import Invalid

from .. import services
from ..models import Pattern
from ..rules.occurrences import MOST_DAYS

USUAL_DAYS = 30


class DaySerializer(serializers.Serializer[Any]):
    """One day, by UTC."""

    day = serializers.DateField()
    count = serializers.IntegerField()


class OccurrencesSerializer(serializers.Serializer[Any]):
    """Occurrences by day, oldest first, days without one too."""

    days = DaySerializer(many=True)
    total = serializers.IntegerField()
    is_cut = serializers.BooleanField(
        help_text=f"There were more than {services.COUNTED}: the first days are not counted in full."
    )


class OtherPatternSerializer(serializers.ModelSerializer[Pattern]):
    """A pattern beside another."""

    name = MaskedTextField(read_only=True)
    error_type = MaskedTextField(read_only=True)
    template = MaskedTextField(read_only=True)

    class Meta:
        model = Pattern
        fields = ("id", "name", "error_type", "tool", "template")


class PatternDifferenceSerializer(serializers.Serializer[Any]):
    """A stretch where the two differ: words of this pattern, and of the other one."""

    kind = serializers.CharField()
    here = MaskedField()
    there = MaskedField()


class SimilarSerializer(serializers.Serializer[Any]):
    """Another pattern, how like it is (0 to 1), and why."""

    pattern = OtherPatternSerializer()
    similarity = serializers.FloatField()
    words_agreed = MaskedField()
    differences = PatternDifferenceSerializer(many=True)


class SimilarPatternsSerializer(serializers.Serializer[Any]):
    """At most ten, the most like first."""

    results = SimilarSerializer(many=True)


class OfPattern(ApiView):
    """A route about one pattern."""

    access = {"get": READ}

    def get_queryset(self) -> QuerySet[Pattern]:
        return Pattern.objects.all()


class OccurrencesView(OfPattern):
    serializer_class = OccurrencesSerializer

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "days", int, description=f"1 to {MOST_DAYS}; {USUAL_DAYS} if left out."
            )
        ]
    )
    def get(self, request: Request, id: str) -> Response:
        """How often it occurred on each of the last days, today the last."""
        pattern = self.locate()
        found = services.per_day(pattern, _days(request), timezone.now())
        return Response(OccurrencesSerializer(found).data)


class SimilarView(OfPattern):
    serializer_class = SimilarPatternsSerializer

    def get(self, request: Request, id: str) -> Response:
        """The patterns most like it, found by the keys that failures are found by."""
        found = {"results": services.similar_to(self.locate())}
        return Response(SimilarPatternsSerializer(found).data)


def _days(request: Request) -> int:
    said = request.query_params.get("days", str(USUAL_DAYS))
    if not said.isascii() or not said.isdigit() or not 1 <= int(said[:6]) <= MOST_DAYS:
        raise Invalid(f"days must be a whole number from 1 to {MOST_DAYS}.", field="days")
    return int(said)
