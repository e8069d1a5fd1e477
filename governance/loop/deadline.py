"""A bridge that never comes back is interrupted where it stands, and its step fails with that cause.

A lost lease alone would not free such a step: its transaction holds the row, and the process that is caught in it
would never work again.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable
from typing import TypeVar

LOOKS_EVERY = 0.5
T = TypeVar("T")
R = TypeVar("R")
_interrupt = ctypes.pythonapi.PyThreadState_SetAsyncExc


class TookTooLong(Exception):
    """The bridge was given so many seconds, and had not come back."""


class _Watch:
    """One thread of this process that looks at all the others that are at work."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.until: dict[int, float] = {}
        self.interrupted: set[int] = set()
        threading.Thread(target=self._look_on, name="deadlines", daemon=True).start()

    def enter(self, thread: int, seconds: float) -> None:
        self.until[thread] = time.monotonic() + seconds

    def leave(self, thread: int) -> None:
        # Under the lock, so that nobody is interrupted who has left already.
        with self.lock:
            self.until.pop(thread, None)
            if thread in self.interrupted:
                self.interrupted.remove(thread)
                _interrupt(ctypes.c_ulong(thread), None)  # what has not arrived yet shall not

    def _look_on(self) -> None:
        never = threading.Event()  # time.sleep fails where a clock is turned back
        while True:
            never.wait(LOOKS_EVERY)
            with self.lock:
                now = time.monotonic()
                for thread, until in list(self.until.items()):
                    if until < now:
                        self.interrupted.add(thread)
                        # Again at every look, should the bridge have swallowed it.
                        _interrupt(ctypes.c_ulong(thread), ctypes.py_object(TookTooLong))


_watch: _Watch | None = None
_starting = threading.Lock()


def _forget() -> None:
    """A child of a fork has none of its parent's threads."""
    global _watch, _starting
    _watch, _starting = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)


def within(seconds: float, verb: Callable[[T], R], argument: T) -> R:
    """What the verb returns; raises TookTooLong in it when it has not returned within ``seconds``. Not to be nested.

    It arrives between two steps of the interpreter: what waits in the database or another C function hears of it
    when that returns.
    """
    global _watch  # noqa: PLW0603
    with _starting:
        _watch = _watch or _Watch()
    watch, thread = _watch, threading.get_ident()
    watch.enter(thread, seconds)
    try:
        return verb(argument)
    except TookTooLong:
        raise TookTooLong(f"it took longer than {seconds:g} s") from None
    finally:
        while True:
            # It may still arrive while we leave.
            try:
                watch.leave(thread)
                break
            except TookTooLong:
                continue
