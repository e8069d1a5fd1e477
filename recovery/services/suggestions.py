"""Suggest what to do about matched incidents: what a person wrote, else what a model says, else the heuristic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models.functions import Now

from catalog.models import PatternMatch
from governance.actors import LOOP
from governance.database.inserts import insert
from governance.gestures import caused_by

from .. import llm
from ..actions import DIRECTIVES, ActionKind
from ..heuristics import heuristic
from ..models import Directive, Recovery
from ..remedies import Suggestion
from ..rules import may_auto_apply, may_join, recovery_confidence
from .directives import enforce, place_of
from .grounds import Grounds, Results, gather


@dataclass(frozen=True, slots=True)
class Suggested:
    """What came of a batch, by match id: recoveries that were written, and matches whose model must be asked first."""

    recoveries: dict[str, Recovery] = field(default_factory=dict)
    ask_model: set[str] = field(default_factory=set)


def suggest_recoveries(
    matches: Sequence[PatternMatch], said: Mapping[str, Any], gestures: Mapping[str, str]
) -> Suggested:
    """Write one recovery for each of these matches, which have none; with their incidents and patterns.

    `said` is what the model answered, `gestures` what caused the failures to be told, by match id. A recovery is applied at once where the same directive is in
    force already, or where its pattern allows that and we are sure; the others are suggested, and say nothing
    about whether a person will be asked. Webhooks to be called without asking are left approved.
    """
    if not matches:
        return Suggested()
    grounds, suggested = gather(matches), Suggested()
    for match in matches:
        with caused_by(gestures.get(match.id, "")):
            recovery = _recovery(match, grounds, said.get(match.id))
        if recovery is None:
            suggested.ask_model.add(match.id)
        else:
            suggested.recoveries[match.id] = recovery
    insert(suggested.recoveries.values())
    return suggested


def _recovery(match: PatternMatch, grounds: Grounds, said: Any) -> Recovery | None:
    """An unwritten recovery; None where the model must be asked first."""
    template = grounds.templates.get(match.pattern_id)
    tool = match.incident.tool
    if template is not None:
        because = f"Written for {match.pattern.name}."
        suggestion = Suggestion(ActionKind(template.kind), template.params, template.name, because)
        source, joins = Recovery.Source.TEMPLATE, _exactly(match, grounds, suggestion)
    else:
        suggestion, source, joins = _first_thing_to_try(match, grounds, said)
        if grounds.asks_model and said is None and joins is None:
            return None
    results = grounds.results.get(template.id, Results()) if template else Results()
    recovery = Recovery(
        match=match,
        pattern=match.pattern,
        agent_id=match.incident.agent_id,
        template=template,
        source=source,
        kind=suggestion.kind,
        params=suggestion.params,
        title=suggestion.title[:300],
        rationale=suggestion.rationale,
        confidence=recovery_confidence(
            template_declared=template.declared_confidence if template else None,
            successes=results.successes,
            results=results.known,
            band=match.band,
            occurrences=grounds.occurrences.get(match.pattern_id, 1),
            approved_by_person=joins is not None and joins.approved_by.startswith("user:"),
        ),
    )
    if joins is not None:
        _join(recovery, joins)
    elif may_auto_apply(
        recovery.confidence, match.band, pattern_allows=match.pattern.auto_apply_recovery
    ):
        _apply_by_itself(recovery, tool, grounds)
    return recovery


def _exactly(match: PatternMatch, grounds: Grounds, suggestion: Suggestion) -> Directive | None:
    """The directive in force that this match may join, if it is what is suggested."""
    if not may_join(match.band, is_new=match.is_new):
        return None
    return grounds.directive(
        match.pattern_id, match.incident.tool, suggestion.kind, suggestion.params
    )


def _first_thing_to_try(
    match: PatternMatch, grounds: Grounds, said: Any
) -> tuple[Suggestion, Recovery.Source, Directive | None]:
    """Without a template: what is in force for this failure, else what the model said, else the heuristic.

    A cap follows the size of the call and a model its mood: what somebody approved for this failure stays good
    for the next one though another size or other words would be suggested today.
    """
    incident = match.incident
    first = heuristic(
        incident.error_type,
        incident.tool,
        match.pattern.template,
        incident.category,
        incident.arguments,
    )
    if may_join(match.band, is_new=match.is_new):
        place = place_of(incident.tool, first.kind, first.params)
        kind = None if grounds.asks_model else str(first.kind)
        same = grounds.directive(match.pattern_id, incident.tool, first.kind, first.params)
        if same is not None:
            return first, Recovery.Source.HEURISTIC, same
        joins = grounds.directive_of_kind(match.pattern_id, place, kind)
        if joins is not None:
            source = Recovery.Source.LLM if grounds.asks_model else Recovery.Source.HEURISTIC
            because = "Approved for an earlier failure of this kind."
            return (
                Suggestion(ActionKind(joins.kind), joins.params, joins.title, because),
                source,
                joins,
            )
    if said is None:
        return first, Recovery.Source.HEURISTIC, None
    if "kind" in said:
        return llm.suggestion_of(said, incident.tool), Recovery.Source.LLM, None
    because = f"{first.rationale} (The language model was asked first and could not be used: {said['unusable']}.)"
    return (
        Suggestion(first.kind, first.params, first.title, because),
        Recovery.Source.HEURISTIC,
        None,
    )


def _join(recovery: Recovery, directive: Directive) -> None:
    recovery.result = {
        "joined": True,
        "directive": directive.id,
        "approved_by": directive.approved_by,
    }
    _mark_applied(recovery, directive)


def _apply_by_itself(recovery: Recovery, tool: str, grounds: Grounds) -> None:
    recovery.result = {
        "approved_by": str(LOOP),
        "reason": "The pattern allows it, and we are sure.",
    }
    if recovery.kind not in DIRECTIVES:
        recovery.state, recovery.automatic = Recovery.State.APPROVED, True
        return
    directive, is_new = enforce(recovery, tool=tool, approved_by=LOOP)
    recovery.result |= {"directive": directive.id, "joined": not is_new}
    _mark_applied(recovery, directive)
    grounds.remember(directive)


def _mark_applied(recovery: Recovery, directive: Directive) -> None:
    recovery.directive, recovery.automatic = directive, True
    recovery.state = Recovery.State.APPLIED
    recovery.applied_at = Now()
