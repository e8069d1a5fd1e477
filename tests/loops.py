"""A loop of two stages for testing the engine: what its bridges do is said by the incident's headline.

The engine is handed its bridges by a setting, as URL patterns are; these stand where config.loop's do.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection

from governance.loop.bridges import Ask, Bridge, GoOn, Outcome, Stop, TryLater, Wait, Work
from governance.models import Agent, LoopTrace, Stage

ASKED: list[tuple[str, Any]] = []
AWAY_FOR = [0]  # how many of the first questions nobody answers
UNDONE: list[str] = []
CLASHED: list[str] = []


def first(works: Sequence[Work]) -> Mapping[str, Outcome]:
    """An effect in the database (an agent named after the trace), then what the headline says."""
    wishes = dict(
        LoopTrace.objects.filter(id__in=[work.trace_id for work in works]).values_list(
            "id", "headline"
        )
    )
    Agent.objects.bulk_create([Agent(name=f"effect of {work.trace_id}") for work in works])
    return {work.step_id: _outcome(work, wishes[work.trace_id]) for work in works}


def _outcome(work: Work, wish: str) -> Outcome:
    if wish == "fail":
        raise ValueError("this one is poison")
    if wish == "never come back":
        while True:
            threading.Event().wait(0.01)
    if wish == "stop":
        return Stop("match_failed", "nothing to go by")
    if wish == "wait" and not Agent.objects.filter(name="the sign").exists():
        Agent.objects.filter(name=f"effect of {work.trace_id}").delete()
        return Wait("human_checkpoint_pending", "the-sign", "waits for a sign")
    if wish == "ask" and work.answer is None:
        Agent.objects.filter(name=f"effect of {work.trace_id}").delete()
        return Ask({"key": work.trace_id}, seconds=1.0)
    return GoOn("done", facts={"first": True, "answer": work.answer, "wish": wish})


def ask(work: Work, request: dict[str, Any]) -> Any:
    ASKED.append((work.trace_id, request["key"]))
    if len(ASKED) <= AWAY_FOR[0]:
        raise TryLater("nobody is there", len(ASKED))
    return "yes"


def second(works: Sequence[Work]) -> Mapping[str, Outcome]:
    wishes = {work.facts["wish"] for work in works}
    if "fail late" in wishes:
        raise ValueError("this one is poison")
    if "clash once" in wishes and not CLASHED:
        CLASHED.append("now")
        with connection.cursor() as cursor:
            cursor.execute(
                "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'deadlock_detected'; END $$"
            )
    return {work.step_id: GoOn("closed", facts={"saw": work.facts}) for work in works}


def undo(incident_id: str, trace_id: str, actor: Any, reason: str) -> None:
    UNDONE.append(trace_id)


BRIDGES = (
    Bridge(Stage.PATTERN_MATCHED, "first", first, undo=undo, ask=ask),
    Bridge(Stage.LOOP_COMPLETE, "second", second),
)
DECISIONS: dict[str, Any] = {}
RECORDS: dict[str, Any] = {}
