"""What tests of the guard need many of: policies in any state, and an agent that asks."""

from __future__ import annotations

from typing import Any

from catalog.models import Pattern, PatternMatch
from governance.ids import new_id
from incidents.models import Incident
from policies.models import Decision, Policy
from policies.services import guard, policy_set
from tests.factories import SCOUT

ARGUMENTS = {"query": "SELECT custmer_id FROM orders"}
CONDITION = 'arguments.query.contains("custmer_id")'


def policy(name: str = "no misspelt columns", **fields: Any) -> Policy:
    """A policy in force, as the guard finds it; how it came there is another test's affair."""
    fields = {"state": "active", "tool": "sql_query", "condition": CONDITION, **fields}
    made = Policy.objects.create(name=name, **fields)
    policy_set.bump([made])
    return made


def learned(incident: Incident, trace_id: str, **fields: Any) -> Policy:
    """A policy that an incident gave birth to."""
    return policy(pattern=pattern(incident), trace_id=trace_id, **fields)


def pattern(*incidents: Incident) -> Pattern:
    """A pattern that these incidents are of."""
    made = Pattern.objects.create(
        name="no such column",
        error_type="OperationalError",
        tool="sql_query",
        template="no such column: *",
        signature=new_id("sig"),
        signature_version=1,
    )
    for incident in incidents:
        PatternMatch.objects.create(incident=incident, pattern=made, confidence=0.95, band="strong")
    return made


def ask(
    tool: str = "sql_query", arguments: dict[str, Any] | None = None, **details: Any
) -> guard.Answer:
    """What the guard says to scout."""
    return guard.decide(
        **{
            "agent_name": "scout",
            "run_name": "run-1",
            "step": 0,
            "kind": "tool_call",
            "tool": tool,
            "arguments": ARGUMENTS if arguments is None else arguments,
            "context": {},
            "actor": SCOUT,
            **details,
        }
    )


def decided(*args: Any, **details: Any) -> Decision:
    """The record of what the guard said."""
    return Decision.objects.select_related("agent", "run").get(pk=ask(*args, **details).decision_id)
