"""Which form an answer takes."""

from __future__ import annotations

from collections.abc import Iterable

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class AnsweredAsAsked(DefaultContentNegotiation):
    """The form of the request, whatever it accepts: clients of other protocols know no other way to ask."""

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        kind = request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        made = list(renderers)
        chosen = next((each for each in made if each.media_type == kind), made[0])
        return chosen, chosen.media_type


class Negotiation(DefaultContentNegotiation):
    """Django REST framework's own, with a short way for those who take anything: nearly every caller."""

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        if (
            request.META.get("HTTP_ACCEPT", "*/*") == "*/*"
            and not request.META.get("QUERY_STRING")  # ?format= is a wish, too
            and not format_suffix
        ):
            first = next(iter(renderers))
            return first, first.media_type
        chosen: tuple[BaseRenderer, str] = super().select_renderer(
            request, renderers, format_suffix
        )
        return chosen
