"""The outside client's process, as the torture sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from .client.people import Task
from .place import Place

# The longest that a client may need for one stretch of work: the web starts anew, the database recovers.
WORKS_WITHIN = 120.0
LOOK_EVERY = 0.01


class Stuck(Exception):
    """The torture itself could not go on; the message says where."""


class Outsider:
    """The client: granted loops, told to attack, asked what it saw."""

    def __init__(self, place: Place, seed: int) -> None:
        self.place, self.seed = place, seed
        self.attacks = 0
        self.output = place.directory / "client.out"
        self._read = self._incidents = 0

    def __enter__(self) -> Outsider:
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                # As any outsider's program, it sees none of our modules: only the folder it is in.
                [sys.executable, "-P", "-m", "client"],
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        try:
            self._tell(**asdict(self._task()))
        except OSError as error:
            self.__exit__()
            raise Stuck(f"the client left at once: {self.output.read_text()}") from error
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        with suppress(OSError):  # what was to be told to somebody who is gone
            self.finish()

    @property
    def done(self) -> int:
        """Loops whose incident was acknowledged. Asked often: reads on where it has stopped before."""
        if self.place.journal.exists():
            with self.place.journal.open("rb") as journal:
                journal.seek(self._read)
                whole, end, _ = journal.read().rpartition(b"\n")
            self._read += len(whole) + len(end)
            self._incidents += whole.count(b'["incident"')
        return self._incidents

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def grant(self, number: int, tenant: str) -> None:
        """Let the client open so many loops more, in one of its tenants."""
        if number:
            self._tell(grant=number, of=tenant)

    def wait_for(self, loops: int) -> None:
        """Wait until so many are acknowledged. Raises Stuck when that does not come."""
        self._wait(lambda: self.done >= loops, f"{loops} loops")

    def attack(self, name: str, **details: Any) -> int:
        """Begin an attack; its number."""
        self.attacks += 1
        self._tell(attack=name, number=self.attacks, **details)
        return self.attacks

    def wait_until_ready(self, number: int) -> bool:
        """Wait until an attack lets us break something; False when it has ended before. Raises Stuck."""
        self._wait(
            lambda: self._said("waits", number) or self._said("done", number), f"attack {number}"
        )
        return self._said("done", number) is None

    def let_go_on(self, number: int) -> None:
        self._tell(go=number)

    def wait_until_done(self, number: int) -> Any:
        """Wait for the end of an attack; what it found. Raises Stuck."""
        self._wait(lambda: self._said("done", number), f"the end of attack {number}")
        return (self._said("done", number) or {})["found"]

    def finish(self) -> None:
        """Tell the client that there will be no more."""
        assert self._input is not None
        self._input.close()

    def result(self) -> dict[str, Any]:
        """What the client saw. Raises Stuck when it did not end by itself."""
        if self.process.returncode != 0:
            raise Stuck(f"the client failed ({self.process.returncode}): {self.output.read_text()}")
        seen: dict[str, Any] = json.loads(self.output.read_text().strip().rpartition("\n")[2])
        return seen

    def _task(self) -> Task:
        place = self.place
        return Task(
            api=place.address,
            streams=place.streams,
            journal=str(place.journal),
            seed=self.seed,
            tokens=place.tokens,
            reviewers=place.reviewers,
            known=place.known,
        )

    def _said(self, word: str, number: int) -> dict[str, Any] | None:
        """The line of output in which an attack said this."""
        for line in self.output.read_text(errors="replace").splitlines():
            if line.startswith(f'{{"{word}": {number}'):
                said: dict[str, Any] = json.loads(line)
                if said[word] == number:
                    return said
        return None

    def _wait(self, is_so: Any, what: str) -> None:
        deadline = time.monotonic() + WORKS_WITHIN
        while not is_so():
            if self.has_ended or time.monotonic() > deadline:
                raise Stuck(
                    f"waiting for {what}, the client has {self.done} loops: {self.output.read_text()[-2_000:]}"
                )
            time.sleep(LOOK_EVERY)

    def _tell(self, **words: Any) -> None:
        assert self._input is not None
        self._input.write(f"{json.dumps(words)}\n")
        self._input.flush()

    @property
    def _input(self) -> IO[str] | None:
        return self.process.stdin
