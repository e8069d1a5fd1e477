"""From a matched incident to a recovery: suggested, and applied or waiting for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.conf import settings

from catalog.models import PatternMatch
from governance import tenants
from governance.actors import LOOP
from governance.gestures import caused_by
from governance.loop.bridges import Ask, GoOn, Outcome, Stop, Told, Wait, Work
from governance.models import FailureState

from .actions import DIRECTIVES
from .models import Recovery
from .rules import needs_confirmation
from .services import asking, calls, moves, questions, suggest_recoveries, undo

__all__ = ["ask", "land", "undo"]

State = Recovery.State
# Over the deadline of the call itself: to look at the answer and write it down.
SPARE_SECONDS = 2.0


def land(works: Sequence[Work]) -> Mapping[str, Outcome]:
    """Suggest a recovery for each incident that has none, and say how far each of them is."""
    known = _known(works)
    fresh = {_match(work): work for work in works if _match(work) not in known}
    suggested = suggest_recoveries(
        _matches(fresh),
        {match: work.answer for match, work in fresh.items()},
        {match: work.gesture for match, work in fresh.items()},
    )
    calls.intend(asking.SUGGESTION, map(asking.suggestion_key, suggested.ask_model))
    outcomes: dict[str, Outcome] = {}
    undecided: dict[str, Recovery] = {}
    for work in works:
        if _match(work) in suggested.ask_model:
            outcomes[work.step_id] = _ask_model(work)
            continue
        recovery = suggested.recoveries.get(_match(work))
        with caused_by(work.gesture):
            outcome = _first(recovery) if recovery else _again(work, known[_match(work)])
        if outcome is None:
            undecided[work.step_id] = recovery or known[_match(work)]
        else:
            outcomes[work.step_id] = outcome
    outcomes |= _ask_people(works, undecided)
    for work in fresh.values():
        if work.answer and "unusable" in work.answer:
            outcomes[work.step_id] = _after_the_model_failed(
                outcomes[work.step_id], work.answer["unusable"]
            )
    return outcomes


def ask(work: Work, request: dict[str, Any]) -> Any:
    """Ask the model for a suggestion, or call the webhook of an approved recovery."""
    if request["purpose"] == asking.SUGGESTION:
        return asking.ask_model(work.tenant_id, request["match"])
    return asking.call_webhook(work.tenant_id, request["recovery"])


def _first(recovery: Recovery) -> Outcome | None:
    """What comes of a recovery that was just suggested; None where a person must be asked."""
    match recovery.state:
        case State.APPLIED:
            return _applied(recovery, is_new=True)
        case State.APPROVED:
            return _call(recovery)
    return None


def _again(work: Work, recovery: Recovery) -> Outcome | None:
    """What comes of a recovery that is already there: decided, called, or still waiting."""
    match recovery.state:
        case State.APPLIED:
            return _applied(recovery, is_new=False)
        case State.APPROVED:
            return _carry_on(work, recovery)
        case State.FAILED:
            moves.try_again(recovery)
            return _call(recovery)
        case State.SUGGESTED:
            return _still_asked(work, recovery)
    if moves.is_closed(recovery):
        moves.suggest_again(recovery)
        return None
    return _rejected(recovery)


def _still_asked(work: Work, recovery: Recovery) -> Outcome | None:
    question = questions.pending(recovery.id)
    if question is not None:
        return _wait(recovery, question.id)
    # Decided after we read it, unless its question was made void: then a person must be asked anew.
    recovery.refresh_from_db(fields=["state", "result", "confidence"])
    return None if recovery.state == State.SUGGESTED else _again(work, recovery)


def _carry_on(work: Work, recovery: Recovery) -> Outcome:
    """Apply what was approved."""
    if recovery.kind in DIRECTIVES:
        moves.carry_out(recovery)
        return _applied(recovery, is_new=True)
    if work.answer is None:
        return _call(recovery)
    moves.called(recovery, work.answer)
    if recovery.state == State.FAILED:
        return Stop(
            FailureState.RECOVERY_REJECTED,
            f"The webhook failed: {work.answer['failed']}",
            recovery.id,
            _facts(recovery),
        )
    return _applied(recovery, is_new=True)


def _ask_people(works: Sequence[Work], undecided: Mapping[str, Recovery]) -> dict[str, Outcome]:
    """Ask about each, in a question of its own; where the tenant does not wait for people, go on at once."""
    if not undecided:
        return {}
    about = {work.trace_id: undecided[work.step_id] for work in works if work.step_id in undecided}
    gestures = {work.trace_id: work.gesture for work in works}
    settings = tenants.settings()
    is_asked, waits = settings.asks(questions.TYPE), settings.waits_for(questions.TYPE)
    asked = questions.ask_people(about, gestures, settings) if is_asked else {}
    outcomes: dict[str, Outcome] = {}
    for work in works:
        recovery = undecided.get(work.step_id)
        if recovery is None:
            continue
        if waits:
            outcomes[work.step_id] = _wait(recovery, asked[work.trace_id].id)
        else:
            with caused_by(work.gesture):
                moves.approve(
                    recovery, actor=LOOP, reason="The tenant's loops do not wait for this approval."
                )
                outcomes[work.step_id] = _carry_on(work, recovery)
    return outcomes


def _wait(recovery: Recovery, checkpoint_id: str) -> Wait:
    unsure = needs_confirmation(recovery.confidence, recovery.match.band)
    return Wait(
        FailureState.RECOVERY_NEEDS_CONFIRMATION
        if unsure
        else FailureState.HUMAN_CHECKPOINT_PENDING,
        checkpoint_id,
        f"Waits for a person: {recovery.title}",
        recovery.id,
        _facts(recovery),
    )


def _rejected(recovery: Recovery) -> Stop:
    moves.close(recovery)
    why = recovery.result.get("reason", "")
    if moves.is_expired(recovery):
        state, headline = (
            FailureState.HUMAN_CHECKPOINT_REJECTED,
            f"Nobody decided in time: {recovery.title}",
        )
    else:
        state, headline = FailureState.RECOVERY_REJECTED, f"Rejected: {recovery.title} ({why})"
    return Stop(state, headline, recovery.id, _facts(recovery))


def _applied(recovery: Recovery, *, is_new: bool) -> GoOn:
    """The loop goes on; the story hears of an application once, from whoever applied it."""
    joined = bool(recovery.result.get("joined"))
    headline = f"In force already: {recovery.title}" if joined else f"Applied: {recovery.title}"
    details = {
        "automatic": recovery.automatic,
        "joined": joined,
        "kind": str(recovery.kind),
        "source": str(recovery.source),
        "confidence": recovery.confidence,
    }
    told = [Told("recovery_applied", headline, recovery.id, details)] if is_new else []
    return GoOn(f"Recovery: {recovery.title}", recovery.id, _facts(recovery), events=told)


def _ask_model(work: Work) -> Ask:
    return Ask(
        {"purpose": asking.SUGGESTION, "match": _match(work)},
        settings.LLM_TIMEOUT_SECONDS + SPARE_SECONDS,
        "Asks the language model for a suggestion",
    )


def _call(recovery: Recovery) -> Ask:
    calls.intend(asking.WEBHOOK, [recovery.id])
    return Ask(
        {"purpose": asking.WEBHOOK, "recovery": recovery.id},
        asking.seconds_of(recovery) + SPARE_SECONDS,
        f"Calls the webhook: {recovery.title}",
        _facts(recovery),
    )


def _after_the_model_failed(outcome: Outcome, why: str) -> Outcome:
    told = Told(
        "model_unusable",
        f"The language model could not be used ({why}): the usual remedy is suggested",
    )
    return replace(outcome, events=[told, *outcome.events])


def _known(works: Sequence[Work]) -> dict[str, Recovery]:
    # A match that was just made has none.
    matches = [_match(work) for work in works if work.at_hand(PatternMatch) is None]
    if not matches:
        return {}
    found = Recovery.objects.filter(match__in=matches)
    return {each.match_id: each for each in found.select_related("match__incident", "pattern")}


def _matches(fresh: Mapping[str, Work]) -> list[PatternMatch]:
    """These matches with incident and pattern, as they came from the bridge before or from the database."""
    at_hand = {name: work.at_hand(PatternMatch) for name, work in fresh.items()}
    found = [match for match in at_hand.values() if match is not None]
    if len(found) < len(fresh):
        away = PatternMatch.objects.filter(id__in=[n for n, match in at_hand.items() if not match])
        found += away.select_related("incident", "pattern").defer("incident__context")
    return found


def _match(work: Work) -> str:
    return str(work.facts["match_id"])


def _facts(recovery: Recovery) -> dict[str, Any]:
    return {"recovery_id": recovery.id, "recovery_state": str(recovery.state)}
