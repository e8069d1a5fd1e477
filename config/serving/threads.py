"""What runs beside the web server: worker, beat, sweeper and notary as threads, the signer as a process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from celery.beat import EmbeddedService
from celery.worker import WorkController
from django_celery_beat.schedulers import DatabaseScheduler

from governance import heartbeats, readiness
from governance.ledger.notary import keep_forever
from governance.loop.sweep import sweep_forever
from governance.tasks import SCHEDULED_SECONDS

from ..celery import app
from .signing import SignerProcess

log = logging.getLogger("antibody.serve")


class Beside:
    """All of them; ``stop`` ends them."""

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
        self.notary = _thread("notary", lambda: keep_forever(self.leaving))
        self.signer = SignerProcess(self.leaving)

    def start(self) -> None:
        self.signer.start()
        self.sweeper.start()
        self.notary.start()
        self.beat.start()
        # Beat's first sign is due in a minute: until then it is coming up, and nothing to warn of.
        heartbeats.note(heartbeats.SCHEDULER, SCHEDULED_SECONDS)
        _thread("worker", self.worker.start).start()
        readiness.doubt()  # what it did not find a moment ago is there now

    def stop(self) -> None:
        """End them; whatever a thread still holds, its lease gives back."""
        self.leaving.set()
        if not self.sweeper.is_alive():
            return
        self.beat.service.stop()
        self.worker.terminate(in_sighandler=True)
        for thread in (self.sweeper, self.notary, self.signer):
            thread.join(timeout=5)


def _thread(name: str, run: Callable[[], None]) -> threading.Thread:
    def guarded() -> None:
        try:
            run()
        except Exception:
            log.exception("%s stopped", name)

    return threading.Thread(target=guarded, name=name, daemon=True)
