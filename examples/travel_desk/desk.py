"""The agent: takes one task after another, and asks the guard before every single call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from antibody_guard import Decision, Guard, Rejected

from .directives import RetryPolicy, is_disabled, pre_checks, retry_policy, revised
from .habits import Habits
from .tally import Happened, State, Tally
from .tasks import Call, Task
from .tools import Toolbox, is_transient

OWN_PATIENCE = RetryPolicy(attempts=3, backoff_s=0.5)
ONCE = RetryPolicy(attempts=1, backoff_s=0.0)
KILLED_PAUSE_S = 10.0  # somebody stopped this agent: ask again, but do not press


class LeftToPerson(Exception):
    """The desk cannot go on with this task; a person has to."""


class Desk:
    """One agent at work.

    ``begin_call`` sets its pace, ``pause`` waits some seconds, ``say`` prints a line.
    """

    def __init__(
        self,
        guard: Guard,
        tools: Toolbox,
        habits: Habits,
        *,
        run_prefix: str,
        begin_call: Callable[[], None],
        pause: Callable[[float], None],
        say: Callable[[str], None],
    ) -> None:
        self._guard, self._tools, self._habits = guard, tools, habits
        self._run_prefix = run_prefix
        self._begin_call, self._pause, self._say = begin_call, pause, say
        self._run_number = self._step = 0
        self.tallies: list[Tally] = []

    def work(self, tasks: Iterable[Task]) -> None:
        """Do the tasks in order, each as a run of its own.

        Raises NotAllowed when the guard could not be asked.
        """
        for task in tasks:
            self._run_number += 1
            self._step = 0
            self._say(f"\n{self._run_id}  {task.title}")
            self._count("tasks")
            try:
                self._follow(task)
            except LeftToPerson as why:
                self._count("unfinished")
                self._say(f"  left to a person: {why}")

    @property
    def _run_id(self) -> str:
        return f"{self._run_prefix}-{self._run_number}"

    def _follow(self, task: Task) -> None:
        result: Any = None
        while True:
            try:
                call = task.plan.send(result)
            except StopIteration:
                return
            result = self._take_step(call, task)

    def _take_step(self, call: Call, task: Task) -> Any:
        """One planned call; a mistaken one in its place is put right once it failed or was stopped."""
        mistake = self._habits.mistake(call, task)
        if mistake:
            habit, wrong = mistake
            happened = self._persist(wrong, task, habit)
            if happened.state == "failed" and self._habits.repeats():
                happened = self._attempt(wrong, task, habit)
            if happened.state == "done":  # a directive had put it right
                return happened.result
        return self._insist(call, task)

    def _insist(self, call: Call, task: Task) -> Any:
        """A call that the agent has no better idea for: it appeals against what stops it."""
        happened = self._persist(call, task)
        if happened.state == "done":
            return happened.result
        if happened.state == "blocked":
            self._appeal(happened.verdict, task)
        raise LeftToPerson(happened.error or happened.verdict.reason or "it was not to be done")

    def _persist(self, call: Call, task: Task, habit: str = "") -> Happened:
        """Make a call, and make it again as directed.

        Without a directive, while its failure is a passing one.
        """
        happened = self._attempt(call, task, habit)
        for seconds in _patience(happened, habit).pauses():
            self._pause(seconds)
            happened = self._attempt(call, task, habit)
            if not _may_pass(happened):
                break
        return happened

    def _attempt(self, call: Call, task: Task, habit: str = "") -> Happened:
        """Ask, act only on a yes, report.

        Directives that change the call make it another question.
        """
        verdict = self._ask(call, task)
        if not verdict.allowed:
            return self._stopped(Happened(call, verdict, "blocked", habit))
        if not self._may_begin(call, task, verdict):
            return self._record(Happened(call, verdict, "changed", habit))
        better = revised(call, verdict.directives)
        if better != call:
            self._record(Happened(call, verdict, "changed", habit))
            verdict = self._ask(better, task)
            if not verdict.allowed:
                return self._stopped(Happened(better, verdict, "blocked", habit))
        return self._record(self._act(better, verdict, habit))

    def _may_begin(self, call: Call, task: Task, verdict: Decision) -> bool:
        """Whether the directives let an allowed call begin.

        Its tool is in use and its pre-checks go well.
        """
        if is_disabled(call, verdict.directives):
            return False
        checks = pre_checks(call, verdict.directives)
        return all(self._attempt(check, task).state == "done" for check in checks)

    def _ask(self, call: Call, task: Task) -> Decision:
        self._begin_call()
        step, self._step = self._step, self._step + 1
        context = {"task": task.title}
        return self._guard.ask(
            call.tool, call.arguments, run_id=self._run_id, step=step, context=context
        )

    def _act(self, call: Call, verdict: Decision, habit: str) -> Happened:
        began, error, result = time.perf_counter(), None, None
        try:
            result = self._tools.run(call.tool, call.arguments)
        except Exception as failure:  # noqa: BLE001 - any error is reported
            error = failure
        latency_ms = round((time.perf_counter() - began) * 1000)
        incident = self._guard.report(verdict, error=error, latency_ms=latency_ms)
        state: State = "failed" if error else "done"
        return Happened(call, verdict, state, habit, result, error, incident)

    def _stopped(self, happened: Happened) -> Happened:
        self._record(happened)
        if happened.verdict.verdict == "kill":
            self._pause(KILLED_PAUSE_S)
            raise LeftToPerson("the agent was stopped")
        return happened

    def _appeal(self, verdict: Decision, task: Task) -> None:
        try:
            self._guard.appeal(
                verdict, f"This call is right, as far as the desk can tell: {task.title}."
            )
        except Rejected as refused:
            self._say(f"  the appeal was not accepted: {refused}")

    def _record(self, happened: Happened) -> Happened:
        for tally in self.tallies:
            tally.add(happened)
        self._say(f"  {happened.line()}")
        return happened

    def _count(self, what: str) -> None:
        for tally in self.tallies:
            tally.count(what)


def _may_pass(happened: Happened) -> bool:
    """Whether the same call is worth another try.

    A passing failure, or a refusal that says so itself.
    """
    if happened.error is not None:
        return is_transient(happened.error)
    return happened.state == "blocked" and happened.verdict.retryable


def _patience(happened: Happened, habit: str) -> RetryPolicy:
    """How to try again after this: as directed, otherwise the agent's own way.

    Only what may pass is worth it.
    """
    if not _may_pass(happened):
        return ONCE
    directed = happened.error and retry_policy(happened.verdict.directives, happened.error)
    return directed or (ONCE if habit else OWN_PATIENCE)
