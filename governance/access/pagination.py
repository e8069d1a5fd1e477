"""Lists by keyset: ``{results, next}`` with ?limit= and ?cursor=, the same cost on every page."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import urlencode

from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from ..refusals import Invalid

USUAL = 50
MOST = 200


class KeysetPagination(BasePagination):
    """Newest first by id (ids are sortable); the cursor is the last id seen."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        self.request = request
        self.limit = limit_of(request)
        queryset = queryset.order_by("-pk")
        if seen := cursor_of(request):
            queryset = queryset.filter(pk__lt=seen)
        rows = list(queryset[: self.limit + 1])
        self.more = len(rows) > self.limit
        self.page = rows[: self.limit]
        return self.page

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self._next()})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["results", "next"],
            "properties": {
                "results": schema,
                "next": {
                    "type": ["string", "null"],
                    "description": "The address of the next page, or null.",
                },
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return [
            {
                "name": "limit",
                "in": "query",
                "required": False,
                "schema": {"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL},
            },
            {"name": "cursor", "in": "query", "required": False, "schema": {"type": "string"}},
        ]

    def _next(self) -> str | None:
        return next_page(self.request, self.page[-1].pk if self.more else None)


def next_page(request: Request, last: str | None) -> str | None:
    """The address of the page after the record ``last``; None after the last one."""
    if last is None:
        return None
    query = {key: value for key, value in request.query_params.items() if key != "cursor"}
    query["cursor"] = base64.urlsafe_b64encode(str(last).encode()).decode()
    return request.build_absolute_uri(f"{request.path}?{urlencode(query)}")


def limit_of(request: Request) -> int:
    """How many a page may have. Raises Invalid."""
    raw = request.query_params.get("limit", str(USUAL))
    if not raw.isascii() or not raw.isdigit() or not 1 <= int(raw[:6]) <= MOST:
        raise Invalid(f"limit must be a whole number from 1 to {MOST}.", field="limit")
    return int(raw)


def cursor_of(request: Request) -> str:
    """The last id seen; empty on the first page. Raises Invalid."""
    cursor = request.query_params.get("cursor")
    return _decode(cursor) if cursor else ""


def _decode(cursor: str) -> str:
    try:
        seen = base64.b64decode(cursor, altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        seen = ""
    if not seen or not seen.isprintable():
        raise Invalid("cursor is not one of ours: take it from 'next'.", field="cursor")
    return seen
