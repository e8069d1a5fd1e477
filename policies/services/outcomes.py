"""How an action went, as the agent reports it: the facts that policies are judged by."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Decimal

from django.db import transaction
from django.db.models import QuerySet

from governance import ledger
from governance.actors import Actor
from governance.database.compiled import compiled
from governance.database.inserts import insert
from governance.refusals import Conflict
from incidents import services as incidents
from incidents.models import Incident
from policies.models import Decision, Outcome

from . import evidence, exploration
from .calls import GUARD_SOURCE
from .ruling import DENIED

# What frameworks and providers call their errors, by the words in the name; the first that fits. All else is a
# failed execution. Names only: messages are free text and often an attacker's.
_CATEGORIES: tuple[tuple[re.Pattern[str], Incident.Category], ...] = tuple(
    (re.compile(rf"\b(?:{words})\b"), category)
    for words, category in [
        (
            "rate ?limit(?:ed|s)?|too many requests|throttl(?:ed|ing)|429",
            Incident.Category.RATE_LIMIT,
        ),
        (
            "context (?:length|window)|token ?limit|tokens? (?:limit )?exceeded|max tokens",
            Incident.Category.TOKEN_LIMIT,
        ),
        ("budget|cost limit|insufficient quota|spending limit", Incident.Category.BUDGET_EXCEEDED),
        ("content (?:policy|filter(?:ed)?)|moderation", Incident.Category.CONTENT_POLICY),
        ("pii", Incident.Category.PII_DETECTED),
        ("safety|unsafe", Incident.Category.SAFETY_VIOLATION),
        ("hallucinat(?:ion|ed)", Incident.Category.HALLUCINATION),
        (
            "time ?d? ?out|timed out|deadline|connect(?:ion)?|network|dns|unavailable|unreachable|5\\d\\d",
            Incident.Category.OPERATIONAL,
        ),
    ]
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


class OutcomeConflict(Conflict):
    """The decision has another outcome already, or can have none."""


def report_outcome(
    decision: Decision,
    *,
    ok: bool,
    error_type: str = "",
    error_message: str = "",
    latency_ms: int | None = None,
    cost_usd: Decimal | float | None = None,
    actor: Actor,
) -> Incident | None:
    """Keep how an allowed action went: a success judges the policies that watched, a failure opens an incident.

    Returns the incident, None for a success. The same report again answers the same; another one, or one about an
    action that was denied, raises OutcomeConflict.
    """
    if decision.verdict in DENIED:
        raise OutcomeConflict(
            f"The action was denied ({decision.verdict}), so it cannot have had an outcome."
        )
    wanted = Outcome(
        decision=decision,
        agent_id=decision.agent_id,
        tool=decision.tool,
        ok=ok,
        error_type=error_type,
        error_message=error_message,
        overridden=decision.is_overridden,
        latency_ms=latency_ms,
        cost_microusd=microdollars(cost_usd),
        simulated=decision.simulated,
    )
    if ok:
        # Nothing comes before it that a second report would do twice: the constraint tells.
        return _keep(wanted, decision, actor)
    with transaction.atomic():
        known = _known(decision)
        return _same(known, wanted) if known else _keep(wanted, decision, actor)


def category_of(error_type: str) -> Incident.Category:
    """The kind of incident that an error's name speaks of: ``APITimeoutError`` is operational."""
    words = " ".join(_WORD.findall(error_type)).lower()
    return next(
        (category for pattern, category in _CATEGORIES if pattern.search(words)),
        Incident.Category.EXECUTION_FAILURE,
    )


def microdollars(cost_usd: Decimal | float | None) -> int | None:
    """Dollars as whole millionths, to the nearest."""
    if cost_usd is None:
        return None
    return int((Decimal(str(cost_usd)) * 1_000_000).to_integral_value(ROUND_HALF_EVEN))


def _keep(outcome: Outcome, decision: Decision, actor: Actor) -> Incident | None:
    outcome.incident = None if outcome.ok else _open_incident(outcome, decision, actor)
    if not insert([outcome], ignore_conflicts=True):
        # Another report was first: the constraint decides.
        return _same(_known(decision), outcome)
    ledger.append(
        f"outcome.{'ok' if outcome.ok else 'failed'}", outcome.id, actor=actor, decision=decision.id
    )
    if outcome.ok and decision.would_block and not outcome.overridden:
        evidence.judge_success(decision)
        if decision.is_explored:
            exploration.regret_success(decision, actor=actor)
    incident: Incident | None = outcome.incident
    return incident


def _open_incident(outcome: Outcome, decision: Decision, actor: Actor) -> Incident:
    return incidents.report(
        agent=decision.agent,
        run=decision.run,
        error_type=outcome.error_type,
        message=outcome.error_message,
        tool=decision.tool,
        arguments=decision.arguments,
        context=decision.context,
        category=category_of(outcome.error_type),
        severity=Incident.Severity.MEDIUM,
        source=GUARD_SOURCE,
        source_key=decision.id,  # one decision opens one incident
        simulated=decision.simulated,
        actor=actor,
    ).incident


def _known(decision: Decision) -> Outcome | None:
    return next(iter(_outcomes(decision.id)), None)


@compiled
def _outcomes(decision: str) -> QuerySet[Outcome]:
    """None or one."""
    return Outcome.objects.select_related("incident").filter(decision_id=decision).order_by()


def _same(known: Outcome | None, wanted: Outcome) -> Incident | None:
    if known is None or _said(known) != _said(wanted):
        raise OutcomeConflict("This decision has another outcome already; what was reported stays.")
    incident: Incident | None = known.incident
    return incident


def _said(outcome: Outcome) -> tuple[object, ...]:
    return (
        outcome.ok,
        outcome.error_type,
        outcome.error_message,
        outcome.latency_ms,
        outcome.cost_microusd,
    )
