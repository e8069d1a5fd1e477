"""Policy sets over HTTP: what was in force, by the hash that every decision carries."""

from __future__ import annotations

from itertools import islice
from typing import Any

from django.db.models import Q, QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.matrix import READ
from governance.access.pagination import MOST, USUAL, cursor_of, limit_of, next_page
from governance.access.views import ReadOnlyViewSet
from governance.refusals import Invalid
from policies.models import Policy, PolicySnapshot
from policies.services import policy_set


class PolicySnapshotSerializer(serializers.ModelSerializer[PolicySnapshot]):
    """One revision of the policy set. The same policies in the same words have the same hash."""

    class Meta:
        model = PolicySnapshot
        fields = ["id", "revision", "hash", "created_at"]


class PolicyInForceSerializer(serializers.Serializer[Any]):
    """A policy as the guard read it. ``in_force``: active; otherwise it was watching."""

    id = serializers.CharField()
    name = serializers.CharField()
    version = serializers.IntegerField()
    in_force = serializers.BooleanField()
    action = serializers.ChoiceField(choices=Policy.Action.choices)
    category = serializers.ChoiceField(choices=Policy.Category.choices)
    scope_type = serializers.ChoiceField(choices=Policy.Scope.choices)
    scope_id = serializers.CharField(allow_blank=True)
    tool = serializers.CharField(allow_blank=True)
    failure_mode = serializers.ChoiceField(choices=Policy.FailureMode.choices)
    bind_at = serializers.ChoiceField(choices=Policy.BindAt.choices)
    condition = serializers.CharField()
    explanation = serializers.CharField(allow_blank=True)
    simulated = serializers.BooleanField()


class PolicySetSerializer(PolicySnapshotSerializer):
    """A set with its policies, page by page in an order of its own."""

    results = PolicyInForceSerializer(many=True)
    next = serializers.CharField(
        allow_null=True, help_text="The address of the next page, or null."
    )

    class Meta(PolicySnapshotSerializer.Meta):
        fields = [*PolicySnapshotSerializer.Meta.fields, "results", "next"]


class PolicySetViewSet(ReadOnlyViewSet):
    """What was in force under each revision. A set is named by its hash, or by the id of a revision."""

    access = {"list": READ, "retrieve": READ}
    serializer_class = PolicySnapshotSerializer
    filterset_fields = ["revision", "hash"]

    def get_queryset(self) -> QuerySet[PolicySnapshot]:
        return PolicySnapshot.objects.all()

    def locate(self) -> PolicySnapshot | None:
        """The first revision with this hash, or the one with this id."""
        if self.lookup_url_kwarg not in self.kwargs:
            return None
        named = self.kwargs[self.lookup_url_kwarg]
        found = self.get_queryset().filter(Q(hash=named) | Q(pk=named)).order_by("revision").first()
        if found is None:
            raise Http404
        return found

    @extend_schema(
        parameters=[
            OpenApiParameter("limit", int, description=f"1 to {MOST}; {USUAL} if it is left out."),
            OpenApiParameter("cursor", str, description="From `next`."),
        ],
        responses=PolicySetSerializer,
    )
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Everything that was in force under a set, a page at a time."""
        snapshot = self.locate()
        if snapshot is None:
            raise Http404
        limit = limit_of(request)
        found = policy_set.contents(snapshot.hash, after=_seen(request))
        page = list(islice(found, limit + 1))
        more = page[limit - 1]["id"] if len(page) > limit else None
        told = PolicySnapshotSerializer(snapshot).data
        return Response({**told, "results": page[:limit], "next": next_page(request, more)})


def _seen(request: Request) -> str:
    """The policy to go on after. Only one of one's own: the tree's order would answer to any text at all."""
    seen = cursor_of(request)
    if seen and not Policy.objects.filter(pk=seen).exists():
        raise Invalid("cursor is not one of ours: take it from 'next'.", field="cursor")
    return seen
