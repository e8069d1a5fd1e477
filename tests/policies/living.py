"""What tests of a policy's life need many of: failures with a recovery, good calls, and steps of the loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from catalog.models import Pattern, PatternMatch
from governance.actors import COMMAND
from governance.ids import new_id
from governance.loop.bridges import GoOn, Stop, Work
from governance.models import Run
from incidents.models import Incident
from policies import bridge
from policies.models import Decision, Outcome, Policy, WouldBlock
from policies.services import life
from policies.services.calls import GUARD_SOURCE
from recovery.models import Recovery
from tests import factories

WRONG = {"query": "SELECT custmer_id FROM orders"}
TABLES = ("orders", "refunds", "parcels", "invoices", "returns")


def pattern() -> Pattern:
    """A kind of failure."""
    return Pattern.objects.create(
        name="no such column",
        error_type="OperationalError",
        tool="sql_query",
        template="no such column: *",
        signature=new_id("sig"),
        signature_version=1,
    )


def step(
    of: Pattern, *, confidence: float = 0.7, remedy: str = "pre_check", **details: Any
) -> Work:
    """A failure of this kind whose recovery was applied: the step that comes to the policy."""
    opened = factories.report(**{"arguments": WRONG, **details})
    match = PatternMatch.objects.create(
        incident=opened.incident, pattern=of, confidence=0.95, band="strong"
    )
    recovery = Recovery.objects.create(
        match=match,
        pattern=of,
        agent=opened.incident.agent,
        state=Recovery.State.APPLIED,
        source=Recovery.Source.HEURISTIC,
        kind=remedy,
        title="Look at the schema first",
        confidence=confidence,
    )
    facts = {"pattern_id": of.id, "match_id": match.id, "recovery_id": recovery.id}
    return Work(
        new_id("stp"),
        opened.incident.tenant_id,
        opened.trace.id,
        opened.incident.id,
        "policy_generated",
        facts,
    )


def land(*works: Work) -> list[GoOn | Stop]:
    """What comes of these steps, in one landing."""
    outcomes = bridge.land(works)
    came = [outcomes[work.step_id] for work in works]
    return [each for each in came if isinstance(each, GoOn | Stop)]


def fail(of: Pattern, **details: Any) -> GoOn | Stop:
    """One failure of this kind comes to the policy."""
    return land(step(of, **details))[0]


def born(of: Pattern, **details: Any) -> Policy:
    """A policy in shadow, born of one failure."""
    return Policy.objects.get(pk=fail(of, **details).subject)


def confirmed(of: Pattern, **details: Any) -> Policy:
    """A policy that three failures confirmed, waiting for a decision."""
    policy = born(of, **details)
    for _ in range(2):
        fail(of, **details)
    policy.refresh_from_db()
    assert policy.state == Policy.State.PENDING
    return policy


def active(of: Pattern, reviewer: Any, **details: Any) -> Policy:
    """A policy in force."""
    policy = confirmed(of, **details)
    life.activate(policy, actor=reviewer, reason="It makes sense.")
    assert policy.state == Policy.State.ACTIVE
    return policy


def manual(author: Any = COMMAND, **details: Any) -> Policy:
    """A person's own draft."""
    return life.draft_manual(
        **{
            "name": "nothing is dropped",
            "condition": 'arguments.query.contains("DROP")',
            "action": "block",
            "category": "safety",
            "scope_type": "tenant",
            "tool": "sql_query",
            "actor": author,
            **details,
        }
    )


def decision(
    arguments: dict[str, Any], *, watched_by: Sequence[Policy] = (), run: str = "run-1"
) -> Decision:
    """A call that the guard let through, with what watching policies would have said."""
    agent = factories.agent()
    made = Decision.objects.create(
        agent=agent,
        run=Run.objects.get_or_create(agent=agent, name=run)[0],
        kind="tool_call",
        tool="sql_query",
        arguments=arguments,
        verdict="allow",
        would_block=[{"id": policy.id, "version": policy.version} for policy in watched_by],
    )
    for policy in watched_by:
        WouldBlock.objects.create(policy=policy, version=policy.version, decision=made)
    return made


def succeed(arguments: dict[str, Any], **details: Any) -> Decision:
    """A call that went well."""
    return reported(decision(arguments, **details), ok=True)


def run(name: str) -> Run:
    """One run of the agent."""
    return Run.objects.get_or_create(agent=factories.agent(), name=name)[0]


def reported(made: Decision, *, ok: bool) -> Decision:
    """How a call went, as its agent told it."""
    Outcome.objects.create(decision=made, agent=made.agent, tool=made.tool, ok=ok)
    return made


def good_calls(count: int = 25) -> None:
    """Queries that went well, of several tables and in several runs."""
    for number in range(count):
        succeed(
            {"query": f"SELECT id FROM {TABLES[number % 5]}", "limit": number % 3},
            run=f"run-{number}",
        )


def failed_at(made: Decision) -> dict[str, Any]:
    """How the guard reports that a call failed."""
    return {
        "source": GUARD_SOURCE,
        "source_key": made.id,
        "run": made.run,
        "arguments": made.arguments,
    }


def incident_of(work: Work) -> Incident:
    return Incident.objects.get(pk=work.incident_id)
