"""What every view of the API is made from."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import Http404
from rest_framework.generics import GenericAPIView
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from . import requests
from .matrix import Right
from .principals import Principal


class ApiView(GenericAPIView[Any]):
    """A view that names the right that it asks for (``access``), with Idempotency-Key honoured on every POST.

    A key is remembered in the transaction of the effect: a POST that fails is forgotten and may be sent again. Two at
    once: the second is told that the first is in progress.
    """

    access: ClassVar[dict[str, Right]] = {}
    lookup_field = "pk"
    lookup_url_kwarg = "id"
    _remembered: str | None = None

    def locate(self) -> Any:
        """The record that the address names, 404 where the tenant has none; before any look at roles."""
        if self.lookup_url_kwarg not in self.kwargs:
            return None
        found = self.get_queryset().filter(pk=self.kwargs[self.lookup_url_kwarg]).first()
        if found is None:
            raise Http404
        return found

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        caller: Any = request.user
        if isinstance(caller, Principal):
            self._remembered = requests.begin(request, str(caller.actor))

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, requests.Replay):
            return exc.response
        return super().handle_exception(exc)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        if self._remembered is not None:
            requests.finish(self._remembered, response)
        return response


class ReadOnlyViewSet(ApiView, ListModelMixin, RetrieveModelMixin, GenericViewSet[Any]):
    """Lists and details of a tenant's records."""
