"""The API's description (OpenAPI 3.1), made once in a process: it takes half a second, and anybody may ask for it."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.http import HttpResponse
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from governance.access.matrix import LOOK_IN


@cache
def description() -> dict[str, Any]:
    """What the API says of itself; it depends on nobody and nothing but the code."""
    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return made


_written: dict[str, str | bytes] = {}
"""The description by media type: a text of half a megabyte is not made for everybody either."""


def written(renderer: BaseRenderer) -> str | bytes:
    """The description as JSON or YAML."""
    kind = renderer.media_type
    if kind not in _written:
        _written[kind] = renderer.render(description(), renderer_context={})
    return _written[kind]


class SchemaView(SpectacularAPIView):
    """The API's description (OpenAPI 3.1)."""

    access = {"get": LOOK_IN}

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        renderer = request.accepted_renderer
        return HttpResponse(written(renderer), content_type=renderer.media_type)
