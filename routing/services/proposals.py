"""What a policy asks of routing for one agent and one capability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from governance.models import Agent
from policies.models import Policy

from ..rules import AdjustmentType, adjustment_for

Key = tuple[str, str, str]
"""(policy id, agent id, capability): at most one open adjustment each."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """One adjustment that a policy asks for; magnitude in [-0.2, 0.2] and never 0."""

    policy: Policy
    agent: Agent
    capability: str
    type: AdjustmentType
    magnitude: float

    @property
    def key(self) -> Key:
        return self.policy.id, self.agent.id, self.capability

    @property
    def is_escalation(self) -> bool:
        return self.type == AdjustmentType.ESCALATION_ADD

    def shown(self) -> dict[str, Any]:
        """What a person who is asked about it sees: the decision is bound to exactly this."""
        return {
            "policy_id": self.policy.id,
            "policy": self.policy.name,
            "version": self.policy.version,
            "action": self.policy.action,
            "agent_id": self.agent.id,
            "agent": self.agent.name,
            "capability": self.capability,
            "type": str(self.type),
            "magnitude": self.magnitude,
        }

    def __str__(self) -> str:
        size = f"{abs(self.magnitude):.2f}"
        if self.is_escalation:
            return f"escalation of {self.agent.name} for {self.capability} raised by {size}"
        return f"weight of {self.agent.name} for {self.capability} lowered by {size}"


def propose(policy: Policy, agent: Agent, tool: str) -> Proposal | None:
    """The adjustment that a policy asks for after a failure of this agent with this tool.

    None where there is nothing to route: the action leaves routing alone, the policy has no confidence, or
    neither the failure nor the policy names a tool.
    """
    wanted = adjustment_for(policy.action, policy.confidence)
    capability = tool or policy.tool
    if wanted is None or not capability:
        return None
    adjustment_type, magnitude = wanted
    if magnitude == 0:
        return None
    return Proposal(policy, agent, capability, adjustment_type, magnitude)
