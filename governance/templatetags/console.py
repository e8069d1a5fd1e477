"""What the console's templates need beyond Django's own: times, words, links. Everything is escaped."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from .. import redaction
from ..models import Stage
from ..screens import links

register = template.Library()

NONE = "\u2013"
ID = re.compile("[a-z]{3,4}_[0-9a-z]{26}")
WIDE_TEXT = 30
MOST_INLINE = 12

STAGE_WORDS = {
    Stage.INCIDENT_CREATED: "Incident",
    Stage.PATTERN_MATCHED: "Pattern",
    Stage.RECOVERY_SUGGESTED: "Recovery",
    Stage.POLICY_GENERATED: "Policy",
    Stage.ROUTING_ADJUSTED: "Routing",
    Stage.LOOP_COMPLETE: "Complete",
}


@register.simple_tag
def when(moment: datetime | None) -> SafeString | str:
    """A time whose words the page keeps relative ("3 min ago"); the exact one is behind it."""
    if moment is None:
        return NONE
    moment = moment.astimezone(timezone.get_current_timezone())
    return format_html(
        '<time datetime="{}" title="{}" data-relative>{}</time>',
        moment.isoformat(),
        f"{moment:%d %b %Y, %H:%M:%S %Z}",
        f"{moment:%d %b %H:%M}",
    )


@register.filter
def words(name: Any) -> str:
    """A name of ours as words: ``policy_shadow_mode`` is "policy shadow mode"."""
    return str(name or "").replace("_", " ")


@register.filter
def stage_word(stage: str) -> str:
    """What people call a stage."""
    return STAGE_WORDS.get(stage, words(stage))  # type: ignore[call-overload, no-any-return]


@register.filter
def admin_url(record_id: str | None) -> str:
    """The admin's page of a record, empty where there is none."""
    return links.admin_url(record_id) or "" if record_id else ""


@register.filter
def page_url(record_id: str | None) -> str:
    """The console's page of a record, else the admin's; empty where there is none."""
    return links.page_url(record_id) or "" if record_id else ""


@register.filter
def in_order(shown: Any) -> list[tuple[str, Any]]:
    """The facts of a question: what reads in a line first, ids after it, then what needs a box of its own.

    The database keeps no order of its own.
    """
    shown = redaction.masked(shown)
    facts = shown.items() if isinstance(shown, dict) else [("shown", shown)]
    return sorted(
        facts, key=lambda fact: (is_long(fact[1]), is_id(fact[1]), not is_wide(fact[1]), fact[0])
    )


def is_id(value: Any) -> bool:
    """Whether a value is one of our ids, which say little to a person."""
    return isinstance(value, str) and ID.fullmatch(value) is not None


@register.filter
def is_wide(value: Any) -> bool:
    """Whether a value reads better over two columns."""
    return isinstance(value, str) and len(value) > WIDE_TEXT and not is_id(value)


@register.filter
def is_flat(value: Any) -> bool:
    """Whether a structure is a few names with plain values, which read better in a line than as JSON."""
    return (
        isinstance(value, dict)
        and 0 < len(value) <= MOST_INLINE
        and not any(is_long(each) and not is_numbers(each) for each in value.values())
    )


@register.filter
def is_texts(value: Any) -> bool:
    """Whether it is a list of texts, which people read line by line."""
    return isinstance(value, list) and bool(value) and all(isinstance(each, str) for each in value)


def is_numbers(value: Any) -> bool:
    """Whether it is a list of numbers, which read in a line."""
    return isinstance(value, list) and all(isinstance(each, int | float) for each in value)


@register.filter
def is_long(value: Any) -> bool:
    """Whether a value reads better in a box of its own."""
    return isinstance(value, dict | list) or (
        isinstance(value, str) and (len(value) > 120 or "\n" in value)
    )


@register.filter
def pretty(value: Any) -> str:
    """A JSON value for people: structures indented, numbers and texts as they are, yes and no."""
    match value:
        case list() if value and is_numbers(value):
            return ", ".join(map(pretty, value))
        case dict() | list() if value:
            return json.dumps(value, indent=2, ensure_ascii=False)
        case bool():
            return "yes" if value else "no"
        case None | "" | [] | {}:
            return NONE
        case float():
            return f"{value:.4g}"
        case _:
            return str(value)


@register.filter
def masked(value: Any) -> str:
    """Text that an agent sent, without the secrets in it."""
    return redaction.text(str(value))


@register.filter
def percent(value: float | None) -> str:
    """A share (0 to 1) in per cent; a dash where there is none."""
    return NONE if value is None else f"{value:.0%}"


@register.filter
def share_of(value: float | None, width: int) -> str:
    """How many of ``width`` units a share (0 to 1) takes; for bars drawn in SVG."""
    return f"{max(0.0, min(1.0, value or 0.0)) * width:.1f}"
