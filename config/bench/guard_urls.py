"""The product's routes, and beside them the least that a decision could be: one row, inserted by plain Django."""

from __future__ import annotations

import json
from functools import cache

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from config.urls import handler400, handler404, handler500, urlpatterns
from governance.access.authentication import identify, secret_in
from governance.database.tenancy import tenant_scope
from governance.models import Run
from policies.models import Decision

__all__ = ["handler400", "handler404", "handler500", "urlpatterns"]


@csrf_exempt
def insert(request: HttpRequest) -> HttpResponse:
    """The same token, the same tenant setting, one row: nothing is decided."""
    found = identify(secret_in(request.headers.get("Authorization", "")))
    if found is None:
        return HttpResponse(status=401)
    asked = json.loads(request.body)
    with tenant_scope(found[0].tenant_id):
        run_id, agent_id = _run(found[0].tenant_id, asked["run_id"])
        made = Decision.objects.create(
            agent_id=agent_id,
            run_id=run_id,
            step=asked["step"],
            kind=Decision.Kind.TOOL_CALL,
            tool=asked["action"]["tool"],
            arguments=asked["action"]["arguments"],
            verdict=Decision.Verdict.ALLOW,
        )
    return JsonResponse({"id": made.id})


@cache
def _run(tenant_id: str, name: str) -> tuple[str, str]:
    """Known from the first request on, so that every other one sends its INSERT and nothing else."""
    run = Run.objects.get(name=name, tenant_id=tenant_id)
    return run.id, run.agent_id


urlpatterns = [*urlpatterns, path("api/v1/bench/insert", insert)]
