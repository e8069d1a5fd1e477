"""The good calls of a tool, kept in memory: what went well stays so, and reading it again costs more each time.

Outcomes are only ever added, so the next reader reads on where the last one was.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet

from governance.database.tenancy import required_tenant
from governance.ids import earlier
from policies.models import Outcome
from policies.synthesis import Call
from policies.synthesis.drafting import BACKTEST_LIMIT

CALLS_KEPT = 200_000
"""Good calls kept in one process, of all tenants and tools; those asked for longest ago go first."""
READ_AGAIN = timedelta(seconds=60)
"""Of what was made so short before the latest that is known, all is looked at again: an outcome has its id before it is
committed, and may appear behind later ones, however many. A request waits 10 s for the database at most, and two clocks
that are both ready are 10 s apart at most."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """Outcome ids in order, and their calls."""

    ids: Sequence[str] = ()
    calls: Sequence[Call] = ()


_kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
_lock = threading.Lock()


def good_calls(tool: str) -> list[Call]:
    """Calls of a tool that went well and would have been allowed, latest first, at most BACKTEST_LIMIT."""
    key = (required_tenant(), tool)
    with _lock:
        known = _kept.get(key, _Kept())
    found = _read_on(tool, known)
    if found is not known:
        # Only when what was read is committed: a transaction that is rolled back must leave nothing behind.
        transaction.on_commit(lambda: _keep(key, found), robust=True)
    return list(reversed(found.calls))


def failed_calls(tool: str) -> int:
    """How many calls of a tool failed since the oldest of its good calls that are kept; counted to BACKTEST_LIMIT."""
    with _lock:
        ids = _kept.get((required_tenant(), tool), _Kept()).ids
    failed = Outcome.objects.filter(ok=False, simulated=False, tool=tool)
    since = failed.filter(id__gt=ids[0]) if len(ids) == BACKTEST_LIMIT else failed
    return since.order_by("-id")[:BACKTEST_LIMIT].count()


def forget() -> None:
    """Keep nothing, as in a process that has just started."""
    with _lock:
        _kept.clear()


def good() -> QuerySet[Outcome]:
    """Calls that went well and would have been allowed: what a bypass let through speaks for no exception."""
    return Outcome.objects.filter(ok=True, simulated=False, overridden=False)


def _read_on(tool: str, known: _Kept) -> _Kept:
    since = earlier(known.ids[-1], READ_AGAIN) if known.ids else ""
    latest = good().filter(tool=tool, id__gt=since).order_by("-id").values_list("id", flat=True)
    seen = dict(zip(known.ids, known.calls, strict=True))
    # Ids first: of a minute nearly all is known, and its arguments would be read at every draft.
    fresh = [id for id in latest[:BACKTEST_LIMIT] if id not in seen]
    if not fresh:
        return known
    rows = Outcome.objects.filter(id__in=fresh).values_list(
        "id",
        "decision_id",
        "decision__arguments",
        "decision__run_id",
        "decision__run__name",
        "decision__agent__name",
        "decision__kind",
    )
    for id, decision_id, arguments, run_id, run, agent, kind in rows:
        seen[id] = Call(tool, arguments, run_id, kind, run=run, agent=agent, decision=decision_id)
    ids = sorted(seen)[-BACKTEST_LIMIT:]
    return _Kept(ids, [seen[id] for id in ids])


def _keep(key: tuple[str, str], found: _Kept) -> None:
    with _lock:
        _kept[key] = found
        _kept.move_to_end(key)
        while len(_kept) > 1 and sum(len(each.ids) for each in _kept.values()) > CALLS_KEPT:
            _kept.popitem(last=False)
