"""Putting parts of conditions to the real engine."""

from __future__ import annotations

from collections.abc import Mapping

from policies.conditions import Answer, ConditionError, compile_condition, partly_known
from policies.meaning.tree import Node, text, value_of


def ask(node: Node, facts: Mapping[str, Node]) -> Answer:
    """What a condition answers when these variables are all that is known; ERROR where that is too little."""
    try:
        known = partly_known({name: value_of(value) for name, value in facts.items()})
        return compile_condition(text(node)).matches(known).answer
    except (ConditionError, ValueError):
        return Answer.ERROR
