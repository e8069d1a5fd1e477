"""Talk to servers that are not ours, outside every transaction, with short ones before and after."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from catalog.models import PatternMatch
from governance.database.tenancy import tenant_scope
from governance.loop.bridges import TryLater

from .. import llm, outside, webhooks
from ..addresses import AddressRefused
from ..models import Recovery
from . import calls

SUGGESTION = "suggestion"
WEBHOOK = "webhook"
# Tries of a webhook that does not say how many it wants.
USUAL_ATTEMPTS = 5


def suggestion_key(match_id: str) -> str:
    """The key of the call that asks the model about a match."""
    return f"suggest:{match_id}"


def ask_model(tenant_id: str, match_id: str) -> dict[str, Any]:
    """What the model suggests for a match, or `{unusable: why}`: a model that fails never holds up a loop."""
    key = suggestion_key(match_id)
    with tenant_scope(tenant_id):
        if kept := calls.begin(key).answer:
            return dict(kept)
        match = PatternMatch.objects.select_related("incident", "pattern").get(pk=match_id)
        incident = match.incident
        question = llm.Question.of(
            incident.error_type,
            incident.tool,
            match.pattern.template,
            incident.category,
            incident.arguments,
        )
    try:
        answer = llm.suggest(question, key=key, seconds=settings.LLM_TIMEOUT_SECONDS)
    except llm.Unusable as error:
        answer = {"unusable": str(error)}
    with tenant_scope(tenant_id):
        return calls.answered(key, answer)


def call_webhook(tenant_id: str, recovery_id: str) -> dict[str, Any]:
    """Call a recovery's webhook: `{status, answer}`, or `{failed: why}` when it is no use to go on trying.

    Raises TryLater while the receiver is away.
    """
    with tenant_scope(tenant_id):
        call = calls.begin(recovery_id)
        if call.answer:
            return dict(call.answer)
        recovery = Recovery.objects.select_related("match__incident", "pattern", "agent").get(
            pk=recovery_id
        )
        about = calls.said_first(call, _about(recovery))
    params = recovery.params
    try:
        answer = webhooks.send(
            params["url"],
            key=recovery.id,
            type=params.get("event", "recovery.apply"),
            about=about,
            happened_at=recovery.created_at,
            tenant_id=tenant_id,
            seconds=seconds_of(recovery),
        )
    except outside.Unreachable as error:
        with tenant_scope(tenant_id):
            calls.failed(recovery_id, str(error))
        if call.attempts < params.get("max_attempts", USUAL_ATTEMPTS):
            raise TryLater(f"the receiver is away: {error}", call.attempts) from error
        answer = {"failed": f"gave up after {call.attempts} tries: {error}"}
    except (webhooks.Refused, outside.Garbled) as error:
        answer = {"failed": str(error)}
    except AddressRefused as error:
        answer = {"failed": f"the address {error}"}
    with tenant_scope(tenant_id):
        return calls.answered(recovery_id, answer)


def seconds_of(recovery: Recovery) -> float:
    """How long a recovery's webhook may take."""
    return float(recovery.params.get("timeout_ms", webhooks.USUAL_SECONDS * 1_000)) / 1_000


def _about(recovery: Recovery) -> dict[str, Any]:
    """What a receiver needs to act; arguments and messages of agents stay here."""
    incident = recovery.match.incident
    return {
        "recovery_id": recovery.id,
        "title": recovery.title,
        "incident_id": incident.id,
        "error_type": incident.error_type,
        "tool": incident.tool,
        "severity": incident.severity,
        "agent_id": recovery.agent.name,
        "pattern_id": recovery.pattern_id,
        "pattern": recovery.pattern.name,
    }
