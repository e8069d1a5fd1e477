"""The newest outcomes of a sort, kept in memory with what was made of them: reading them again costs more each time.

Outcomes are only ever added, so the next reader reads on where the last one was.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import Generic, TypeVar

from django.db import transaction

from governance.database.tenancy import required_tenant
from governance.ids import earlier

READ_AGAIN = timedelta(seconds=60)
"""Of what was made so short before the latest that is known, all is looked at again: an outcome has its id before it is
committed, and may appear behind later ones, however many. A request waits 10 s for the database at most, and two clocks
that are both ready are 10 s apart at most."""

Item = TypeVar("Item")


class Latest(Generic[Item]):
    """Items by the ids of their outcomes, oldest first: at most ``most`` of each sort.

    ``kept`` of all tenants and sorts stay in this process; those asked for longest ago go first.
    """

    def __init__(self, *, most: int, kept: int) -> None:
        self.most, self.kept = most, kept
        self._known: OrderedDict[tuple[str, ...], dict[str, Item]] = OrderedDict()
        self._lock = threading.Lock()

    def known(self, *sort: str) -> dict[str, Item]:
        """Those of the tenant in scope that are kept just now."""
        with self._lock:
            return self._known.get((required_tenant(), *sort), {})

    def read(
        self,
        *sort: str,
        ids_since: Callable[[str], Collection[str]],
        items: Callable[[Sequence[str]], dict[str, Item]],
        since: str = "",
    ) -> dict[str, Item]:
        """The newest of a sort, none made before ``since``; nobody may change what is answered.

        ``ids_since`` says which there are with a higher id than this one, the newest ``most``, and ``items`` reads
        some of them.
        """
        known = self.known(*sort)
        begin = max(since, earlier(next(reversed(known)), READ_AGAIN)) if known else since
        # Ids first: of a minute nearly all is known, and what is made of them would be read each time.
        fresh = [each for each in ids_since(begin) if each not in known]
        if not fresh and (not known or next(iter(known)) >= since):
            return known
        read = items(fresh)
        every = known | {each: read[each] for each in sorted(read)}
        if known and fresh and min(fresh) < next(reversed(known)):
            every = {each: every[each] for each in sorted(every)}
        found = {each: every[each] for each in list(every)[-self.most :] if each >= since}
        # Only when what was read is committed: a transaction that is rolled back must leave nothing behind.
        key = (required_tenant(), *sort)
        transaction.on_commit(lambda: self._keep(key, found), robust=True)
        return found

    def forget(self) -> None:
        """Keep nothing, as in a process that has just started."""
        with self._lock:
            self._known.clear()

    def _keep(self, key: tuple[str, ...], found: dict[str, Item]) -> None:
        with self._lock:
            self._known[key] = found
            self._known.move_to_end(key)
            while len(self._known) > 1 and sum(map(len, self._known.values())) > self.kept:
                self._known.popitem(last=False)
