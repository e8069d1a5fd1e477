"""Prometheus Alertmanager's webhook, version 4: a group of alerts that began or ended.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .told import Told, cut, key_of, severity_of, text_of, without_nothing

SOURCE = "alertmanager"
FIRING, RESOLVED = "firing", "resolved"
# Who it is about, as alerts are labelled: our own word first, then what exporters and operators write.
AGENT_LABELS = ("agent_id", "agent", "service", "job")


def key(alert: Mapping[str, Any]) -> str:
    """One alert from its beginning to its end: firing again, it begins at another time."""
    return key_of(alert["fingerprint"], alert["startsAt"].isoformat())


def told(group: Mapping[str, Any], alert: Mapping[str, Any]) -> Told:
    """One alert of a group, both as their serializers read them."""
    labels, notes = alert["labels"], alert.get("annotations", {})
    name = text_of(labels.get("alertname"))
    return Told(
        error_type=cut(text_of(labels.get("error_type"), name)),
        message=text_of(notes.get("summary"), notes.get("message"), notes.get("description"), name),
        agent=cut(text_of(*(labels.get(label) for label in AGENT_LABELS))),
        tool=cut(text_of(labels.get("tool"))),
        category="operational",
        severity=severity_of(labels.get("severity")),
        context=without_nothing(
            {
                "labels": labels,
                "annotations": notes,
                "generator_url": alert.get("generatorURL"),
                "fingerprint": alert["fingerprint"],
                "receiver": group.get("receiver"),
                "group_key": group.get("groupKey"),
                "external_url": group.get("externalURL"),
            }
        ),
        occurred_at=alert["startsAt"],
        source_key=key(alert),
    )
