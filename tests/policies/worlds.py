"""Random policies and random questions, for the guard and its reference to be asked alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from policies.rules import History

TOOLS = ("a", "b", "c")
AGENTS = ("x", "y")
KINDS = ("tool_call", "command", "llm_call")
NAMES = ("n", "s", "l", "m", "z")
ACTIONS = ("block", "warn", "escalate", "route_away", "kill")
TEXTS = ("", "a", "ab", "abc", "b b", "é", 'q"q')
NUMBERS = ("0", "1", "2", "3", "1.0", "2.5", "9223372036854775807")
PATTERNS = ("^a", "b$", "a.c", "[0-9]+", "a|b")
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
COUNTERS = tuple(f"history.{name}" for name in History.__slots__)


@dataclass(frozen=True)
class Said:
    """One policy in words."""

    id: str
    action: str
    condition: str
    tool: str
    agent: str
    is_active: bool
    fails_open: bool


@dataclass(frozen=True)
class Asked:
    """One action that somebody is about to take."""

    agent: str
    tool: str
    kind: str
    step: int | None
    arguments: dict[str, Any]
    context: dict[str, Any]
    history: History


def policies(random: Random, condition: Callable[[], str], most: int = 8) -> list[Said]:
    """A policy set; ids are in no order."""
    count = random.randint(0, most)
    ids = random.sample(range(100), count)
    return [
        Said(
            id=f"pol_{id:02}",
            action=random.choice(ACTIONS),
            condition=condition(),
            tool=random.choice(("", "", *TOOLS)),
            agent=random.choice(("", "", "", *AGENTS)),
            is_active=random.random() < 0.75,
            fails_open=random.random() < 0.3,
        )
        for id in ids
    ]


def question(random: Random) -> Asked:
    """A call, of which much may be missing or of another type than conditions expect."""
    context = {
        "gen_ai.request.model": random.choice(("small", "large")),
        "gen_ai.usage.input_tokens": random.randint(0, 3),
        "cost_usd": random.choice((0, 0.5, 2)),
        "gen_ai.data_source.id": random.choice(("kb", ["kb", "crm"], [])),
        "deployment.environment.name": random.choice(("production", "staging")),
    }
    return Asked(
        agent=random.choice(AGENTS),
        tool=random.choice(TOOLS),
        kind=random.choice(KINDS),
        step=random.choice((None, 0, 1, 2, 3)),
        arguments=_remembered(random)
        if random.random() < 0.1
        else {name: value(random) for name in NAMES if random.random() < 0.7},
        context={key: said for key, said in context.items() if random.random() < 0.6},
        history=History(*(random.randint(0, 3) for _ in COUNTERS)),
    )


def value(random: Random, depth: int = 2) -> Any:
    """Something that JSON can say."""
    match random.randrange(8 if depth else 6):
        case 0:
            return None
        case 1:
            return random.random() < 0.5
        case 2:
            return random.choice((0, 1, 2, 3, -1, 2**63 - 1, -(2**63)))
        case 3:
            return random.choice((0.0, 1.0, 2.5, -1.5, 1e300))
        case 4 | 5:
            return random.choice(TEXTS)
        case 6:
            return [value(random, depth - 1) for _ in range(random.randrange(4))]
    return {name: value(random, depth - 1) for name in NAMES if random.random() < 0.4}


def condition(random: Random, depth: int = 3) -> str:
    """CEL that compiles, and on many questions has no answer."""
    if depth == 0 or random.random() < 0.25:
        return _atom(random)
    match random.randrange(10):
        case 0 | 1 | 2:
            return f"{_part(random, depth)} && {_part(random, depth)}"
        case 3 | 4:
            return f"{_part(random, depth)} || {_part(random, depth)}"
        case 5:
            return f"!{_part(random, depth)}"
        case 6:
            parts = (_part(random, depth) for _ in range(3))
            return "{} ? {} : {}".format(*parts)
        case 7:
            over, inside = _node(random), condition(random, 0)
            word = random.choice(("exists", "all"))
            return f"{over}.{word}(v, {_about(random, 'v')} || {inside})"
    return f"{_head(random)} && {_part(random, depth)}"


def _remembered(random: Random) -> dict[str, Any]:
    """Arguments of which there are so few that a policy may know the very same."""
    return {"s": random.choice(TEXTS), **({"n": 1} if random.random() < 0.3 else {})}


def _part(random: Random, depth: int) -> str:
    return f"({condition(random, depth - 1)})"


def _head(random: Random) -> str:
    name, known = random.choice(
        (("action.tool", TOOLS), ("agent.id", AGENTS), ("action.kind", KINDS))
    )
    texts = [f'"{text}"' for text in random.sample(known, random.randint(1, 2))]
    match random.randrange(4):
        case 0:
            return f"{name} == {texts[0]}"
        case 1:
            return f"{texts[0]} == {name}"
        case 2:
            return f"{name} != {texts[0]}"
    return f"{name} in [{', '.join(texts)}]"


def _node(random: Random) -> str:
    """Somewhere in the arguments."""
    name = random.choice(NAMES)
    where = random.choice(("arguments", "action.arguments"))
    return random.choice(
        (f"{where}.{name}", f'{where}["{name}"]', f"{where}.m.{name}", f"{where}.l[{random.randrange(3)}]")
    )  # fmt: skip


def _literal(random: Random) -> str:
    return random.choice(
        (
            *NUMBERS,
            *map(_quoted, TEXTS),
            "true",
            "false",
            "null",
            '[1, "a"]',
            "[]",
            '{"n": 1}',
            "{}",
        )
    )


def _quoted(text: str) -> str:
    return '"{}"'.format(text.replace('"', '\\"'))


TEMPLATES = (
    "{node} == {literal}",
    "{node} != {literal}",
    "{node} {comparison} {number}",
    "{node} {comparison} {text}",
    "{node}.contains({text})",
    "{node}.startsWith({text})",
    "{node}.endsWith({text})",
    '{node}.matches("{pattern}")',
    "size({node}) {comparison} {count}",
    "{node} in [{literal}, {other}]",
    "{literal} in {node}",
    "type({node}) == {type}",
    "{node} - {count} {comparison} {count}",
    "{node} - 9223372036854775807 {comparison} {count}",
    "{node} - 1.5 {comparison} 1.0",
    "{node} * 3 {comparison} {count}",
    "2.5 * {node} {comparison} 2.5",
    "{node} % {count} {comparison} {count}",
    "-{node} {comparison} {number}",
)
TYPES = ("int", "double", "string", "list", "map", "bool", "null_type")


def _about(random: Random, node: str) -> str:
    """A question about a value of an unknown type."""
    return random.choice(TEMPLATES).format(
        node=node,
        literal=_literal(random),
        other=_literal(random),
        comparison=random.choice(COMPARISONS),
        number=random.choice(NUMBERS),
        text=_quoted(random.choice(TEXTS)),
        pattern=random.choice(PATTERNS),
        count=random.randrange(3),
        type=random.choice(TYPES),
    )


def _atom(random: Random) -> str:
    comparison, count = random.choice(COMPARISONS), random.randrange(4)
    match random.randrange(14):
        case 0 | 1:
            return _head(random)
        case 12:
            return f'run.id == "{random.choice("rq")}"'
        case 13:
            return f"arguments == {json.dumps(_remembered(random), ensure_ascii=False)}"
        case 2:
            return f"has({random.choice(('arguments', 'arguments.m', 'context'))}.{random.choice(NAMES)})"
        case 3:
            return f'"{random.choice(NAMES)}" in arguments'
        case 4:
            return f"run.step {comparison} {count}"
        case 5:
            return f"run.step - {count} {comparison} {count}"
        case 6:
            return f"{random.choice(COUNTERS)} {comparison} {count}"
        case 7:
            return random.choice(
                (
                    f'model.name {comparison} "large"',
                    f"tokens.input {comparison} {count}",
                    f"cost.usd {comparison} 0.5",
                    '"kb" in data_sources',
                    'environment in ["production", "test"]',
                    "data_sources == []",
                    'model.name.endsWith("ll")',
                )
            )
    return _about(random, _node(random))
