"""What one gesture caused: everything written because of one request, command or beat of the clock shares an id.

A step of the loop carries the gesture that made it ready, so what the loop does later, in another process, still
belongs to it. Entries of the ledger, events of stories and lines of the log all say theirs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .ids import new_id

_gesture: ContextVar[str] = ContextVar("antibody_gesture", default="")


@contextmanager
def new_gesture() -> Iterator[str]:
    """What happens inside is caused by one gesture, which begins here; its id."""
    with caused_by(new_id("ges")) as made:
        yield made


@contextmanager
def caused_by(gesture: str) -> Iterator[str]:
    """What happens inside is caused by this gesture; where it is not known (empty), by the one at hand."""
    token = _gesture.set(gesture or _gesture.get())
    try:
        yield gesture
    finally:
        _gesture.reset(token)


def current_gesture() -> str:
    """The id of the gesture at hand; where nobody began one, what is written now is one of its own."""
    return _gesture.get() or new_id("ges")


class Gestured(logging.Filter):
    """Gives every line of the log its gesture, "-" where there is none.

    Django writes a line about a request that it refused after everything around the request has ended.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        of_request = getattr(getattr(record, "request", None), "gesture", "")
        record.gesture = of_request or _gesture.get() or "-"
        return True
