"""Whether the product may govern: every check by name, asked at start and every 30 seconds.

A process keeps what its own last look found. Whoever must know (the guard's routes, a page) reads that and asks
nobody; a thread looks again. What was last seen too long ago is not known, and what is not known is not ready.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from importlib import import_module

from django.conf import settings
from django.db import connection, transaction

from .database import deadline

log = logging.getLogger("antibody.readiness")

EVERY_SECONDS = 30.0
# While something is wrong: a recovery is noticed within two seconds.
AGAIN_SECONDS = 1.0
# Two looks that did not come: whoever should have looked is gone or stuck.
STALE_SECONDS = 2 * EVERY_SECONDS
# Somebody who saw an error may ask for a look at once, but not for one after the other.
LEAST_SECONDS = 0.25
# How long one check may wait for the database.
CHECK_SECONDS = 5.0
# Who asks for a look of his own gets one that is no older than this: many who ask cost no more than one.
FRESH_SECONDS = 2.0
# How long a process that begins to serve waits for its own first look.
FIRST_LOOK_SECONDS = 10.0

DATABASE = "database"
NOT_LOOKED = "readiness"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be so. ``ask`` answers None, or what is wrong and how to mend it, for an operator's eyes.

    A ``warning`` never makes the product unready. What ``needs_database`` is not asked where the database gave no
    answer, what ``needs_running`` not before the processes that it asks about were started.
    """

    name: str
    ask: Callable[[], str | None]
    is_warning: bool = False
    needs_database: bool = True
    needs_running: bool = False


class Mark(StrEnum):
    """How a check came out."""

    OK = "ok"
    FAILING = "failing"
    WARNING = "warning"
    UNKNOWN = "unknown"
    """Could not be asked, and so is not known to be well."""
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    mark: Mark
    text: str = ""

    def __str__(self) -> str:
        match self.mark:
            case Mark.OK:
                return "ok"
            case Mark.FAILING:
                return self.text
        return f"{self.mark}: {self.text}"


@dataclass(frozen=True, slots=True)
class Standing:
    """What the last look found. ``failing`` is the first failing check's name, empty where all is well.

    ``since`` is when this process first saw it so.
    """

    findings: Mapping[str, Finding]
    failing: str = ""
    text: str = ""
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    looked_at: float = field(default_factory=time.monotonic)

    @property
    def is_ready(self) -> bool:
        return not self.failing

    @property
    def age_seconds(self) -> float:
        return max(0.0, time.monotonic() - self.looked_at)

    @property
    def warnings(self) -> list[str]:
        return [name for name, found in self.findings.items() if found.mark is Mark.WARNING]


def checks() -> tuple[Check, ...]:
    """Every check in order; from the module that settings.ANTIBODY_CHECKS names."""
    found: tuple[Check, ...] = import_module(settings.ANTIBODY_CHECKS).CHECKS
    return found


def examine(wanted: Iterable[Check] | None = None, *, running: bool = True) -> dict[str, Finding]:
    """Ask every check now, in order. Without ``running``, what needs other processes at work is skipped."""
    found: dict[str, Finding] = {}
    for check in checks() if wanted is None else wanted:
        database = found.get(DATABASE)
        if check.needs_running and not running:
            found[check.name] = Finding(Mark.SKIPPED, "asks about running processes")
        elif check.needs_database and database and database.mark is not Mark.OK:
            found[check.name] = Finding(Mark.UNKNOWN, "the database gives no answer")
        else:
            found[check.name] = _ask(check)
    return found


def _ask(check: Check) -> Finding:
    try:
        if not check.needs_database:
            wrong = check.ask()
        else:
            # Of its own, so that one that fails leaves the next a sound transaction.
            with deadline.within(CHECK_SECONDS), transaction.atomic():
                wrong = check.ask()
    except Exception as error:  # noqa: BLE001 - whatever breaks a check is its result
        # Its name only: the text of an error may quote anything.
        log.warning("the check %s broke: %s", check.name, error)
        wrong = f"could not be asked: {type(error).__name__}; the log has its text"
    if wrong is None:
        return Finding(Mark.OK)
    return Finding(Mark.WARNING if check.is_warning else Mark.FAILING, wrong)


def look() -> Standing:
    """Ask every check now, in this thread, and let the process know."""
    return remember(examine())


