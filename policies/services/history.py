"""What a run has done so far: counted for the guard when a condition asks, and again for stored calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from governance.database.scoped import IN_SCOPE
from governance.models import Run
from policies.models import Decision
from policies.rules import History, Tally, digest_of

# The counters that need no other call than the same one, and those that need none of another tool.
_OF_THE_CALL = frozenset({"history.same_call_failures", "history.same_call_successes"})
_OF_THE_TOOL = _OF_THE_CALL | {"history.tool_calls", "history.tool_failures"}

_COUNT = """
SELECT count(*) FILTER (WHERE d.tool = %(tool)s AND d.call = %(call)s AND NOT o.ok),
       count(*) FILTER (WHERE d.tool = %(tool)s AND d.call = %(call)s AND o.ok),
       count(*) FILTER (WHERE d.tool = %(tool)s AND NOT o.ok),
       count(*) FILTER (WHERE d.tool = %(tool)s),
       count(*)
FROM policies_decision d
LEFT JOIN policies_outcome o ON o.tenant_id = %(tenant)s AND o.decision_id = d.id
WHERE d.tenant_id = %(tenant)s AND d.run_id = %(run)s AND d.verdict = ANY(%(yes)s)"""
_SAME_TOOL = " AND d.tool = %(tool)s"
_SAME_CALL = " AND d.call = %(call)s"


def of_next_call(
    run: Run, tool: str, arguments: Mapping[str, Any], *, asked: Collection[str]
) -> History:
    """The history of a call that is about to be decided, as far as it is committed. One statement.

    It reads no more of the run than the variables in ``asked`` need; the counters that are not asked for may be
    too low.
    """
    wanted = frozenset(asked)
    narrowed = _COUNT
    if wanted <= _OF_THE_TOOL:
        narrowed += _SAME_TOOL
    if wanted <= _OF_THE_CALL:
        narrowed += _SAME_CALL
    said = {
        "tenant": IN_SCOPE,
        "run": run.pk,
        "tool": tool,
        "call": digest_of(arguments),
        "yes": list(Decision.YES),
    }
    with connection.cursor() as cursor:
        cursor.execute(narrowed, said)
        return History(*cursor.fetchone())


def before(decisions: Iterable[str]) -> dict[str, History]:
    """The histories that stored calls had when they were decided, by the decision's id. One statement.

    By the order in which decisions and outcomes began: of what was under way at the same moment the guard itself
    may have seen less.
    """
    wanted = set(decisions)
    if not wanted:
        return {}
    runs = Decision.objects.filter(id__any=list(wanted)).order_by().values("run_id")
    moments = sorted(_moments(runs), key=lambda one: one.at)
    tallies: dict[str, Tally] = defaultdict(Tally)
    found: dict[str, History] = {}
    for moment in moments:
        tally = tallies[moment.run_id]
        if moment.ok is not None:
            tally.report(moment.tool, moment.call, ok=moment.ok)
            continue
        if moment.decision_id in wanted:
            found[moment.decision_id] = tally.before(moment.tool, moment.call)
        if moment.is_allowed:
            tally.allow(moment.tool)
    return found


@dataclass(frozen=True, slots=True)
class _Moment:
    """A call was decided, or (``ok`` says so) an agent told how it went."""

    at: tuple[datetime, str]
    run_id: str
    decision_id: str
    tool: str
    call: str
    is_allowed: bool
    ok: bool | None = None


def _moments(runs: QuerySet[Decision, Any]) -> Iterator[_Moment]:
    rows = Decision.objects.filter(run_id__in=runs).order_by()
    for row in rows.values_list("created_at", "run_id", "id", "tool", "call", "arguments", "verdict",
                                "outcomes__created_at", "outcomes__id", "outcomes__ok"):  # fmt: skip
        decided_at, run_id, id, tool, call, arguments, verdict, told_at, outcome_id, ok = row
        same, is_allowed = call or digest_of(arguments), verdict in Decision.YES
        yield _Moment((decided_at, _made(id)), run_id, id, tool, same, is_allowed)
        if outcome_id:
            yield _Moment((told_at, _made(outcome_id)), run_id, id, tool, same, is_allowed, ok)


def _made(id: str) -> str:
    """An id without its prefix: a UUIDv7, so that ids of all kinds sort by when they were made."""
    return id.rpartition("_")[2]
