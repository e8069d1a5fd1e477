"""How long the code at hand may wait for the database.

Inside ``within(seconds)`` every wait of this thread for PostgreSQL ends with the deadline, whatever holds it up: a
lock, a slow disk, a server that was stopped, a network that swallows what is sent. Two things see to that. The
server is told to give up each statement after so long (it rides along with the first statement: no trip of its own),
and then lives on unharmed. Where the server itself says nothing, the connection is closed a moment later.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import psycopg
from psycopg.errors import ConnectionTimeout, QueryCanceled
from psycopg.errors import _WaitTimeout as WaitTimeout
from psycopg_pool import PoolTimeout

# What a server needs to tell us that it gave up, before we believe that it cannot.
GRACE_SECONDS = 0.05
# What a commit may be feared to take: a statement that worked for seconds says nothing of that.
COMMIT_SECONDS = 0.25


class TooLate(psycopg.OperationalError):
    """The server said nothing until the deadline; whether it did what it was asked is not known."""


# Every way in which the database was too slow for somebody.
LATE = (TooLate, QueryCanceled, ConnectionTimeout, PoolTimeout)


class Limit:
    """One deadline: when it ends, by the monotonic clock, and what the server is told in milliseconds."""

    __slots__ = ("answers", "ends_at", "milliseconds", "waited")

    def __init__(self, seconds: float, outer: Limit | None = None) -> None:
        self.waited, self.answers = 0.0, 0
        ends_at = time.monotonic() + seconds + GRACE_SECONDS
        self.ends_at: float = ends_at if outer is None else min(ends_at, outer.ends_at)
        self.milliseconds = str(max(1, round(seconds * 1000)))

    @property
    def left(self) -> float:
        """Seconds until it ends; 0 when it has."""
        return max(0.0, self.ends_at - time.monotonic())

    @property
    def is_too_short(self) -> bool:
        """Whether less is left than a commit may take: as long as an answer took so far, on average."""
        return self.left < min(self.waited / max(1, self.answers), COMMIT_SECONDS)


_limit: ContextVar[Limit | None] = ContextVar("antibody_deadline", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Wait for the database no longer than this in all. Raises OperationalError where that was not enough.

    One inside another ends with the earlier of the two.
    """
    token = _limit.set(Limit(seconds, _limit.get()))
    try:
        yield
    finally:
        _limit.reset(token)


def limit() -> Limit | None:
    """The deadline of the code at hand; None where it may take its time."""
    return _limit.get()


class Connection(psycopg.Connection[Any]):
    """A connection that waits no longer than the deadline, and is of no use after one that it missed."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        within = _limit.get()
        if within is None or timeout is not None:
            return super().wait(gen, interval, timeout)
        began = time.monotonic()
        try:
            return super().wait(gen, interval, within.left)
        except WaitTimeout:
            self.pgconn.finish()
            raise TooLate("the database gave no answer in time") from None
        finally:
            within.answers += 1
            within.waited += time.monotonic() - began

    def commit(self) -> None:
        """Commit, or raise TooLate before anything is said: whoever hears no answer could not tell what he left behind."""
        if (within := _limit.get()) is not None and within.is_too_short:
            raise TooLate("the database would not answer the commit in time")
        super().commit()

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> Any:
        # connect_timeout is in whole seconds, and two at least: ours is not.
        gen = super()._connect_gen(conninfo)
        within = _limit.get()
        return gen if within is None else _bounded(gen, within)


def _bounded(gen: Generator[Any, Any, Any], within: Limit) -> Generator[Any, Any, Any]:
    """What psycopg asks for while it connects, until the time is over; psycopg looks every 0.1 s at least."""
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not within.left:
                raise ConnectionTimeout("the database took no connection in time")
            wanted = gen.send(ready)
    except StopIteration as done:
        return done.value
    finally:
        gen.close()