def remember(findings: Mapping[str, Finding]) -> Standing:
    """Keep what was found as what this process knows."""
    failing = next(
        (name for name, found in findings.items() if found.mark in (Mark.FAILING, Mark.UNKNOWN)), ""
    )
    before = _watch.known
    same = before is not None and before.failing == failing
    now = Standing(
        findings,
        failing,
        findings[failing].text if failing else "",
        since=before.since if before and same else datetime.now(UTC),
    )
    _watch.tell(now, again=same)
    _watch.keep(now)
    return now


def standing(*, wait: float = 0.0) -> Standing:
    """What this process knows, without asking anybody; ``wait`` is how long the very first look may be waited for.

    Where nobody watches yet, the watch begins. A standing that is too old, or not there, is not ready.
    """
    known = _watch.known
    if known is None or known.age_seconds > STALE_SECONDS:
        watch()
        known = _watch.await_look(known, wait)
    if known is None:
        return Standing({}, NOT_LOOKED, "The checks have not been run yet.")
    if known.age_seconds > STALE_SECONDS:
        text = f"The checks have not been run for {known.age_seconds:.0f} seconds."
        return Standing(known.findings, NOT_LOOKED, text, known.since, known.looked_at)
    return known


def fresh(*, wait: float = FIRST_LOOK_SECONDS) -> Standing:
    """What is known, from a look of the last two seconds: a new one is waited for where there was none."""
    known = _watch.known
    if known is not None and known.age_seconds < FRESH_SECONDS:
        return known
    watch()
    doubt()
    _watch.await_look(known, wait)
    return standing()


def doubt() -> None:
    """Say that something went wrong that a check may explain: the next look comes at once."""
    _watch.wake.set()


def watch() -> None:
    """Let a thread of this process look again and again. Needs to be said only once, and may be said often."""
    _watch.begin()


def await_ready(seconds: float = FIRST_LOOK_SECONDS) -> Standing:
    """Wait until all is well, at most so long; what is known then."""
    latest = time.monotonic() + seconds
    found = standing(wait=seconds)
    while not found.is_ready and (left := latest - time.monotonic()) > 0:
        doubt()
        _watch.await_look(_watch.known, left)
        found = standing()
    return found


class _Watch:
    """What one process knows, and its thread that looks. A forked process begins with nothing."""

    def __init__(self) -> None:
        self.known: Standing | None = None
        self.looked = threading.Condition()
        self.wake = threading.Event()
        self.thread: threading.Thread | None = None
        self.lock = threading.Lock()
        self.is_told = False

    def tell(self, now: Standing, *, again: bool) -> None:
        """Log what fails once it was seen twice: when a process starts, others may just be coming up."""
        if now.failing and again and not self.is_told:
            self.is_told = True
            log.warning("not ready: %s: %s", now.failing, now.text)
        elif now.is_ready and self.is_told:
            self.is_told = False
            log.warning("ready again")

    def keep(self, now: Standing) -> None:
        with self.looked:
            self.known = now
            self.looked.notify_all()

    def await_look(self, before: Standing | None, seconds: float) -> Standing | None:
        """Wait for a look that is newer than this; what is known then."""
        with self.looked:
            self.looked.wait_for(lambda: self.known is not before, seconds)
            return self.known

    def begin(self) -> None:
        if self.thread is not None and self.thread.is_alive():
            return
        with self.lock:
            if self.thread is not None and self.thread.is_alive():
                return
            self.thread = threading.Thread(target=self._run, name="readiness", daemon=True)
            self.thread.start()

    def _run(self) -> None:
        # A connection of its own: where all of the pool's are taken, the database is busy and not away.
        own = connection.settings_dict
        options = {name: value for name, value in own["OPTIONS"].items() if name != "pool"}
        connection.settings_dict = {**own, "OPTIONS": options}
        while True:
            try:
                known = look()
            except Exception:
                log.exception("the checks could not be run")
                known = None
            finally:
                connection.close()
            time.sleep(LEAST_SECONDS)
            again = EVERY_SECONDS if known and known.is_ready else AGAIN_SECONDS
            self.wake.wait(again - LEAST_SECONDS)
            self.wake.clear()


_watch = _Watch()


def _after_fork() -> None:
    global _watch  # noqa: PLW0603 - locks and threads of the parent mean nothing here
    _watch = _Watch()


os.register_at_fork(after_in_child=_after_fork)
