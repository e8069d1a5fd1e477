"""The sweeper: whatever is ready gets run, and whatever was abandoned becomes ready, broker or no broker.

It listens to PostgreSQL and asks once a second besides: a notification sent while it was not listening is lost,
a step is not.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from typing import Any

import psycopg
from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from django.db.models.functions import Now

from .. import heartbeats
from ..database.tenancy import tenant_scope
from ..models import LoopStep
from ..modes import bypassing
from . import queue
from .bridges import Work
from .hints import hint
from .run import give_back, run_ready

log = logging.getLogger("antibody.sweep")

POLL_SECONDS = 1.0
# A loop run by itself costs as much as five in company. Where they come faster than they can be run one by one,
# waiting this long lets them gather; a lone one never waits.
GATHER_SECONDS = 0.1
RECONNECT_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


def sweep_forever(leaving: threading.Event) -> None:
    """Run until ``leaving`` is set; outlives restarts of the database."""
    failures = 0
    while not leaving.is_set():
        try:
            with _listener() as listener, heartbeats.lives_as(heartbeats.SWEEPER):
                failures = 0
                _listen(listener, leaving)
        except (psycopg.OperationalError, DatabaseError, InterfaceError) as error:
            log.warning(
                "the database is away (%s); trying again", str(error).strip().splitlines()[0]
            )
            connection.close()
            leaving.wait(RECONNECT_SECONDS[min(failures, len(RECONNECT_SECONDS) - 1)])
            failures += 1


def sweep_once() -> int:
    """Run what is ready, and what was abandoned; how many steps were landed."""
    landed = run_ready()
    return landed + run_ready() if release_expired() else landed


def release_expired() -> int:
    """Make abandoned steps ready again; how many. A step that was abandoned alone counts it as a failure."""
    released = 0
    for tenant_id, group in groupby(sorted(queue.expired()), key=itemgetter(0)):
        for _, step_id in group:
            with tenant_scope(tenant_id):
                released += _release(tenant_id, step_id)
    return released


def _release(tenant_id: str, step_id: str) -> int:
    step = (
        LoopStep.objects.select_for_update(skip_locked=True, of=("self",))
        .select_related("trace")
        .filter(pk=step_id, state=LoopStep.State.RUNNING, lease_until__lt=Now())
        .first()
    )
    if step is None:
        return 0
    work = Work(
        step.id,
        tenant_id,
        step.trace_id,
        step.trace.incident_id,
        step.stage,
        step.output,
        step.attempts,
        gesture=step.gesture,
    )
    # The first claim is made in company: whoever died then may have died of a neighbour.
    alone = step.attempts > 1
    cause = "the process that ran it disappeared"
    give_back(step.claim_token, work, step, cause, counts=alone, wait=None if alone else 0.0)
    if not alone:
        # Abandoned steps are run one at a time, and there may be hundreds: whoever can is to help.
        hint(step.stage, step.id)
    return 1


@contextmanager
def _listener() -> Iterator[psycopg.Connection[Any]]:
    """A connection of its own, outside Django and any pooler: a transaction pooler cannot LISTEN."""
    params = connection.get_connection_params()
    wanted = {
        key: params[key]
        for key in ("host", "port", "user", "password", "dbname")
        if params.get(key)
    }
    with psycopg.connect(**wanted, autocommit=True, connect_timeout=5) as listener:
        listener.execute(f"LISTEN {queue.CHANNEL}")
        yield listener


def _listen(listener: psycopg.Connection[Any], leaving: threading.Event) -> None:
    """Who is woken runs what is ready; what was abandoned is looked for once a second, or when nothing wakes us."""
    woken, swept = False, 0.0
    while not leaving.is_set():
        close_old_connections()
        if woken and time.monotonic() - swept < POLL_SECONDS:
            run_ready()
        else:
            sweep_once()
            bypassing.tend()
            swept = time.monotonic()
        woken = bool(list(listener.notifies(timeout=0)))
        if woken:
            leaving.wait(GATHER_SECONDS)
        else:
            woken = bool(list(listener.notifies(timeout=_patience(), stop_after=1)))


def _patience() -> float:
    due = queue.due_in()
    return POLL_SECONDS if due is None else min(POLL_SECONDS, max(due, 0.005))
