"""Sweepers that die where they are told: a program that has everything loaded and forks one for each line it reads.

A line is a crash point (``points.Crash``). What it says: ``ready``; ``reached N POINT`` from the N-th sweeper as it
kills itself; ``ended N STATUS`` when it is gone (-9: killed). The end of the input ends every sweeper.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator

import django


def main() -> None:
    django.setup()
    from django.db import connections

    from governance.loop.bridges import bridges

    # Loaded here once and for all; a connection, or a thread, would not survive the fork.
    bridges()
    connections.close_all()
    _say("ready")
    sweepers: dict[int, int] = {}
    for number, words in enumerate(_lines(sweepers), 1):
        if (pid := os.fork()) == 0:
            _sweep_until(number, words)
        sweepers[pid] = number
    for pid in sweepers:
        os.kill(pid, signal.SIGKILL)


def _lines(sweepers: dict[int, int]) -> Iterator[str]:
    """The input's lines as they come; says meanwhile who has ended."""
    rest = ""
    while True:
        _bury(sweepers)
        if not select.select([sys.stdin], [], [], 0.02)[0]:
            continue
        got = os.read(sys.stdin.fileno(), 65_536).decode()
        if not got:
            return
        *lines, rest = (rest + got).split("\n")
        yield from lines


def _bury(sweepers: dict[int, int]) -> None:
    while sweepers:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        _say(f"ended {sweepers.pop(pid)} {os.waitstatus_to_exitcode(status)}")


def _sweep_until(number: int, words: str) -> None:
    """Be a sweeper, in a process that does not return."""
    from governance.loop.sweep import sweep_forever

    from . import points

    try:
        points.arm(points.Crash.of(words), lambda: _say(f"reached {number} {words}"))
        sweep_forever(threading.Event())
    finally:
        os._exit(1)


def _say(words: str) -> None:
    # One write, which no other process's can come between.
    os.write(sys.stdout.fileno(), f"{words}\n".encode())


if __name__ == "__main__":
    main()
