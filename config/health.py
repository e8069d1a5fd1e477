"""Whether the product lives, is ready, and how it is doing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from governance.database import isolation
from governance.loop.bridges import bridges
from policies.conditions import check_environment

from .database import APP_LOGIN

log = logging.getLogger("antibody.health")


def livez(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> HttpResponse:
    """Every check by name; 503 when one of them fails."""
    checks = {name: _run(name, check) for name, check in CHECKS.items()}
    ready = all(result == "ok" for result in checks.values())
    return JsonResponse(
        {"status": "ready" if ready else "not ready", "checks": checks},
        status=200 if ready else 503,
    )


def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus' text format."""
    return HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST)


def _run(name: str, check: Callable[[], str | None]) -> str:
    try:
        return check() or "ok"
    except Exception as error:  # noqa: BLE001 - whatever breaks a check is its result
        log.warning("check %s: %s", name, error)
        return f"{type(error).__name__}"


def _one(sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()


def _database() -> str | None:
    return None if _one("SELECT 1") else "no answer"


def _login() -> str | None:
    user, strong = _one(
        "SELECT current_user, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
    )
    return None if user == APP_LOGIN and not strong else f"logged in as {user}"


def _isolation() -> str | None:
    absent = isolation.missing()
    return f"missing: {absent[0].kind} {absent[0].table}.{absent[0].name}" if absent else None


def _conditions() -> None:
    check_environment()


def _loop() -> str | None:
    return None if len(bridges()) == 5 else f"{len(bridges())} bridges"


def _commits() -> str | None:
    (value,) = _one("SHOW synchronous_commit")
    return None if value != "off" else "synchronous_commit is off"


CHECKS: dict[str, Callable[[], str | None]] = {
    "database": _database,
    "login": _login,
    "isolation": _isolation,
    "conditions": _conditions,
    "loop": _loop,
    "synchronous_commit": _commits,
}
