"""The product itself: what ``manage.py sweep`` does, with the real bridges of ``config/loop.py``.

BENCH_LEDGER=off leaves the ledger out: no entries, and nobody who numbers them.
"""

from __future__ import annotations

import os
import secrets
import threading

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from config.bench import place, scene, unwritten  # noqa: E402 - the settings come first
from config.priority import give_way  # noqa: E402
from governance.ledger.notary import keep_forever  # noqa: E402
from governance.loop.sweep import sweep_forever  # noqa: E402

from .protocol import Counter, count_statements, serve  # noqa: E402


class Ours:
    """One sweeper process."""

    def __init__(self, tenant_id: str, *, has_ledger: bool) -> None:
        self._tenant_id, self._has_ledger = tenant_id, has_ledger
        # Every round begins with new processes, and each must report incidents of its own.
        self._series = secrets.token_hex(4)

    def queue(self, first: int, count: int) -> None:
        scene.report_many(self._tenant_id, first, count, series=self._series)

    def work(self, leaving: threading.Event) -> None:
        notary = threading.Thread(target=keep_forever, args=(leaving,), name="notary", daemon=True)
        if self._has_ledger:
            notary.start()
        sweep_forever(leaving)
        if self._has_ledger:
            notary.join()


if __name__ == "__main__":
    place.use()
    give_way()
    counter = Counter()
    count_statements(counter.add)
    if not unwritten.has_ledger():
        unwritten.leave_out_the_ledger()
    serve(Ours(os.environ["BENCH_TENANT"], has_ledger=unwritten.has_ledger()), counter.value)
