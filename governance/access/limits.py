"""How often somebody may ask: by address, by token and by tenant. The truth is in PostgreSQL, the counting in memory.

Each caller has a leaky bucket, a row of ``Allowance``: as many requests at once as its quota for a minute, and that many
a minute over time. A process takes a portion of them on one short trip of its own, before the request's transaction,
and spends it in memory for some seconds: no row is written for each request, none is locked for longer than a
moment, and a tenant that is over its quota is refused from memory. Redis has no part in it.

What is granted never exceeds the quota. What a process took and did not spend in time is lost: a caller may be refused
after its quota less one portion for each process (a hundredth of the quota at most). Where the database does not answer
nobody is refused here: whatever needs it will say so itself.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import DatabaseError, InterfaceError, connection

from ..database import deadline
from ..database.tenancy import outside_tenants

log = logging.getLogger("antibody.limits")

PERIOD_SECONDS = 60
MOST_AT_ONCE = 200  # of a bucket, and never more than a hundredth of its quota (or one)
KEPT_SECONDS = 10.0
REFUSED_SECONDS = 1.0  # how long a refusal is believed without asking again
WAIT_SECONDS = 0.1  # for the database, before nobody is counted for a while
BLIND_SECONDS = 1.0
MOST_TOKENS = 10_000
MOST_CALLERS = 10_000  # that one process remembers


@dataclass(frozen=True, slots=True)
class Limit:
    """A kind of caller, and how many requests a minute it may make unless its tenant has another quota."""

    kind: str
    per_minute: int


# Generous: a replay, the benches and the torture ask hundreds of times a second with one token from one machine.
ADDRESS = Limit("address", 60_000)
TENANT = Limit("tenant", 60_000)
TOKEN = Limit("token", 30_000)
FAILED = Limit("failed", 60)


@dataclass(frozen=True, slots=True)
class Caller:
    """One bucket: a limit and whose."""

    limit: Limit
    key: str


@dataclass(frozen=True, slots=True)
class Account:
    """How a bucket stands after a request: its quota, what is left of it, and seconds to wait (0: go on)."""

    limit: Limit
    quota: int
    remaining: int
    wait: float

    @property
    def policy(self) -> str:
        """For RateLimit-Policy."""
        return f'"{self.limit.kind}";q={self.quota};w={PERIOD_SECONDS}'

    @property
    def state(self) -> str:
        """For RateLimit: what is left, and in how many seconds all of it is back."""
        spent = max(0, self.quota - self.remaining)
        seconds = max(int(self.wait) + 1 if self.wait else 0, spent * PERIOD_SECONDS // self.quota)
        return f'"{self.limit.kind}";r={self.remaining};t={seconds}'


class _Portion:
    """What this process took of a bucket and may spend until it is stale."""

    __slots__ = ("left", "quota", "remaining", "stale_at", "wait_until")

    def __init__(self, granted: int, quota: int, remaining: float, wait: float) -> None:
        now = time.monotonic()
        self.left, self.quota, self.remaining = granted, quota, int(remaining)
        self.wait_until = now + wait
        self.stale_at = now + (KEPT_SECONDS if granted else min(wait, REFUSED_SECONDS))


class _Known:
    """Whose the tokens are that this process has seen to be good: who is counted before he is authenticated again.

    A guessed token never gets a bucket of its own, so that guessing writes nothing.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tenants: OrderedDict[str, str] = OrderedDict()

    def tenant_of(self, fingerprint: str) -> str | None:
        return self._tenants.get(fingerprint)

    def remember(self, fingerprint: str, tenant_id: str) -> None:
        with self._lock:
            self._tenants[fingerprint] = tenant_id
            self._tenants.move_to_end(fingerprint)
            while len(self._tenants) > MOST_TOKENS:
                self._tenants.popitem(last=False)


class Allowances:
    """The portions of one process. Any thread may spend."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._portions: OrderedDict[Caller, _Portion] = OrderedDict()
        self._blind_until = 0.0

    def spend(self, callers: Sequence[Caller], tenant_id: str | None = None) -> list[Account]:
        """One request of each of these; those that must wait say so. ``tenant_id`` is whose quotas hold."""
        now = time.monotonic()
        with self._lock:
            missing = [caller for caller in callers if not self._is_known(caller, now)]
        if missing and now >= self._blind_until:
            self._take(missing, tenant_id)
        with self._lock:
            return [self._spend(caller, now) for caller in callers]

    def forget(self) -> None:
        """Begin anew: every caller's portion is taken again from the database."""
        with self._lock:
            self._portions.clear()
            self._blind_until = 0.0

    def _is_known(self, caller: Caller, now: float) -> bool:
        portion = self._portions.get(caller)
        return (
            portion is not None
            and now < portion.stale_at
            and (portion.left > 0 or now < portion.wait_until)
        )

    def _spend(self, caller: Caller, now: float) -> Account:
        portion = self._portions.get(caller)
        quota = portion.quota if portion else caller.limit.per_minute
        if portion is None or not self._is_known(caller, now):
            return Account(caller.limit, quota, quota, 0.0)  # nobody could be asked
        if portion.left:
            portion.left -= 1
            return Account(caller.limit, quota, portion.remaining + portion.left, 0.0)
        return Account(caller.limit, quota, 0, max(0.001, portion.wait_until - now))

    def _take(self, callers: Sequence[Caller], tenant_id: str | None) -> None:
        try:
            with deadline.within(WAIT_SECONDS), outside_tenants():
                rows = _take(callers, tenant_id)
        except (DatabaseError, InterfaceError) as error:
            log.warning("nobody is counted for a while: %s", type(error).__name__)
            self._blind_until = time.monotonic() + BLIND_SECONDS
            if not connection.in_atomic_block:
                connection.close()  # it may have been given up in the middle of an answer
            return
        with self._lock:
            for caller, (granted, quota, remaining, wait) in zip(callers, rows, strict=True):
                self._portions[caller] = _Portion(granted, quota, remaining, wait)
                self._portions.move_to_end(caller)
            while len(self._portions) > MOST_CALLERS:
                self._portions.popitem(last=False)


def _take(callers: Sequence[Caller], tenant_id: str | None) -> list[tuple[int, int, float, float]]:
    """(granted, quota, remaining, seconds to wait) of each."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT granted, quota, remaining, wait"
            " FROM antibody_take(%s::text[], %s::text[], %s::integer[], %s::integer, %s::text) ORDER BY place",
            [
                [caller.limit.kind for caller in callers],
                [caller.key for caller in callers],
                [caller.limit.per_minute for caller in callers],
                MOST_AT_ONCE,
                tenant_id,
            ],
        )
        rows: list[tuple[int, int, float, float]] = cursor.fetchall()
    return rows


def forget_old() -> int:
    """Forget buckets that have been full for an hour; how many."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM governance_allowance WHERE due < now() - interval '1 hour'")
        return int(cursor.rowcount)


allowances = Allowances()
known = _Known()
