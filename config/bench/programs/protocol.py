"""How the harness talks with a program: a word on stdin, one line of JSON back on stdout.

(start)            -> {"ready": true}
queue FIRST COUNT  -> {"queued": COUNT}      write that many loops, ready to be worked
go                 -> {"working": true}      work whatever is ready, until told to stop
stop               -> {"statements": N}      SQL statements since the last "go"
(end of input)     the program leaves
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol

import psycopg
from psycopg.types.json import JsonbDumper


class Program(Protocol):
    """What every program of the race can do."""

    def queue(self, first: int, count: int) -> None:
        """Make the loops numbered ``first`` to ``first + count - 1`` ready."""

    def work(self, leaving: threading.Event) -> None:
        """Work what is ready until ``leaving`` is set."""


def serve(program: Program, statements: Callable[[], int]) -> None:
    """Obey the harness until it closes our stdin. ``statements`` is a counter that only rises."""
    leaving, worker, before = threading.Event(), threading.Thread(), 0
    _say(ready=True)
    for line in sys.stdin:
        match line.split():
            case ["queue", first, count]:
                program.queue(int(first), int(count))
                _say(queued=int(count))
            case ["go"]:
                leaving.clear()
                before = statements()
                worker = threading.Thread(target=program.work, args=(leaving,), name="work")
                _say(working=True)
                worker.start()
            case ["stop"]:
                leaving.set()
                worker.join()
                _say(statements=statements() - before)
            case unknown:
                raise ValueError(f"The harness said {unknown}.")


def _say(**words: Any) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


class Counter:
    """A number that threads of one process add to."""

    def __init__(self) -> None:
        self._value = 0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self._value += count

    def value(self) -> int:
        return self._value


def count_statements(add: Callable[[int], None]) -> None:
    """Report every statement that psycopg sends in this process, whoever asks it to; not BEGIN and COMMIT.

    Django, SQLAlchemy and a hand-written program all come through here, so all are counted alike.
    """
    execute, executemany = psycopg.Cursor.execute, psycopg.Cursor.executemany

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        add(1)
        return execute(self, *args, **kwargs)

    def counted_many(self: Any, query: Any, params_seq: Any, **kwargs: Any) -> Any:
        rows = list(params_seq)
        add(len(rows))
        return executemany(self, query, rows, **kwargs)

    psycopg.Cursor.execute = counted  # type: ignore[method-assign]
    psycopg.Cursor.executemany = counted_many  # type: ignore[method-assign]


def send_dicts_as_json() -> None:
    """Let psycopg send dictionaries as jsonb, for programs without an ORM that would."""
    psycopg.adapters.register_dumper(dict, JsonbDumper)
