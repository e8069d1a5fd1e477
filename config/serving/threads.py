"""What runs beside the web server in its own process: worker, beat, sweeper."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from celery.beat import EmbeddedService
from celery.worker import WorkController
from django_celery_beat.schedulers import DatabaseScheduler

from governance.loop.sweep import sweep_forever

from ..celery import app

log = logging.getLogger("antibody.serve")


class Beside:
    """Worker, beat and sweeper as threads; ``stop`` ends them."""

    def __init__(self) -> None:
        self.leaving = threading.Event()
        self.worker = WorkController(
            app=app,
            pool_cls="solo",
            concurrency=1,
            hostname="worker@serve",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            loglevel="WARNING",
        )
        self.beat = EmbeddedService(
            app, thread=True, max_interval=60, scheduler_cls=DatabaseScheduler
        )
        self.sweeper = _thread("sweeper", lambda: sweep_forever(self.leaving))

    def start(self) -> None:
        self.sweeper.start()
        self.beat.start()
        _thread("worker", self.worker.start).start()

    def stop(self) -> None:
        """End them; whatever a thread still holds, its lease gives back."""
        self.leaving.set()
        if not self.sweeper.is_alive():
            return
        self.beat.service.stop()
        self.worker.terminate(in_sighandler=True)
        self.sweeper.join(timeout=5)


def _thread(name: str, run: Callable[[], None]) -> threading.Thread:
    def guarded() -> None:
        try:
            run()
        except Exception:
            log.exception("%s stopped", name)

    return threading.Thread(target=guarded, name=name, daemon=True)
