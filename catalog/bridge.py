"""From incident_created to pattern_matched: say which kind of failure it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db.models import QuerySet

from governance.actors import Actor
from governance.database.compiled import compiled
from governance.loop.bridges import GoOn, Outcome, Stop, Work
from governance.models import FailureState
from incidents.models import Incident

from .models import PatternMatch
from .services import recognise, silenced_of
from .services.recognition import SEEN_MOST

# An event's headline has 300 characters, and what follows the name must not be cut off.
SHOWN_OF_NAME = 220


def land(works: Sequence[Work]) -> Mapping[str, Outcome]:
    """Match the incidents of one tenant's loops; landing again finds the match that is there."""
    named = [work.incident_id for work in works]
    incidents = {incident.id: incident for incident in _incidents(named)}
    made, found = recognise(incidents[work.incident_id] for work in works)
    # Most batches have none that was ever silenced; then the database's clock is not asked.
    perhaps = {
        each.pattern_id for each in (*found.values(), *made.values()) if each.pattern.silenced_as
    }
    silenced = silenced_of(perhaps) if perhaps else {}
    return {
        work.step_id: _outcome(found.get(work.incident_id), made.get(work.incident_id), silenced)
        for work in works
    }


def undo(incident_id: str, trace_id: str, actor: Actor, reason: str) -> None:
    """Nothing is withdrawn: a match only says that the failure happened, and reverting does not unmake that.

    The pattern stays as well, for other incidents may be of its kind and their policies rest on it.
    """


@compiled
def _incidents(ids: Sequence[str]) -> QuerySet[Incident]:
    """Whole, with agent and run: the bridges that follow look at them again."""
    return Incident.objects.filter(id__any=ids).select_related("agent", "run")


def _outcome(
    found: PatternMatch | None, made: PatternMatch | None, silenced: Mapping[str, str]
) -> Outcome:
    """What comes of one match; one that was made just now is handed on, for nothing rests on it yet."""
    match = made or found
    if match is None:
        return Stop(
            FailureState.MATCH_FAILED,
            "Nothing to recognise it by: it came without an error type and a message.",
        )
    facts = {
        "match_id": match.id,
        "pattern_id": match.pattern_id,
        "band": str(match.band),
        "confidence": match.confidence,
        "is_new": match.is_new,
    }
    if how := silenced.get(match.pattern_id):
        said = f"A person said that this is {how}: nothing comes of it. {_headline(match)}"
        return Stop(FailureState.MATCH_SILENCED, said, subject=match.id, facts=facts)
    return GoOn(
        _headline(match),
        subject=match.id,
        facts=facts,
        failure_state=FailureState.MATCH_LOW_CONFIDENCE
        if match.band == PatternMatch.Band.WEAK
        else "",
        hands_on=[made] if made else [],
    )


def _headline(match: PatternMatch) -> str:
    """Recognised: OperationalError in sql_query: no such column <str> (100 %, seen 4 times)."""
    name = match.pattern.name
    if len(name) > SHOWN_OF_NAME:
        name = f"{name[:SHOWN_OF_NAME].rstrip()}…"
    if match.is_new:
        return f"A new kind of failure: {name}"
    occurrence = match.why["occurrence"]
    seen = f"seen {occurrence} times" + (" or more" if occurrence >= SEEN_MOST else "")
    opening = "Looks like" if match.band == PatternMatch.Band.WEAK else "Recognised"
    return f"{opening}: {name} ({100 * match.confidence:.0f} %, {seen})"
