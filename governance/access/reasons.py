"""Why: what nearly every verb of a person asks for."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

LONGEST_REASON = 2_000


class ReasonSerializer(serializers.Serializer[Any]):
    """Why."""

    reason = serializers.CharField(max_length=LONGEST_REASON)


class PerhapsReasonSerializer(serializers.Serializer[Any]):
    """Why, if there is something to say."""

    reason = serializers.CharField(
        max_length=LONGEST_REASON, required=False, allow_blank=True, default=""
    )
