"""One torture from beginning to end: start everything, let the client work, break things, count."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from . import client
from .faults import Fault, Form, Kind, plan
from .figures import Figures
from .invariants import NEVER, UNFINISHED, Violation, connected, violations
from .place import Place, opened
from .programs import Supervisor

SETTLES_WITHIN = 15.0
# How long we look on after that, to say how long it really took.
LOOKS_ON_FOR = 60.0
LOOK_EVERY_SECONDS = 0.2
# The longest that a client may need for one stretch of work: the web starts anew, the database recovers.
WORKS_WITHIN = 120.0

TARGETS = {
    Kind.KILL_WORKER: "worker",
    Kind.KILL_SWEEPER: "sweeper",
    Kind.KILL_WEB: "web",
    Kind.KILL_WHOLE: "whole",
}
SIGNALS = {Kind.KILL_POSTGRES: signal.SIGKILL, Kind.STOP_POSTGRES: signal.SIGQUIT}

Say = Callable[[str], object]


class Stuck(Exception):
    """The torture itself could not go on; the message says where."""


def torture(form: Form, *, loops: int, seed: int | None, say: Say, keep: bool = False) -> Figures:
    """Run one torture. ``loops`` is how many incidents the client has acknowledged in the end.

    Raises ValueError for fewer loops than faults, Stuck and NeverUp when the product or the client does not
    come up any more. All processes and files are gone afterwards (``keep`` leaves the files).
    """
    seed = random.SystemRandom().randrange(1_000_000) if seed is None else seed
    faults = plan(form, loops, seed)
    began = time.monotonic()
    say(f"seed {seed}: {loops} loops, {len(faults)} faults")
    with ExitStack() as stack:
        place = stack.enter_context(opened(keep=keep))
        say(f"in {place.directory}, broker: {_broker(place)}")
        supervisor = stack.enter_context(Supervisor(place.logs))
        figures = Figures(form.name, seed, _broker(place))
        Torture(place, supervisor, figures, say).run(faults, loops)
    figures.seconds = round(time.monotonic() - began, 1)
    return figures


def _broker(place: Place) -> str:
    return "redis" if place.broker_port else "memory (no redis-server on this machine)"


class Torture:
    """The run of one torture."""

    def __init__(self, place: Place, supervisor: Supervisor, figures: Figures, say: Say) -> None:
        self.place, self.supervisor, self.figures, self.say = place, supervisor, figures, say
        self.found: set[Violation] = set()
        self.last_fault_at = time.monotonic()
        self.is_whole = False

    def run(self, faults: Sequence[Fault], loops: int) -> None:
        self._start_programs(whole=bool(faults) and faults[0].is_whole)
        with Client(self.place, self.figures.seed) as outside:
            for number, fault in enumerate(faults, 1):
                self._break(fault, outside, f"{number}/{len(faults)}")
            outside.work_up_to(loops)
            outside.finish()
            self._settle(outside)
        self._conclude(outside)

    def _start_programs(self, *, whole: bool) -> None:
        programs = self.place.whole() if whole else self.place.apart()
        self.is_whole = whole
        self.supervisor.stop_all()
        self.supervisor.start(*programs)
        self.supervisor.wait_until_up(*(program.name for program in programs))

    def _break(self, fault: Fault, outside: Client, place: str) -> None:
        """Let the client work, break one thing in the midst of it, and see that nothing that was said is untrue."""
        if fault.kind == Kind.FLUSH_BROKER and self.place.broker_port is None:
            self.figures.skipped.append(f"{fault.kind}: no redis-server on this machine")
            return
        if fault.is_whole and not self.is_whole:
            self.say("from here on in one process")
            self._start_programs(whole=True)
        if target := TARGETS.get(fault.kind):
            self.supervisor.wait_until_up(target)
        outside.work_up_to(fault.granted)
        outside.wait_for(fault.after)
        time.sleep(fault.delay)
        self._inflict(fault)
        self.last_fault_at = time.monotonic()
        self.figures.faults += 1
        self.figures.by_kind[fault.kind] += 1
        found = self._check()
        self.say(f"{place} {fault.kind} after {outside.done} loops: {len(found)} not so")

    def _inflict(self, fault: Fault) -> None:
        if target := TARGETS.get(fault.kind):
            self.supervisor.kill(target)
        elif fault.kind == Kind.FLUSH_BROKER:
            self.place.flush_broker()
        else:
            self.place.break_postgres(SIGNALS[fault.kind], fault.outage)

    def _check(self, *, over: bool = False) -> list[Violation]:
        """Ask for everything; what only counts in the end is left out before (``over``)."""
        # First what was promised, then what is there: not the other way round.
        acknowledged = client.read_journal(self.place.journal)
        found = violations(self.place.dsn, acknowledged)
        self.figures.checks += 1
        wrong = [each for each in found if over or each.promise in NEVER]
        self.found.update(each for each in wrong if each.promise != UNFINISHED)
        return wrong

    def _settle(self, outside: Client) -> None:
        """Wait until the client is through and no loop is on its way; count what is when the time is over."""
        deadline = self.last_fault_at + SETTLES_WITHIN
        is_counted = False
        while True:
            on_their_way = self._on_their_way()
            now = time.monotonic()
            is_over = outside.has_ended and not on_their_way
            if is_over:
                self.figures.settled_after_s = round(now - self.last_fault_at, 2)
            if not is_counted and (is_over or now > deadline):
                self.figures.unfinished, is_counted = on_their_way, True
            if is_over or now > deadline + LOOKS_ON_FOR:
                return
            time.sleep(LOOK_EVERY_SECONDS)

    def _on_their_way(self) -> int:
        with connected(self.place.dsn) as connection:
            row = connection.execute(
                "SELECT count(*) FROM governance_looptrace WHERE state = 'running'"
            ).fetchone()
        return int(row[0]) if row else 0

    def _conclude(self, outside: Client) -> None:
        figures = self.figures
        self._check(over=True)
        figures.count(sorted(self.found))
        seen = outside.result()
        figures.duplicated += len(seen["confused"])
        figures.answers, figures.repeated = seen["answers"], seen["repeated"]
        figures.refusals = [*seen["refused"], *seen["confused"]]
        figures.refused = len(seen["refused"])
        figures.crashed = seen["answers"].get("500", 0)
        kinds = Counter(kind for kind, _ in client.read_journal(self.place.journal))
        figures.acknowledged, figures.loops = dict(sorted(kinds.items())), kinds["incident"]
        figures.starts, figures.fell = self.supervisor.starts, dict(self.supervisor.fell)
        figures.load = round(os.getloadavg()[0], 1)
        self._survey()

    def _survey(self) -> None:
        """Where the loops ended, what they wait for, and why steps had to be tried again."""
        with connected(self.place.dsn) as connection:
            self.figures.states, self.figures.waiting_in, self.figures.failures = (
                dict(connection.execute(question).fetchall())
                for question in (_STATES, _WAITS, _FAILURES)
            )


_STATES = "SELECT state, count(*) FROM governance_looptrace GROUP BY 1 ORDER BY 1"
_WAITS = """
SELECT failure_state, count(*) FROM governance_looptrace WHERE state = 'waiting' GROUP BY 1 ORDER BY 1
"""
_FAILURES = """
SELECT left(details ->> 'error', 120), count(*) FROM governance_loopevent WHERE type = 'failed' GROUP BY 1 ORDER BY 1
"""


class Client:
    """The outside client's process, as we see it."""

    def __init__(self, place: Place, seed: int) -> None:
        self.place, self.seed = place, seed
        self.granted = 0
        self.output = place.directory / "client.out"

    def __enter__(self) -> Client:
        task = client.Task(
            api=self.place.address,
            agent_token=self.place.agent_token,
            reviewer_token=self.place.reviewer_token,
            journal=str(self.place.journal),
            seed=self.seed,
        )
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(  # noqa: S603 - our own program
                # -P: as any outsider's program, it sees none of our modules.
                [sys.executable, "-P", str(Path(client.__file__))],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        self._tell(json.dumps(asdict(task)))
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    @property
    def done(self) -> int:
        """Loops whose incident was acknowledged."""
        return sum(kind == "incident" for kind, _ in client.read_journal(self.place.journal))

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def work_up_to(self, loops: int) -> None:
        """Let the client open loops until there are this many."""
        if loops > self.granted:
            self._tell(str(loops - self.granted))
            self.granted = loops

    def wait_for(self, loops: int) -> None:
        """Wait until so many are acknowledged. Raises Stuck when that does not come."""
        deadline = time.monotonic() + WORKS_WITHIN
        while self.done < loops:
            if self.has_ended or time.monotonic() > deadline:
                raise Stuck(
                    f"the client has {self.done} of {loops} loops: {self.output.read_text()}"
                )
            time.sleep(0.01)

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

    def _tell(self, line: str) -> None:
        assert self._input is not None
        self._input.write(f"{line}\n")
        self._input.flush()

    @property
    def _input(self) -> IO[str] | None:
        return self.process.stdin
