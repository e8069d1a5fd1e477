"""Claim, run, record, hand on: how a step of the loop is carried out, whatever its bridge does.

    claim -> fence -> land (the bridge's verb) -> finish, in one transaction -> the next step, in this process

A process that dies anywhere leaves a lease that runs out; the step is then taken by somebody else, and since
the effects and the finish are one transaction, they happened or they did not.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from django.db import InterfaceError, OperationalError

from .. import ledger
from ..actors import LOOP
from ..database.tenancy import tenant_scope
from ..ids import new_id
from ..models import FailureState, LoopStep, LoopTrace
from ..story import live
from . import queue
from .bridges import Ask, Bridge, GoOn, Outcome, Stop, Told, Wait, Work, bridges, stage_after

log = logging.getLogger("antibody.loop")

BACKOFF_SECONDS = 1.0
BACKOFF_MOST_SECONDS = 60.0
# An error text may quote what an agent sent: enough to see the cause, not a copy of it.
MAX_ERROR = 2_000


def run_ready(limit: int = queue.BATCH) -> int:
    """Run what is ready, and whatever follows from it, until nothing is; how many steps were landed.

    Raises OperationalError when the database cannot be reached: leases then run out and nothing is lost.
    """
    landed = 0
    while True:
        fresh = queue.claim(limit)
        landed += run(fresh)
        suspect = queue.claim(suspects=True)
        landed += run(suspect)
        if not fresh.works and not suspect.works:
            return landed


def run(claim: queue.Claim) -> int:
    """Run claimed steps and what follows from them in this process; how many steps were landed."""
    works, landed = claim.works, 0
    while works:
        following: list[Work] = []
        for _, group in groupby(sorted(works, key=_group), key=_group):
            batch = list(group)
            landed += len(batch)
            following += _carry_out(claim.token, batch)
        works = following
    return landed


def _group(work: Work) -> tuple[str, str, bool]:
    return work.tenant_id, work.stage, "ask" in work.facts


def _carry_out(token: str, works: list[Work]) -> list[Work]:
    """One stage of one tenant's loops: ask where it was announced, land, and isolate what fails."""
    bridge = bridges()[works[0].stage]
    try:
        if "ask" in works[0].facts:
            return [follower for work in works for follower in _ask_and_land(token, bridge, work)]
        return _land(token, bridge, works)
    except (OperationalError, InterfaceError):
        # An outage and not the step's fault: the lease runs out and somebody takes it again.
        raise
    except Exception as error:
        if len(works) > 1:
            return [follower for work in works for follower in _carry_out(token, [work])]
        log.exception("%s failed for %s", bridge.name, works[0].trace_id)
        _record_failure(token, works[0], error)
        return []


def _ask_and_land(token: str, bridge: Bridge, work: Work) -> list[Work]:
    request = work.facts["ask"]
    seconds = request["seconds"] + queue.LEASE_SECONDS
    with tenant_scope(work.tenant_id):
        if not queue.renew(token, work.step_id, seconds):
            return []
    if bridge.ask is None:
        raise RuntimeError(f"{bridge.name} wants to ask and has no way to.")
    answer = bridge.ask(work, request["request"])
    facts = {name: value for name, value in work.facts.items() if name != "ask"}
    return _land(token, bridge, [replace(work, facts=facts, answer=answer)])


def _land(token: str, bridge: Bridge, works: list[Work]) -> list[Work]:
    """The fenced transaction: effects, steps, events and ledger together or not at all."""
    with tenant_scope(works[0].tenant_id):
        ours, off = queue.fence(token, works)
        works = [work for work in works if work.step_id in ours]
        if not works:
            return []
        if off and queue.is_switched_off(bridge.stage):
            outcomes: dict[str, Outcome] = {
                work.step_id: _switched_off(bridge.stage) for work in works
            }
        else:
            outcomes = dict(bridge.land(works))
        rows = [_row(work, outcomes[work.step_id]) for work in works]
        queue.finish(token, rows)
        ledger.append_all(_entry(work, outcomes[work.step_id]) for work in works)
        live.publish_after_commit(works[0].tenant_id, _touched(rows))
    return [
        follower
        for work, row in zip(works, rows, strict=True)
        if (follower := _follower(work, row))
    ]


def _switched_off(stage: str) -> Wait:
    return Wait(
        FailureState.SWITCHED_OFF,
        f"switch:{stage}",
        "Waits: this part of the loop is switched off.",
    )


