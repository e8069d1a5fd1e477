"""What agents sent, as callers of the API may see it."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from ..redaction import masked, text


class MaskedField(serializers.JSONField):
    """A JSON value without secrets, by the names of its keys and by their looks."""

    def to_representation(self, value: Any) -> Any:
        return masked(value)


class MaskedTextField(serializers.CharField):
    """A text without what looks like a secret."""

    def to_representation(self, value: Any) -> str:
        return text(str(value))
