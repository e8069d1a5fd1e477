"""What the body of a request says, and that of an answer."""

from __future__ import annotations

from copy import copy
from functools import cache
from typing import Any

from rest_framework.request import Request
from rest_framework.serializers import Serializer


def validated(wanted: type[Serializer[Any]], request: Request) -> dict[str, Any]:
    """The body as this serializer reads it. Raises ValidationError, which names the fields.

    For serializers that need nothing but the body: they find no request in their context.
    """
    # A shallow copy: the fields keep nothing of what they read, so that threads may share them.
    asked = copy(_made(wanted))
    asked.initial_data = request.data
    asked.is_valid(raise_exception=True)
    said: dict[str, Any] = asked.validated_data
    return said


def rendered(wanted: type[Serializer[Any]], value: Any) -> dict[str, Any]:
    """The body of an answer as this serializer writes it. For serializers that need nothing but the value."""
    told = copy(_made(wanted))
    told.instance = value
    said: dict[str, Any] = told.data
    return said


@cache
def _made(wanted: type[Serializer[Any]]) -> Serializer[Any]:
    """One serializer of each kind: Django REST framework copies all of its fields deeply for every other one."""
    made = wanted()
    made.fields  # noqa: B018 - made now, so that the copies have them
    return made
