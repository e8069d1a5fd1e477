"""What the doors of other protocols have in common: whose failure it is, and who may tell of one."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from governance import identity
from governance.access import carried
from governance.access.counting import count_late
from governance.access.matrix import ACT
from governance.access.negotiation import AnsweredAsAsked
from governance.access.packing import PackedJSONParser, PackedParser
from governance.access.principals import Principal
from governance.access.views import ApiView
from governance.access.wire import MOST_BYTES_OF_A_BATCH
from governance.actors import Actor
from governance.refusals import Invalid

from ..intake.told import Told, cut, without_nothing

MOST_AT_ONCE = 1_000
"""Failures in one request: as many as are opened within its five seconds."""


class IntakeView(ApiView):
    """One protocol's door: its client comes unchanged, and what it tells becomes a report like any other."""

    access = {"post": ACT}
    content_negotiation_class = AnsweredAsAsked
    parser_classes = [PackedJSONParser]

    def perform_authentication(self, request: Request) -> None:
        super().perform_authentication(request)
        # Who is counted by a token in the body could not be counted before it was read.
        django: Any = request._request  # noqa: SLF001 - the one that was noted
        caller: Any = request.user
        if carried.in_body(django) and isinstance(caller, Principal):
            count_late(django, caller.tenant_id)

    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        if response.status_code >= 400:
            said = self.refusal(response.data)
            if said is not response.data:
                response.data, response.content_type = said, None
        return response

    def refusal(self, problem: dict[str, Any]) -> Any:
        """A problem as the protocol tells of it; the problem itself where it does not say how."""
        return problem


class ListOf(serializers.ListField):
    """A list whose length is looked at before any of its parts."""

    def to_internal_value(self, data: Any) -> list[Any]:
        if isinstance(data, list) and self.max_length and len(data) > self.max_length:
            raise ValidationError(f"Ensure this field has no more than {self.max_length} elements.")
        found: list[Any] = super().to_internal_value(data)
        return found


class BatchParser(PackedParser):
    """The bytes of a body that carries more than failures."""

    most = MOST_BYTES_OF_A_BATCH


def body_of(request: Request) -> bytes:
    """The body that ``BatchParser`` has read; Django REST framework reads none where none is sent."""
    body: Any = request.data
    return body if isinstance(body, bytes) else b""


def arguments(told: Told, actor: Actor) -> dict[str, Any]:
    """What ``services.report`` takes. Who names no agent speaks of the one whose token it is."""
    agent = told.agent or cut(actor.name)
    run = identity.known_run(agent, told.run) if told.run else None
    said = {
        "category": told.category,
        "severity": told.severity,
        "source_key": told.source_key,
        "arguments": told.arguments,
        "occurred_at": told.occurred_at,
    }
    return {
        "agent": agent,
        "error_type": told.error_type,
        "message": told.message,
        "tool": told.tool,
        "context": without_nothing({**told.context, "run_id": told.run}),
        "run": run,
        **{name: value for name, value in said.items() if value is not None and value != ""},
    }


def unfit(field: str, says: str) -> Invalid:
    """The refusal of a payload, by the part at fault."""
    return Invalid(
        f"{field}: {says}" if field else says, errors=[{"field": field, "message": says}]
    )


def under(place: str, error: ValidationError) -> ValidationError:
    """The same complaints, about something that stands at this place of the body."""
    return ValidationError({place: error.detail})


def in_words(problem: dict[str, Any]) -> list[str]:
    """The complaints of a problem, each with its field; its detail where it has none."""
    errors = problem.get("errors") or [{"field": "", "message": problem["detail"]}]
    return [": ".join(filter(None, [each["field"], each["message"]])) for each in errors]
