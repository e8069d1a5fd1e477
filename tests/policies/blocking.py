"""Whether a condition blocks a call, asked of the real CEL."""

from __future__ import annotations

from policies.conditions import Answer, activation, compile_condition
from policies.synthesis import Call


def blocks(condition: str, call: Call) -> bool:
    facts = activation(
        action={"kind": "tool_call", "tool": call.tool},
        arguments=call.arguments,
        context={},
        agent={"id": call.agent},
        run={"id": call.run, "step": 0},
        history=call.history,
    )
    return compile_condition(condition).matches(facts).answer is Answer.YES
