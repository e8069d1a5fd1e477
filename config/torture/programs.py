"""The product's processes, and a supervisor that starts again whatever falls."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

STARTS_WITHIN = 60.0
LOOK_EVERY_SECONDS = 0.1
# What cannot start yet (no database) must not be started a hundred times a second.
PAUSE_AFTER_FALL = 0.5


class NeverUp(Exception):
    """A process did not come up in time."""


@dataclass(frozen=True, slots=True)
class Program:
    """One process to keep running.

    It is up when ``url`` answers 200, or else when its log says ``says``.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    url: str = ""
    says: str = ""


class Running:
    """One start of a program, in a process group of its own."""

    def __init__(self, program: Program, folder: Path) -> None:
        self.program = program
        self.log = folder / f"{program.name}.log"
        self.log.touch()
        self.begins_at = self.log.stat().st_size
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own programs
                program.command,
                env=dict(program.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def has_fallen(self) -> bool:
        return self.process.poll() is not None

    def is_up(self) -> bool:
        if self.has_fallen:
            return False
        if not self.program.url:
            with self.log.open("rb") as log:
                log.seek(self.begins_at)
                return self.program.says.encode() in log.read()
        try:
            return httpx.get(self.program.url, timeout=2.0).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """kill -9 of the whole group; what the process had begun stays as it is."""
        self.signal(signal.SIGKILL)
        self.process.wait()

    def signal(self, which: signal.Signals) -> None:
        """Send a signal to the whole group."""
        # It may be gone already, or live on without its leader.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, which)


class Supervisor:
    """Keeps programs running as an operator's supervisor would; leaving it kills them all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fell: Counter[str] = Counter()
        self.starts = 0
        self.lock = threading.RLock()
        self.running: dict[str, Running] = {}
        self.leaving = threading.Event()
        self.watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def __enter__(self) -> Self:
        self.watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.leaving.set()
        self.stop_all()
        self.watcher.join()

    def start(self, *programs: Program) -> None:
        with self.lock:
            for program in programs:
                self._start(program)

    def kill(self, name: str) -> None:
        """Kill one program and start it again."""
        with self.lock:
            running = self.running[name]
            running.kill()
            self._start(running.program)

    def replace(self, program: Program) -> None:
        """Kill the program of this name, and start this one in its place."""
        with self.lock:
            self.running[program.name].kill()
            self._start(program)

    @contextlib.contextmanager
    def without(self, name: str) -> Iterator[None]:
        """Kill a program, and start it again afterwards."""
        with self.lock:
            running = self.running.pop(name)
            running.kill()
        try:
            yield
        finally:
            self.start(running.program)

    def signal(self, name: str, which: signal.Signals) -> None:
        """Send a signal to a program and its children."""
        with self.lock:
            self.running[name].signal(which)

    def stop_all(self) -> None:
        """Kill every program for good."""
        with self.lock:
            for running in self.running.values():
                running.kill()
            self.running.clear()

    def wait_until_up(self, *names: str) -> None:
        """Wait for programs; raises NeverUp with the end of the log."""
        deadline = time.monotonic() + STARTS_WITHIN
        for name in names:
            while not self.running[name].is_up():
                if time.monotonic() > deadline:
                    raise NeverUp(
                        f"{name} is not up after {STARTS_WITHIN:.0f} s:\n{self.tail(name)}"
                    )
                time.sleep(LOOK_EVERY_SECONDS)

    def tail(self, name: str, lines: int = 20) -> str:
        """The end of a program's log."""
        text = (self.folder / f"{name}.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def _start(self, program: Program) -> None:
        self.running[program.name] = Running(program, self.folder)
        self.starts += 1

    def _watch(self) -> None:
        while not self.leaving.wait(LOOK_EVERY_SECONDS):
            with self.lock:
                fallen = [each for each in self.running.values() if each.has_fallen]
            if fallen and not self.leaving.wait(PAUSE_AFTER_FALL):
                for each in fallen:
                    self._raise_again(each)

    def _raise_again(self, fallen: Running) -> None:
        """Start again what fell by itself, unless somebody else did."""
        with self.lock:
            if self.running.get(fallen.program.name) is fallen:
                fallen.kill()  # its children, should any live on
                self.fell[fallen.program.name] += 1
                self._start(fallen.program)
