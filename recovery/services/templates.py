"""Recoveries that people write for a pattern."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction

from catalog.models import Pattern
from governance import ledger
from governance.actors import Actor
from governance.refusals import Conflict, Invalid

from ..actions import ActionKind, InvalidAction, validate_action
from ..addresses import AddressRefused, check_url
from ..models import RecoveryTemplate
from ..rules import MAX_DECLARED


class HasTemplate(Conflict):
    """The pattern has an enabled template, and two would contradict each other."""


class IsDisabled(Conflict):
    """The template is disabled already."""


def make_template(
    pattern: Pattern,
    *,
    name: str,
    kind: str,
    params: Mapping[str, Any],
    declared_confidence: float,
    actor: Actor,
) -> RecoveryTemplate:
    """Write the recovery that every later incident of the pattern is answered with.

    `declared_confidence` is 0..0.95 and counts until the template has results of its own. Raises Invalid
    naming the field, and HasTemplate while another one is enabled.
    """
    _check(kind, params, declared_confidence)
    try:
        with transaction.atomic():
            template = RecoveryTemplate.objects.create(
                pattern=pattern,
                name=name,
                kind=kind,
                params=dict(params),
                declared_confidence=declared_confidence,
            )
    except IntegrityError as error:
        raise HasTemplate(
            "This pattern has an enabled template: disable that one first."
        ) from error
    ledger.append(
        "recoverytemplate.made", template.id, actor=actor, pattern=pattern.id, action=kind
    )
    return template


def disable_template(template: RecoveryTemplate, *, actor: Actor, reason: str) -> None:
    """Stop suggesting it. What was applied from it stays until it is rolled back. Raises IsDisabled."""
    if not RecoveryTemplate.objects.filter(pk=template.pk, enabled=True).update(enabled=False):
        raise IsDisabled("This template is disabled already.")
    template.enabled = False
    ledger.append("recoverytemplate.disabled", template.id, actor=actor, reason=reason)


def _check(kind: str, params: Mapping[str, Any], declared_confidence: float) -> None:
    try:
        validate_action(kind, params)
        if kind == ActionKind.WEBHOOK:
            check_url(params["url"])
    except InvalidAction as error:
        field = error.field if error.field in {"kind", "params"} else f"params.{error.field}"
        raise Invalid(f"{field}: {error.limit}", field=field) from error
    except AddressRefused as error:
        raise Invalid(f"params.url: {error}", field="params.url") from error
    if not 0 <= declared_confidence <= MAX_DECLARED:
        raise Invalid(
            f"declared_confidence must be from 0 to {MAX_DECLARED}.", field="declared_confidence"
        )
