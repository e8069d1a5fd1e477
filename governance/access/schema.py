"""How the API describes itself: OpenAPI 3.1 with the token and the problems that every route can answer with."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from .permissions import declared


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "governance.access.authentication.TokenAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A token made by `manage.py create_token`.",
        }


PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
    "additionalProperties": True,
}


class AntibodySchema(AutoSchema):
    """Adds the problem answers, and says who may call the route."""

    def get_description(self) -> str:  # type: ignore[override]
        right = declared(self.view, self.method)
        who = f"{right.holders} (“{right.name}”)" if right else "nobody"
        return f"{super().get_description()}\n\nMay be called by {who}.".strip()

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        responses: dict[str, Any] = super()._get_response_bodies(direction)
        # Beside what a view says of its own: a request may be refused before it comes to the view.
        refused = responses.setdefault("default", {"content": {}})
        refused["description"] = "A problem (RFC 9457)"
        refused["content"]["application/problem+json"] = {"schema": PROBLEM}
        return responses
