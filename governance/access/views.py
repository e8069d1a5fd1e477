"""What every view of the API is made from."""

from __future__ import annotations

import hashlib
import json
from typing import Any, ClassVar

from django.http import Http404
from rest_framework.generics import GenericAPIView
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from ..database.inserts import insert
from ..models import IdempotentRequest
from ..refusals import Invalid, Refusal
from .matrix import Right
from .principals import Principal

LONGEST_KEY = 200


class OtherBody(Refusal):
    """An Idempotency-Key that came before with something else."""

    status = 422
    code = "idempotency_key_reused"


class Replay(Exception):
    """This very request was answered before."""

    def __init__(self, response: Response) -> None:
        self.response = response


class ApiView(GenericAPIView[Any]):
    """A view that names the right that it asks for (``access``), with Idempotency-Key honoured on every POST.

    A key is remembered in the transaction of the effect: a POST that fails is forgotten and may be sent again.
    Two at once: the second waits for the first and gets its answer.
    """

    access: ClassVar[dict[str, Right]] = {}
    lookup_field = "pk"
    lookup_url_kwarg = "id"

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
        self._remembered = self._remember(request)

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, Replay):
            return exc.response
        return super().handle_exception(exc)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        remembered = getattr(self, "_remembered", None)
        if remembered is not None and response.status_code < 400:
            IdempotentRequest.objects.filter(pk=remembered.pk).update(
                status=response.status_code, answer=_plain(response)
            )
        return response

    def _remember(self, request: Request) -> IdempotentRequest | None:
        key = request.headers.get("Idempotency-Key")
        caller: Any = request.user
        if request.method != "POST" or key is None or not isinstance(caller, Principal):
            return None
        if not 1 <= len(key) <= LONGEST_KEY or not key.isprintable():
            raise Invalid(
                f"Idempotency-Key must have 1 to {LONGEST_KEY} printable characters.",
                field="Idempotency-Key",
            )
        wanted = IdempotentRequest(
            principal=str(caller.actor), key=key, fingerprint=_fingerprint(request)
        )
        if insert([wanted], ignore_conflicts=True):
            return wanted
        kept = IdempotentRequest.objects.get(principal=wanted.principal, key=key)
        if kept.fingerprint != wanted.fingerprint:
            raise OtherBody("This Idempotency-Key came before with another request.")
        raise Replay(
            Response(kept.answer, status=kept.status, headers={"Idempotent-Replayed": "true"})
        )


class ReadOnlyViewSet(ApiView, ListModelMixin, RetrieveModelMixin, GenericViewSet[Any]):
    """Lists and details of a tenant's records."""


def _fingerprint(request: Request) -> str:
    body = repr(request.data).encode("utf-8", "surrogatepass")
    return hashlib.sha256(f"{request.method} {request.path}\n".encode() + body).hexdigest()


def _plain(response: Response) -> Any:
    """The answer as JSON values, as it will be sent."""
    return json.loads(JSONRenderer().render(response.data)) if response.data is not None else None