def _row(work: Work, outcome: Outcome) -> dict[str, Any]:
    """One row of ``queue.finish``."""
    facts = {**work.facts, **outcome.facts}
    row: dict[str, Any] = {
        "id": work.step_id,
        "tenant": work.tenant_id,
        "trace": work.trace_id,
        "stage": work.stage,
        "attempts": work.attempts,
        "failures": 0,
        "waits_for": "",
        "failure_state": "",
        "trace_failure": "",
        "error": "",
        "output": facts,
        "events": [_event(work, told) for told in _story(work, outcome)],
        "trace_state": LoopTrace.State.RUNNING,
    }
    match outcome:
        case GoOn():
            following = stage_after(work.stage)
            row |= {"state": LoopStep.State.DONE, "failure_state": outcome.failure_state}
            if following:
                row |= {"next_id": new_id("stp"), "next_stage": following}
            else:
                row["trace_state"] = LoopTrace.State.COMPLETE
        case Wait():
            row |= {
                "state": LoopStep.State.WAITING,
                "waits_for": outcome.waits_for,
                "failure_state": outcome.failure_state,
                "trace_failure": outcome.failure_state,
                "trace_state": LoopTrace.State.WAITING,
            }
        case Stop():
            row |= {
                "state": LoopStep.State.FAILED,
                "failure_state": outcome.failure_state,
                "trace_failure": outcome.failure_state,
                "trace_state": LoopTrace.State.STOPPED,
            }
        case Ask():
            row |= {
                "state": LoopStep.State.RUNNING,
                "lease": outcome.seconds + queue.LEASE_SECONDS,
                "output": {
                    **facts,
                    "ask": {"request": outcome.request, "seconds": outcome.seconds},
                },
            }
    return row


def _story(work: Work, outcome: Outcome) -> Iterable[Told]:
    """The events of an outcome: the bridge's own first, then the stage's."""
    yield from outcome.events
    match outcome:
        case GoOn():
            yield Told(work.stage, outcome.headline, outcome.subject, _public(outcome))
        case Wait():
            yield Told("waiting", outcome.headline, outcome.subject, _public(outcome))
        case Stop():
            yield Told("stopped", outcome.headline, outcome.subject, _public(outcome))
        case Ask(headline=headline) if headline:
            yield Told("asked", headline, "", _public(outcome))


def _public(outcome: Outcome) -> dict[str, Any]:
    failure_state = getattr(outcome, "failure_state", "")
    return {**outcome.facts, **({"failure_state": failure_state} if failure_state else {})}


def _event(work: Work, told: Told) -> dict[str, Any]:
    return {
        "id": new_id("evt"),
        "trace": told.trace_id or work.trace_id,
        "type": told.type,
        "headline": told.headline[:300],
        "subject": told.subject,
        "actor": str(LOOP),
        "details": told.details,
    }


def _entry(work: Work, outcome: Outcome) -> ledger.Entry:
    facts: dict[str, Any] = {
        "incident": work.incident_id,
        "outcome": type(outcome).__name__.lower(),
    }
    subject = getattr(outcome, "subject", "")
    if subject:
        facts["subject"] = subject
    if failure_state := getattr(outcome, "failure_state", ""):
        facts["failure_state"] = str(failure_state)
    return ledger.Entry(f"loop.{work.stage}", work.trace_id, LOOP, "", facts)


def _touched(rows: Sequence[dict[str, Any]]) -> list[str]:
    return sorted({event["trace"] for row in rows for event in row["events"]})


def _follower(work: Work, row: dict[str, Any]) -> Work | None:
    """What this process goes on with: the next step, or the same one that must now ask."""
    if row["state"] == LoopStep.State.RUNNING:
        return replace(work, facts=row["output"], answer=None)
    if row.get("next_id"):
        return replace(
            work,
            step_id=row["next_id"],
            stage=row["next_stage"],
            facts=row["output"],
            attempts=1,
            answer=None,
        )
    return None


def _record_failure(token: str, work: Work, error: Exception) -> None:
    """Give a failed step back with a later time, or call it dead when it failed too often."""
    cause = f"{type(error).__name__}: {error}"[:MAX_ERROR].replace("\x00", "")
    with tenant_scope(work.tenant_id):
        ours, _ = queue.fence(token, [work])
        if ours:
            step = LoopStep.objects.get(pk=work.step_id)
            give_back(token, work, step.failures + 1, step.max_attempts, cause)


def give_back(
    token: str, work: Work, failures: int, most: int, cause: str, *, at_once: bool = False
) -> None:
    """Write a failure of a step that is locked by this transaction; dead when it has failed ``most`` times."""
    dead = failures >= most
    told = Told(
        "dead" if dead else "failed",
        f"Gave up after {failures} tries: {cause}"
        if dead
        else f"Try {failures} of {most} failed: {cause}",
        "",
        {"stage": work.stage, "error": cause, "failures": failures},
    )
    queue.finish(
        token,
        [
            {
                **_row(work, GoOn("")),
                "state": LoopStep.State.DEAD if dead else LoopStep.State.READY,
                "next_id": None,
                "failures": failures,
                "available": 0.0 if at_once else backoff(failures),
                "error": cause,
                "trace_state": LoopTrace.State.DEAD if dead else LoopTrace.State.RUNNING,
                "events": [_event(work, told)],
            }
        ],
    )
    ledger.append(
        f"loop.{'dead' if dead else 'failed'}",
        work.trace_id,
        actor=LOOP,
        stage=work.stage,
        cause=cause,
    )
    live.publish_after_commit(work.tenant_id, [work.trace_id])


def backoff(failures: int) -> float:
    """Seconds until the next try: doubling from 1 to 60, with half of it left to chance."""
    most = min(BACKOFF_MOST_SECONDS, BACKOFF_SECONDS * 2 ** (failures - 1))
    return float(most * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, guards nothing
