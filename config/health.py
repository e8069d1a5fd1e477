"""Whether the product lives, is ready, and how it is doing."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from governance import readiness
from governance.access.patience import needs_nobody


@needs_nobody
@transaction.non_atomic_requests
def livez(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


@needs_nobody
@transaction.non_atomic_requests
def readyz(request: HttpRequest) -> HttpResponse:
    """Every check by name, as this process saw it last; 503 while one of them fails. Asks nobody, but for ?fresh."""
    look = readiness.fresh if "fresh" in request.GET else readiness.standing
    standing = look(wait=readiness.FIRST_LOOK_SECONDS)
    response = JsonResponse(report(standing), status=200 if standing.is_ready else 503)
    response["Cache-Control"] = "no-store"
    if not standing.is_ready:
        response["Retry-After"] = "1"
        # The log says it once, when it is first seen; Django would say it to every prober.
        response._has_been_logged = True  # type: ignore[attr-defined] # noqa: SLF001
    return response


def report(standing: readiness.Standing) -> dict[str, Any]:
    """A standing as JSON; for whoever asks, so there is nothing of a tenant in it and no secret."""
    return {
        "status": "ready" if standing.is_ready else "not ready",
        "failing": standing.failing or None,
        "detail": standing.text,
        "since": standing.since.isoformat(timespec="seconds"),
        "age_seconds": round(standing.age_seconds, 1),
        "warnings": standing.warnings,
        "checks": {name: str(found) for name, found in standing.findings.items()},
    }


@needs_nobody
@transaction.non_atomic_requests
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus' text format."""
    return HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST)
