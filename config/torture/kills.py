"""Waves of sweepers that die at points: one for each of the twenty-five, and one between an outside call and its end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from itertools import count
from typing import IO

from governance.models import Stage

from .invariants import connected
from .outsider import Outsider
from .place import Place
from .points import BRIDGES, CALLED, EVERY_BRIDGE, TOGETHER, Crash
from .programs import NeverUp

STARTS_WITHIN = 60.0
# So few at once that each finds loops to work on, and so many that nobody waits for one.
AT_ONCE = 6
DIES_WITHIN = 45.0
GRANTS_EVERY = 0.3
CALLS_EVERY = 4  # turns: who asks outside takes its time
LOOK_EVERY = 0.02
KILLED = "-9"


def wave(number: int, rng: random.Random) -> list[Crash]:
    """The deaths of a wave: every point once, by turns with all stages in one transaction and with each in its own.

    Where a fresh loop never comes by in its first transaction, the stages are always apart.
    """
    places = [(stage, point) for stage in BRIDGES for point in EVERY_BRIDGE]
    crashes = [
        Crash(*place, apart=place not in TOGETHER or (number + at) % 2 == 1)
        for at, place in enumerate(places)
    ]
    crashes.append(Crash(Stage.RECOVERY_SUGGESTED.value, CALLED))
    rng.shuffle(crashes)
    return crashes


class Victims:
    """The program that forks them, and what it has said of each."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.deaths: Counter[str] = Counter()
        self.unmet: list[str] = []
        self.sent = 0
        self.said: list[str] = []
        self.log = (place.logs / "victims.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "config.torture.victims"],
            env=place.env(broker=True),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            start_new_session=True,
        )
        self.listener = threading.Thread(target=self._listen, name="victims", daemon=True)
        self.listener.start()

    def __enter__(self) -> Victims:
        return self

    def __exit__(self, *_: object) -> None:
        with ExitStack() as left:
            left.callback(self.log.close)
            left.callback(self._pipe(self.process.stdout).close)
            left.callback(self.listener.join)
            left.callback(self._end)
            with suppress(OSError):  # what was to be told to somebody who is gone
                self._pipe(self.process.stdin).close()

    def _end(self) -> None:
        """The end of its input ends it and its sweepers; if not, all of them are ended, for they hold its output open."""
        try:
            self.process.wait(timeout=10.0)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def die(self, crashes: Sequence[Crash], outside: Outsider, loops: int) -> None:
        """Let a sweeper die at each of these points, while the client opens about so many loops for them."""
        self._wait_until_ready()
        for begin in range(0, len(crashes), AT_ONCE):
            few = crashes[begin : begin + AT_ONCE]
            self._die(few, outside, max(len(few), loops * len(few) // len(crashes)))

    def _die(self, crashes: Sequence[Crash], outside: Outsider, loops: int) -> None:
        living = {self._send(crash): crash for crash in crashes}
        outside.grant(loops, "scene")
        deadline = time.monotonic() + DIES_WITHIN
        for turn in count():
            calls = sum(crash.point == CALLED for crash in living.values())
            if calls and turn % CALLS_EVERY == 0:
                outside.grant(2, "calls")
            self._wait_a_little(living)
            if not living or time.monotonic() > deadline:
                break
            if not self._has_fresh_loops():
                outside.grant(len(living) - calls, "scene")
        # What nobody has come by is not counted as having been survived.
        self.unmet += [str(crash) for crash in living.values()]

    def _has_fresh_loops(self) -> bool:
        """Whether there is something that nobody has taken yet."""
        with connected(self.place.dsn) as connection:
            row = connection.execute(
                "SELECT EXISTS (SELECT FROM governance_loopstep WHERE state = 'ready' AND attempts = 0)"
            ).fetchone()
        return bool(row and row[0])

    def _wait_a_little(self, living: dict[int, Crash]) -> None:
        """Until it is time for more loops; counts who has died meanwhile."""
        until = time.monotonic() + GRANTS_EVERY
        while living and time.monotonic() < until:
            time.sleep(LOOK_EVERY)
            said = list(self.said)
            for number, crash in list(living.items()):
                if not any(words.startswith(f"ended {number} ") for words in said):
                    continue
                del living[number]
                if f"reached {number} {crash}" in said and f"ended {number} {KILLED}" in said:
                    self.deaths[f"{crash.stage}:{crash.point}"] += 1
                else:  # of something else, poison perhaps: somebody takes its place
                    living[self._send(crash)] = crash

    def _send(self, crash: Crash) -> int:
        self.sent += 1
        pipe = self._pipe(self.process.stdin)
        pipe.write(f"{crash}\n")
        pipe.flush()
        return self.sent

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + STARTS_WITHIN
        while "ready" not in self.said:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise NeverUp("the program of the victims is not up: see victims.log")
            time.sleep(LOOK_EVERY)

    def _listen(self) -> None:
        for line in self._pipe(self.process.stdout):
            self.said.append(line.strip())

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe
