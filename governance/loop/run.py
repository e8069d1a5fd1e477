"""Claim, run, record, hand on: how a step of the loop is carried out, whatever its bridge does.

    claim -> fence -> land (the bridge's verb), stage after stage -> record, in one transaction

A loop goes through as many stages as it can in one transaction: a commit, a fence and a record of each stage cost
more than the stages do. What fails, or was lost by somebody who ran it alone, is taken one stage at a time, so that
the failure is known by its stage and what came before it stands.

A process that dies anywhere leaves a lease that runs out; the step is then taken by somebody else, and since the
effects and their record are one transaction, they happened or they did not.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count, groupby

from django.db import InterfaceError, OperationalError

from .. import heartbeats, redaction
from ..database.tenancy import tenant_scope
from ..gestures import caused_by
from ..models import FailureState, LoopStep
from . import queue
from .bridges import Bridge, Outcome, TryLater, Wait, Work, bridges
from .deadline import within
from .record import Record

log = logging.getLogger("antibody.loop")

BACKOFF_SECONDS = 1.0
BACKOFF_MOST_SECONDS = 60.0
# What a bridge may take for a batch; the slowest seen took a second on a busy machine.
LANDS_WITHIN_SECONDS = 10.0
# An error text may quote what an agent sent: enough to see the cause, not a copy of it.
MAX_ERROR = 2_000
# Every so many claims a suspect has its turn, however many fresh steps are waiting.
SUSPECTS_TURN = 8
# SQLSTATE class 40: the server took the transaction back for the sake of others (deadlock, serialization).
ROLLED_BACK = "40"


def run_ready(limit: int = queue.BATCH) -> int:
    """Run what is ready, and whatever follows from it, until nothing is; how many steps were landed.

    Raises OperationalError when the database cannot be reached: leases then run out and nothing is lost.
    """
    landed = 0
    for turn in count(1):
        heartbeats.alive()
        fresh = queue.claim(limit)
        landed += run(fresh)
        if fresh.works and turn % SUSPECTS_TURN:
            continue
        suspect = queue.claim(suspects=True)
        landed += run(suspect)
        if not fresh.works and not suspect.works:
            break
    return landed


def run(claim: queue.Claim) -> int:
    """Run claimed steps and what follows from them in this process; how many steps were landed."""
    landed = 0
    for _, group in groupby(sorted(claim.works, key=_group), key=_group):
        works = list(group)
        if works[0].is_suspect or works[0].is_asking:
            landed += sum(_step_by_step(claim.token, work) for work in works)
        else:
            landed += _carry_through(claim.token, works)
    return landed


def _group(work: Work) -> tuple[str, str, bool, bool]:
    return work.tenant_id, work.stage, work.is_suspect, work.is_asking


def _carry_through(token: str, works: list[Work]) -> int:
    """The same stage of one tenant's loops, and whatever follows from it, in one transaction."""
    try:
        landed, left = _land(token, works, through=True)
    except Exception as error:
        if _is_outage(error):
            # Not the steps' fault: the leases run out and somebody takes them again.
            raise
        log.info("%d loops are taken one by one: %s", len(works), type(error).__name__)
        return sum(_step_by_step(token, work) for work in works)
    return landed + sum(_step_by_step(token, work) for work in left)


def _step_by_step(token: str, work: Work) -> int:
    """One loop, each stage in a transaction of its own; what fails is recorded with its stage."""
    landed, left = 0, [work]
    while left:
        [work] = left
        bridge = bridges()[work.stage]
        try:
            answered = _ask(token, bridge, work) if work.is_asking else work
            if answered is None:
                break
            done, left = _land(token, [answered], through=False)
        except Exception as error:
            if _is_outage(error):
                raise
            if isinstance(error, TryLater):
                log.info("%s is put off for %s: %s", bridge.name, work.trace_id, error)
            else:
                log.exception("%s failed for %s", bridge.name, work.trace_id)
            _record_failure(token, work, error)
            done, left = 1, []
        landed += done
    return landed


