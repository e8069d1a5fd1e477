"""What every page knows."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


def governance(request: HttpRequest) -> dict[str, Any]:
    """The membership that the page works for, None for who belongs to no tenant."""
    return {"membership": getattr(request, "membership", None), "csp_nonce": getattr(request, "csp_nonce", "")}
