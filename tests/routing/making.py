"""What tests of routing need many of: policies, works that land, outcomes that a rate is counted from."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone

from governance.identity import begin_run
from governance.ids import new_id
from governance.loop.bridges import Outcome, Work
from governance.models import LoopTrace, Stage
from policies.models import Decision, Policy
from policies.models import Outcome as CallOutcome
from routing import bridge
from routing.models import Adjustment
from routing.rules import DECAY
from tests import factories

TOOL = "sql_query"


def policy(**details: Any) -> Policy:
    """An active policy that blocks, sure enough to lower a weight by 0.18, with the trace that bore it."""
    trace = LoopTrace.objects.create(incident_id=new_id("inc"), headline="the first of its kind")
    return Policy.objects.create(
        **{
            "name": "no unknown columns",
            "state": Policy.State.ACTIVE,
            "action": Policy.Action.BLOCK,
            "confidence": 0.9,
            "condition": "false",
            "trace": trace,
            **details,
        }
    )


def work(of: Policy, *, agent: str = "scout", tool: str = TOOL, **facts: Any) -> Work:
    """The work of a new incident that has come as far as routing."""
    opened = factories.report(agent=agent, tool=tool)
    return Work(
        step_id=new_id("stp"),
        tenant_id=opened.incident.tenant_id,
        trace_id=opened.trace.id,
        incident_id=opened.incident.id,
        stage=Stage.ROUTING_ADJUSTED,
        facts={"policy_id": of.id, **facts},
    )


def land(one: Work) -> Outcome:
    """What comes of a single work."""
    return bridge.land([one])[one.step_id]


def again(one: Work, outcome: Outcome) -> Outcome:
    """The same stage once more, with what it was to remember."""
    facts = {**one.facts, **outcome.facts}
    return land(Work(one.step_id, one.tenant_id, one.trace_id, one.incident_id, one.stage, facts))


def adjustment(of: Policy, **details: Any) -> Adjustment:
    """An open adjustment of scout's weight for sql_query, started when ``started_at`` says."""
    started_at: datetime = details.pop("started_at", None) or timezone.now()
    return Adjustment.objects.create(
        **{
            "policy": of,
            "agent": factories.agent(details.pop("agent", "scout")),
            "capability": TOOL,
            "type": Adjustment.Type.CONFIDENCE_PENALTY,
            "magnitude": -0.18,
            "started_at": started_at,
            "ends_at": started_at + DECAY,
            **details,
        }
    )


def outcomes(
    ok: int, failed: int, *, at: datetime | None = None, simulated: bool = False, tool: str = TOOL
) -> None:
    """Calls of scout that went well and calls that did not."""
    agent = factories.agent()
    run = begin_run(agent, "run")
    decided = Decision.objects.bulk_create(
        Decision(agent=agent, run=run, kind="tool_call", tool=tool, verdict="allow")
        for _ in range(ok + failed)
    )
    when = {"created_at": at} if at else {}
    CallOutcome.objects.bulk_create(
        CallOutcome(
            decision=one, agent=agent, tool=tool, ok=place < ok, simulated=simulated, **when
        )
        for place, one in enumerate(decided)
    )
