"""PagerDuty's Events API, version 2: trigger, acknowledge, resolve.

https://developer.pagerduty.com/docs/events-api-v2-overview
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .told import Told, cut, key_of, severity_of, text_of, without_nothing

SOURCE = "pagerduty"
TRIGGER, ACKNOWLEDGE, RESOLVE = "trigger", "acknowledge", "resolve"
ACTIONS = (TRIGGER, ACKNOWLEDGE, RESOLVE)
SEVERITIES = ("critical", "error", "warning", "info")
LONGEST_DEDUP_KEY = 255
LONGEST_SUMMARY = 1_024


def key(dedup_key: str) -> str:
    """The alert that a ``dedup_key`` names."""
    return key_of(dedup_key)


def told(event: Mapping[str, Any]) -> Told:
    """A trigger, as its serializer reads it."""
    payload = event["payload"]
    details = payload.get("custom_details") or {}
    said = details.get("arguments")
    return Told(
        error_type=cut(text_of(details.get("error_type"), payload.get("class"))),
        message=payload["summary"],
        agent=cut(text_of(details.get("agent_id"), payload["source"])),
        run=cut(text_of(details.get("run_id"))),
        tool=cut(text_of(details.get("tool"), payload.get("component"))),
        arguments=said if isinstance(said, dict) else None,
        category="operational",
        severity=severity_of(payload["severity"]),
        context=without_nothing(
            {
                "source": payload["source"],
                "group": payload.get("group"),
                "class": payload.get("class"),
                "component": payload.get("component"),
                "custom_details": details,
                "client": event.get("client"),
                "client_url": event.get("client_url"),
                "links": event.get("links"),
                "images": event.get("images"),
                "dedup_key": event.get("dedup_key"),
            }
        ),
        occurred_at=payload.get("timestamp"),
    )
