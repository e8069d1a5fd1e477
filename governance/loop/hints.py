"""Wake-ups for Celery workers: published after commit, outside any request's path, and safe to lose.

A silent broker was measured to hold a publisher for 30 seconds, so a thread of its own does the publishing and
a full queue drops the hint. Whatever a hint would have woken, the sweeper finds.
"""

from __future__ import annotations

import atexit
import logging
import queue
import threading
from functools import cache

from celery import current_app
from django.conf import settings
from django.db import transaction

log = logging.getLogger("antibody.hints")

MOST_WAITING = 1_000


def hint(stage: str, step_id: str) -> None:
    """Tell the workers of this stage, once the transaction has committed, that a step is ready.

    Without a broker that others can reach nobody is told: hints would pile up in this process.
    """
    if not settings.REDIS_URL:
        return
    transaction.on_commit(lambda: _offer(stage, step_id), robust=True)


def _offer(stage: str, step_id: str) -> None:
    try:
        _waiting().put_nowait((stage, step_id))
    except queue.Full:
        log.debug("hint for %s dropped: the broker is slow", step_id)


@cache
def _waiting() -> queue.Queue[tuple[str, str]]:
    waiting: queue.Queue[tuple[str, str]] = queue.Queue(MOST_WAITING)
    threading.Thread(target=_publish, args=(waiting,), name="hints", daemon=True).start()
    return waiting


def _publish(waiting: queue.Queue[tuple[str, str]]) -> None:
    leaving = threading.Event()
    atexit.register(leaving.set)
    while not leaving.is_set():
        stage, step_id = waiting.get()
        try:
            current_app.send_task(f"loop.{stage}", args=[step_id], ignore_result=True, retry=False)
        except Exception as error:  # noqa: BLE001 - whatever the broker does, the step is safe
            log.warning("the broker took no hint: %s", error)
