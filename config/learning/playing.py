"""A stream played through the real thing: every call asks the guard, reports back, and waits until its loop has settled.

The verbs are those that the API calls, in this process; the database is one of its own.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Count, QuerySet

from governance import checkpoints, tenants
from governance.actors import Actor
from governance.database.compiled import compiled
from governance.database.tenancy import tenant_scope
from governance.loop import queue
from governance.loop.run import run_ready
from governance.models import Checkpoint, FailureState, LoopEvent, LoopTrace, Tenant, User
from policies.models import Decision, Policy
from policies.services import guard

from ..database import as_owner
from .scoring import Memoriser, Score
from .stream import Recorded, in_pass

ERROR_TYPE = "ToolError"
PATIENCE_SECONDS = 60.0
FEWEST_TO_ANALYSE = 64
APPROVED = "Approved by the stream's player."

Say = Callable[[str], object]


class Stuck(RuntimeError):
    """A loop did not settle."""


@dataclass(frozen=True, slots=True)
class Scene:
    """The tenant that a stream is played in, and who decides there."""

    tenant: Tenant
    reviewer: Actor
    confirmations: int


def make_scene(confirmations: int) -> Scene:
    """A tenant of its own that wants this many confirmations, and its reviewer.

    People are asked as usual, but for what the governor holds back: weeks pass in minutes here, and after ten
    adjustments of routing it holds back each one for the rest of the hour.
    """
    tenant = tenants.make_tenant(
        f"learn-{secrets.token_hex(8)}",
        confirmations=confirmations,
        checkpoints_off=[Checkpoint.Type.OVERRIDE_GUARDRAIL],
    )
    user = User.objects.create_user(f"reviewer of {tenant.slug}", is_staff=True)
    tenants.add_member(tenant, user, "reviewer")
    return Scene(tenant, Actor("user", str(user.pk), "reviewer"), confirmations)


class Player:
    """Plays calls in order; ``ours`` and ``memoriser`` say what each of the two came to."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.ours, self.memoriser = Score(), Score()
        self._memory = Memoriser()
        self._verdicts: Counter[str] = Counter()
        self._loop_ms: list[float] = []

    def play(self, calls: Sequence[Recorded], passes: int, say: Say) -> None:
        """Every call of every pass."""
        for number in range(1, passes + 1):
            self.ours.begin_pass()
            self.memoriser.begin_pass()
            for place, call in enumerate(calls, 1):
                self._call(in_pass(call, number))
                self._know_the_tables()
                if place % 500 == 0:
                    say(f"pass {number}: {place} of {len(calls)} calls")

    def _know_the_tables(self) -> None:
        """Let the planner know how the tables have grown: a server's autovacuum comes by once in a minute or so.

        Of tables that it knows nothing of it takes the first index at hand, and reads all that the tenant has.
        """
        calls = self._verdicts.total()
        if calls >= FEWEST_TO_ANALYSE and calls & (calls - 1) == 0:
            with as_owner(), connection.cursor() as cursor:
                cursor.execute("ANALYZE")

    def report(self) -> dict[str, Any]:
        """Both scores, and what became of the policies."""
        with tenant_scope(self.scene.tenant.id):
            return {
                "calls": sum(self._verdicts.values()),
                "verdicts": dict(self._verdicts),
                **self.ours.report(),
                "memoriser": self.memoriser.report(),
                "policies": _policies(),
            }

    def _call(self, call: Recorded) -> None:
        self.memoriser.tell(call, is_blocked=self._memory.blocks(call))
        decision_id, verdict = self._ask(call)
        self._verdicts[verdict] += 1
        is_blocked = verdict in guard.DENIED
        self.ours.tell(call, is_blocked=is_blocked)
        if not is_blocked:
            self._report(call, decision_id)
            self._settle()

    def _ask(self, call: Recorded) -> tuple[str, str]:
        with tenant_scope(self.scene.tenant.id):
            answer = guard.decide(
                agent_name=call.agent,
                run_name=call.run,
                step=call.step,
                kind=Decision.Kind.TOOL_CALL,
                tool=call.tool,
                arguments=call.arguments,
                context={},
                actor=_of(call.agent),
            )
        assert answer.decision_id is not None
        return answer.decision_id, answer.verdict

    def _report(self, call: Recorded, decision_id: str) -> None:
        with tenant_scope(self.scene.tenant.id):
            [decision] = _decided(decision_id)
            guard.report_outcome(
                decision,
                ok=call.ok,
                error_type="" if call.ok else ERROR_TYPE,
                error_message=call.error,
                actor=_of(call.agent),
            )

    def _settle(self) -> None:
        """Until no loop runs and nobody is asked: everything that comes up is approved."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._work() or self._decide():
            if time.monotonic() > deadline:
                raise Stuck(f"A loop has not settled within {PATIENCE_SECONDS:.0f} s.")

    def _work(self) -> bool:
        """Run what is ready, or wait for what will be in a moment; whether there was anything of either."""
        due = queue.due_in()
        if due is not None and not run_ready():
            time.sleep(min(due, 0.1))
        return due is not None

    def _decide(self) -> bool:
        """Approve everything that waits; whether anything did."""
        with tenant_scope(self.scene.tenant.id):
            waiting = _waiting()
            for checkpoint in waiting:
                checkpoints.decide(
                    checkpoint,
                    approve=True,
                    actor=self.scene.reviewer,
                    digest=checkpoint.digest,
                    reason=APPROVED,
                )
        return bool(waiting)


@compiled
def _decided(id: str) -> QuerySet[Decision]:
    return Decision.objects.select_related("agent", "run").filter(id=id).order_by()


@compiled
def _waiting() -> QuerySet[Checkpoint]:
    return Checkpoint.objects.filter(state=Checkpoint.State.PENDING).order_by("id")


def _of(agent: str) -> Actor:
    return Actor("service", f"acc_{agent}"[:60], agent)


def _policies() -> dict[str, Any]:
    """What became of them: how many were drafted, put in force, reworded and demoted, and how they are now.

    ``too_thin`` is the share of failures let through of which no policy could be made.
    """
    told = dict(LoopEvent.objects.values_list("type").annotate(count=Count("id")).order_by())
    traces = LoopTrace.objects.count()
    thin = LoopTrace.objects.filter(failure_state=FailureState.POLICY_LOW_CONFIDENCE).count()
    return {
        "drafted": Policy.objects.count(),
        "activated": told.get("policy_active", 0),
        "redrafted": told.get("policy_redrafted", 0),
        "demoted": told.get("demotion", 0),
        "too_thin": round(thin / traces, 4) if traces else None,
        "states": dict(Policy.objects.values_list("state").annotate(Count("id")).order_by()),
    }
