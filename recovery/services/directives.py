"""Directives: put in force, joined by later recoveries, withdrawn when nobody holds them any more."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now

from governance import ledger
from governance.actors import Actor
from governance.database.compiled import Question, compiled
from governance.database.scoped import IN_SCOPE

from ..actions import ActionKind
from ..models import Directive, Recovery

MOST_AT_ONCE = 50  # directives handed out with one verdict, the newest
TRIES = 3

# FOR SHARE: several joiners at once, but none together with a withdrawal, which would leave an applied recovery
# without its directive.
_IN_FORCE = """
    SELECT * FROM recovery_directive
     WHERE pattern_id = ANY(%s) AND tenant_id = %s AND active AND (expires_at IS NULL OR expires_at > now())
     ORDER BY id FOR SHARE
"""


def in_force(pattern_ids: Collection[str]) -> list[Directive]:
    """The directives in force for these patterns, held until the transaction ends; oldest first."""
    return list(Directive.objects.raw(_IN_FORCE, [list(pattern_ids), IN_SCOPE]))


def digest_of(tool: str, kind: str, params: dict[str, Any]) -> str:
    """What makes two directives of a pattern the same."""
    return ledger.digest({"tool": tool, "kind": str(kind), "params": params})


def place_of(tool: str, kind: str, params: dict[str, Any]) -> str:
    """The tool that a directive is about: the one it names itself, else the one that failed."""
    if kind in {ActionKind.TOOL_DISABLED, ActionKind.FALLBACK}:
        return str(params.get("tool", tool))
    return tool


def enforce(recovery: Recovery, *, tool: str, approved_by: Actor | str) -> tuple[Directive, bool]:
    """Put a recovery's action in force; also says whether it is new. `tool` is the one that failed.

    The same action of the same pattern is in force once: who comes second holds it too. An expired one begins anew.
    """
    place = place_of(tool, recovery.kind, recovery.params)
    wanted = Directive(
        pattern_id=recovery.pattern_id,
        tool=place,
        kind=recovery.kind,
        params=recovery.params,
        params_digest=digest_of(place, recovery.kind, recovery.params),
        title=recovery.title,
        expires_at=_expiry(recovery),
        approved_by=str(approved_by),
    )
    for _ in range(TRIES):
        Directive.objects.bulk_create([wanted], ignore_conflicts=True)
        kept = (
            Directive.objects.select_for_update(of=("self",), no_key=True)
            .filter(
                pattern_id=wanted.pattern_id,
                kind=wanted.kind,
                params_digest=wanted.params_digest,
                active=True,
            )
            .first()
        )
        if kept is not None:
            break
    else:
        raise RuntimeError(
            f"The directive of {recovery.pk} was withdrawn each time it was put in force."
        )
    if kept.pk == wanted.pk:
        ledger.append(
            "directive.enforced", kept.pk, actor=_actor(approved_by), tool=place, action=wanted.kind
        )
        return kept, True
    Directive.objects.filter(pk=kept.pk, expires_at__lte=Now()).update(expires_at=wanted.expires_at)
    return kept, False


def withdraw_unheld(directive_id: str, *, actor: Actor, reason: str) -> bool:
    """Withdraw a directive that no applied recovery holds any more; whether it was withdrawn."""
    # Waits for whoever is joining it, so that the look below sees them.
    Directive.objects.select_for_update(of=("self",), no_key=True).get(pk=directive_id)
    if Recovery.objects.filter(directive_id=directive_id, state=Recovery.State.APPLIED).exists():
        return False
    withdrawn = Directive.objects.filter(pk=directive_id, active=True).update(active=False)
    if withdrawn:
        ledger.append("directive.withdrawn", directive_id, actor=actor, reason=reason)
    return bool(withdrawn)


def directives_for(tool: str) -> list[dict[str, Any]]:
    """What an agent should know before it uses a tool: `{id, kind, params, title}`, the newest first.

    Directives hold for every agent of the tenant.
    """
    return asking_for(tool).answer()


def asking_for(tool: str) -> Question[list[dict[str, Any]]]:
    """The same, for who asks more than this on one trip."""
    return _told.ready(tool)


@compiled
def _told(tool: str) -> QuerySet[Directive, Any]:
    return (
        Directive.objects.filter(Q(tool="") | Q(tool=tool), active=True)
        .filter(Q(expires_at=None) | Q(expires_at__gt=Now()))
        .order_by("-id")
        .values("id", "kind", "params", "title")[:MOST_AT_ONCE]
    )


def _expiry(recovery: Recovery) -> CombinedExpression | None:
    if recovery.kind != ActionKind.TOOL_DISABLED:
        return None
    return Now() + timedelta(minutes=recovery.params["minutes"])


def _actor(approved_by: Actor | str) -> Actor:
    if isinstance(approved_by, Actor):
        return approved_by
    kind, _, identity = approved_by.partition(":")
    return Actor(kind, identity)  # type: ignore[arg-type]
