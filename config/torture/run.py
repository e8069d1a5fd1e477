"""One torture from beginning to end: start everything, let the client work, break things, count."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack

from . import clocks, restoring
from .breaking.processes import TARGETS
from .breaking.table import BREAKS
from .client.journal import read_journal
from .faults import NEEDS_BROKER, Fault, Form, Kind, plan
from .figures import Figures
from .invariants import NEVER, UNFINISHED, Violation, connected, on_their_way, violations
from .kills import Victims
from .outside import Outside
from .outsider import Outsider
from .place import Place, manage, opened
from .programs import Supervisor
from .settling import Settling
from .site import Say, Site

# How long we look on after the last fault, to say how long it really took.
LOOKS_ON_FOR = 75.0
LOOK_EVERY_SECONDS = 0.2
# Five tries of ten seconds, leases that must run out first, and the pauses between.
POISON_WORKS_WITHIN = 150.0
# Of what is not so, as it is found; all of it stands at the end.
SHOWN_AT_ONCE = 5


def torture(form: Form, *, loops: int, seed: int | None, say: Say, keep: bool = False) -> Figures:
    """Run one torture. ``loops`` is about how many incidents the client has acknowledged in the end: some faults
    open more.

    Raises ValueError for fewer loops than faults, Stuck and NeverUp when the product or the client does not
    come up any more. All processes and files are gone afterwards (``keep`` leaves the files).
    """
    seed = random.SystemRandom().randrange(1_000_000) if seed is None else seed
    faults = plan(form, loops, seed)
    began = time.monotonic()
    say(f"seed {seed}: {loops} loops, {len(faults)} faults")
    with ExitStack() as stack:
        outside = stack.enter_context(Outside())
        place = stack.enter_context(opened(outside=outside.address, keep=keep))
        say(f"in {place.directory}, broker: {_broker(place)}")
        site = Site(
            place,
            stack.enter_context(Supervisor(place.logs)),
            Outsider(place, seed),
            outside,
            stack.enter_context(Victims(place)),
            Figures(form.name, seed, _broker(place)),
            say,
        )
        Torture(site).run(faults, loops)
    site.figures.seconds = round(time.monotonic() - began, 1)
    return site.figures


def _broker(place: Place) -> str:
    return "redis" if place.broker else "memory (no redis-server on this machine)"


class Torture:
    """The run of one torture."""

    def __init__(self, site: Site) -> None:
        self.site, self.figures = site, site.figures
        self.found: set[Violation] = set()
        self.began = self.last_fault_at = time.monotonic()
        self.is_whole = False

    def run(self, faults: Sequence[Fault], loops: int) -> None:
        client = self.site.client
        self._start_programs(whole=bool(faults) and faults[0].is_whole)
        with client:
            client.grant(0 if faults else loops, "world")
            for number, fault in enumerate(faults, 1):
                self._break(fault, f"{number}/{len(faults)}")
            client.finish()
            self._settle()
            self._wait_for_poison()
        self._conclude()

    def _start_programs(self, *, whole: bool) -> None:
        programs = self.site.place.whole() if whole else self.site.place.apart()
        supervisor = self.site.supervisor
        self.is_whole = whole
        supervisor.stop_all()
        supervisor.start(*programs)
        supervisor.wait_until_up(*(program.name for program in programs))

    def _break(self, fault: Fault, place: str) -> None:
        """Let the client work, break one thing in the midst of it, and see that nothing that was said is untrue."""
        site = self.site
        if why := self._why_not(fault):
            self.figures.skipped.append(f"{fault.kind}: {why}")
            return
        if fault.is_whole and not self.is_whole:
            site.say("from here on in one process")
            self._start_programs(whole=True)
        if target := TARGETS.get(fault.kind):
            site.supervisor.wait_until_up(target)
        if fault.kind != Kind.DIE_AT_POINTS:  # a wave opens its loops itself, as it needs them
            before = site.client.done
            site.client.grant(fault.loops, "world")
            site.client.wait_for(before + fault.after)
        time.sleep(fault.delay)
        BREAKS[fault.kind](site, fault)
        self.last_fault_at = time.monotonic()
        self.figures.faults += 1
        self.figures.by_kind[fault.kind] += 1
        found = self._check()
        at = time.monotonic() - self.began
        site.say(
            f"{at:5.0f} s  {place} {fault.kind} after {site.client.done} loops: {len(found)} not so"
        )

    def _why_not(self, fault: Fault) -> str:
        """Why a fault cannot be done on this machine; empty where it can."""
        if fault.kind in NEEDS_BROKER and self.site.place.broker is None:
            return "no redis-server on this machine"
        if fault.kind == Kind.JUMP_CLOCK and not clocks.is_installed():
            return "no faketime on this machine"
        return ""

    def _check(self, *, over: bool = False) -> list[Violation]:
        """Ask for everything; what only counts in the end is left out before (``over``)."""
        # First what was promised, then what is there: not the other way round.
        acknowledged = read_journal(self.site.place.journal)
        found = violations(self.site.place.dsn, acknowledged, self.site.outside.counted())
        self.figures.checks += 1
        wrong = [each for each in found if over or each.promise in NEVER]
        new = {each for each in wrong if each.promise != UNFINISHED} - self.found
        for each in sorted(new)[:SHOWN_AT_ONCE]:
            self.site.say(f"         {each.promise}: {each.rule}: {each.id}")
        self.found |= new
        return wrong

    def _settle(self) -> None:
        """Wait until the client is through and no loop is on its way; count what takes too long."""
        settling = Settling(self.last_fault_at)
        while True:
            running = on_their_way(self.site.place.dsn)
            now = time.monotonic()
            settling.look(running, now, is_poison_at_work=self._count(_POISON_AT_WORK) > 0)
            is_over = self.site.client.has_ended and not running
            if is_over:
                self.figures.settled_after_s = round(now - self.last_fault_at, 2)
                break
            if now > self.last_fault_at + LOOKS_ON_FOR:
                settling.late |= running
                break
            time.sleep(LOOK_EVERY_SECONDS)
        self.figures.unfinished = len(settling.late)
        for trace in sorted(settling.late)[:SHOWN_AT_ONCE]:
            self.site.say(f"         on its way for too long: {trace}")

    def _wait_for_poison(self) -> None:
        """What was fed last may still be at work; what it does not kill in time, it has not killed."""
        while (
            self._count(_STILL_POISONED)
            and time.monotonic() < self.site.poisoned_at + POISON_WORKS_WITHIN
        ):
            time.sleep(LOOK_EVERY_SECONDS)

    def _count(self, question: str) -> int:
        with connected(self.site.place.dsn) as connection:
            row = connection.execute(question).fetchone()
        return int(row[0]) if row else 0

    def _conclude(self) -> None:
        site, figures = self.site, self.figures
        self._check(over=True)
        self._verify_ledger()
        site.supervisor.stop_all()
        for file, acknowledged in site.backups:
            wrong, proof = restoring.prove(site.place, file, acknowledged)
            self.found.update(wrong)
            figures.unfinished += proof["unfinished"]
            figures.restored.append(proof)
        figures.count(sorted(self.found))
        figures.deaths_at = dict(sorted(site.victims.deaths.items()))
        figures.deaths, figures.unmet = site.victims.deaths.total(), len(site.victims.unmet)
        figures.outside = site.outside.figures()
        figures.starts, figures.fell = site.supervisor.starts, dict(site.supervisor.fell)
        figures.load = round(os.getloadavg()[0], 1)
        self._take_from_client()
        self._survey()

    def _verify_ledger(self) -> None:
        """Every entry, its number, and the tree against what was signed outside, as an operator verifies them."""
        try:
            said = self.site.place.run(*manage("verify_ledger", "--json"))
        except RuntimeError as error:
            self.found.add(Violation("broken", "the ledger is as it was written", str(error)))
            return
        told = json.loads(said.splitlines()[-1])
        self.figures.ledger = {name: told[name] for name in ("entries", "signed")}

    def _take_from_client(self) -> None:
        figures, seen = self.figures, self.site.client.result()
        figures.duplicated += len(seen["confused"])
        figures.answers, figures.repeated = seen["answers"], seen["repeated"]
        figures.refusals = [*seen["refused"], *seen["confused"], *self.site.victims.unmet]
        figures.refused = len(seen["refused"])
        figures.crashed = seen["answers"].get("500", 0)
        kinds = Counter(kind for kind, _ in read_journal(self.site.place.journal))
        figures.acknowledged, figures.loops = dict(sorted(kinds.items())), kinds["incident"]

    def _survey(self) -> None:
        """Where the loops ended, what they wait for, what poison did, and why steps had to be tried again."""
        with connected(self.site.place.dsn) as connection:
            (
                self.figures.states,
                self.figures.waiting_in,
                self.figures.poisoned,
                self.figures.failures,
            ) = (
                dict(connection.execute(question).fetchall())
                for question in (_STATES, _WAITS, _POISONED, _FAILURES)
            )


_STILL_POISONED = """
SELECT count(*) FROM governance_looptrace t JOIN incidents_incident i ON i.id = t.incident_id
 WHERE t.state = 'running' AND i.source = 'poison'
"""
# The step that it was fed to is being tried, or was lost by the process that it killed.
_POISON_AT_WORK = """
SELECT count(*) FROM governance_loopstep s JOIN governance_looptrace t ON t.id = s.trace_id
  JOIN incidents_incident i ON i.id = t.incident_id
 WHERE s.state = 'running' AND i.source = 'poison'
"""
_STATES = "SELECT state, count(*) FROM governance_looptrace GROUP BY 1 ORDER BY 1"
_WAITS = """
SELECT failure_state, count(*) FROM governance_looptrace WHERE state = 'waiting' GROUP BY 1 ORDER BY 1
"""
_POISONED = """
SELECT split_part(i.source_key, '/', 1) || ' at ' || split_part(i.source_key, '/', 2) || ': ' || t.state, count(*)
  FROM incidents_incident i JOIN governance_looptrace t ON t.incident_id = i.id
 WHERE i.source = 'poison' GROUP BY 1 ORDER BY 1
"""
_FAILURES = """
SELECT left(details ->> 'error', 120), count(*) FROM governance_loopevent WHERE type = 'failed' GROUP BY 1 ORDER BY 1
"""