def _is_outage(error: Exception) -> bool:
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    state = getattr(error.__cause__, "sqlstate", None) or ""
    return not state.startswith(ROLLED_BACK)


def _ask(token: str, bridge: Bridge, work: Work) -> Work | None:
    """Ask outside, as was announced; None when the step was lost to somebody else."""
    request = work.facts["ask"]
    with tenant_scope(work.tenant_id):
        if not queue.renew(token, work.step_id, request["seconds"] + queue.LEASE_SECONDS):
            return None
    if bridge.ask is None:
        raise RuntimeError(f"{bridge.name} wants to ask and has no way to.")
    heartbeats.alive(busy_seconds=request["seconds"])
    with caused_by(work.gesture):
        answer = bridge.ask(work, request["request"])
    facts = {name: value for name, value in work.facts.items() if name != "ask"}
    return replace(work, facts=facts, answer=answer)


def _land(token: str, works: list[Work], *, through: bool) -> tuple[int, list[Work]]:
    """The fenced transaction: effects, steps, events and ledger of one stage or of all that follow, or nothing.

    Answers how many steps were landed, and those that this process must go on with.
    """
    tenant_id = works[0].tenant_id
    with tenant_scope(tenant_id):
        ours, off = queue.fence(token, works)
        following = [work for work in works if work.step_id in ours]
        if not following:
            return len(works), []
        record = Record(token, tenant_id)
        while following:
            stage = following[0].stage
            outcomes = _outcomes(stage, following, is_off=stage in off)
            noted = [record.note(work, outcomes[work.step_id]) for work in following]
            following = [follower for follower in noted if follower] if through else []
        return record.landed, record.write()


def _outcomes(stage: str, works: Sequence[Work], *, is_off: bool) -> Mapping[str, Outcome]:
    if is_off and queue.is_switched_off(stage):
        waits = Wait(
            FailureState.SWITCHED_OFF,
            f"switch:{stage}",
            "Waits: this part of the loop is switched off.",
        )
        return {work.step_id: waits for work in works}
    # What no bridge says is one step's own (several failures confirm a policy) is the last one's doing.
    with caused_by(works[-1].gesture):
        return within(LANDS_WITHIN_SECONDS, bridges()[stage].land, works)


def _record_failure(token: str, work: Work, error: Exception) -> None:
    """Give a failed step back with a later time, or call it dead when it failed too often."""
    is_away = isinstance(error, TryLater)
    cause = str(error) if is_away else f"{type(error).__name__}: {error}"
    wait = backoff(error.attempts) if isinstance(error, TryLater) else None
    with tenant_scope(work.tenant_id):
        ours, _ = queue.fence(token, [work])
        if ours:
            step = LoopStep.objects.get(pk=work.step_id)
            cause = redaction.text(cause)[:MAX_ERROR].replace("\x00", "")
            give_back(token, work, step, cause, counts=not is_away, wait=wait)


def give_back(
    token: str,
    work: Work,
    step: LoopStep,
    cause: str,
    *,
    counts: bool = True,
    wait: float | None = None,
) -> None:
    """Write that a step, locked by this transaction, must be tried again in ``wait`` seconds, else after a back-off.

    Where that ``counts`` as a failure of the step, it is dead with its ``max_attempts``-th.
    """
    failures = step.failures + counts
    record = Record(token, work.tenant_id)
    pause = backoff(max(failures, 1)) if wait is None else wait
    record.note_failure(work, failures, step.max_attempts, cause, pause, counts=counts)
    record.write()


def backoff(failures: int) -> float:
    """Seconds until the next try: doubling from 1 to 60, with half of it left to chance."""
    most = min(BACKOFF_MOST_SECONDS, BACKOFF_SECONDS * 2 ** (failures - 1))
    return float(most * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, guards nothing
