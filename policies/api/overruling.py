"""Overruling over HTTP: a person says of a refusal, without being asked, that it was wrong."""

from __future__ import annotations

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.bodies import validated
from governance.access.matrix import JUDGE_POLICIES
from governance.access.principals import actor_of
from governance.access.reasons import ReasonSerializer
from governance.access.views import ApiView
from policies.models import Decision
from policies.services import regret

from .regrets import RegretSerializer


class OverruleView(ApiView):
    """Say that a refusal was wrong: a regret of every policy that denied. The refusal itself stays as it is."""

    access = {"post": JUDGE_POLICIES}
    serializer_class = ReasonSerializer

    def get_queryset(self) -> QuerySet[Decision]:
        return Decision.objects.select_related("agent")

    @extend_schema(request=ReasonSerializer, responses={201: RegretSerializer(many=True)})
    def post(self, request: Request, id: str) -> Response:
        decision = self.locate()
        reason = validated(ReasonSerializer, request)["reason"]
        regrets = regret.overrule(decision, actor=actor_of(request), reason=reason)
        return Response(RegretSerializer(regrets, many=True).data, status=201)
