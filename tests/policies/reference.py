"""A second guard, for tests only: small, slow, and written from the CEL specification and DESIGN 5 alone.

It shares no code with the first: its own scanner, parser, evaluator and conflict order, and no index. What it does not
know (functions, types and operators that no generated policy uses) it refuses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Facts = Mapping[str, Any]
Expression = Callable[[dict[str, Any]], Any]

INT64 = range(-(2**63), 2**63)


class Fault(Exception):
    """CEL's error as a result: no such key, no such overload, overflow, and the like."""


# --- Reading -----------------------------------------------------------------------------------------------------

TOKEN = re.compile(
    r'\s*(?:(?P<number>\d+\.\d+|\d+)|(?P<string>"(?:\\.|[^"\\])*")|(?P<word>[A-Za-z_]\w*)'
    r"|(?P<sign>&&|\|\||==|!=|<=|>=|[-<>!?:.,(){}\[\]*/%]))"
)
WEAKEST_FIRST = (
    ("||",),
    ("&&",),
    ("==", "!=", "<", "<=", ">", ">=", "in"),
    ("-",),
    ("*", "/", "%"),
)
ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


@dataclass
class Reader:
    """A recursive descent over the tokens of one condition."""

    tokens: list[tuple[str, str]]
    names: frozenset[str]
    at: int = 0
    bound: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, source: str, names: frozenset[str]) -> Expression:
        tokens, place = [], 0
        while place < len(source.rstrip()):
            found = TOKEN.match(source, place)
            if found is None:
                raise SyntaxError(source[place:])
            tokens.append((str(found.lastgroup), found[0].strip()))
            place = found.end()
        reader = cls(tokens, names)
        expression = reader.choice()
        if reader.at != len(tokens):
            raise SyntaxError(source)
        return expression

    def peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def take(self, *wanted: str) -> str:
        text = self.peek()
        if wanted and text not in wanted:
            raise SyntaxError(f"{text} and not {wanted}")
        self.at += 1
        return text

    def choice(self) -> Expression:
        asked = self.binary(0)
        if self.peek() != "?":
            return asked
        self.take("?")
        one = self.binary(0)
        self.take(":")
        other = self.choice()
        return lambda env: one(env) if truth(asked(env)) else other(env)

    def binary(self, level: int) -> Expression:
        if level == len(WEAKEST_FIRST):
            return self.unary()
        left = self.binary(level + 1)
        while self.peek() in WEAKEST_FIRST[level]:
            left = OPERATORS[self.take()](left, self.binary(level + 1))
        return left

    def unary(self) -> Expression:
        if self.peek() == "!":
            self.take()
            inner = self.unary()
            return lambda env: not truth(inner(env))
        if self.peek() == "-":
            self.take()
            inner = self.unary()
            return lambda env: negative(inner(env))
        return self.member()

    def member(self) -> Expression:
        owner, name = self.primary()
        while self.peek() in (".", "["):
            if self.take() == "[":
                owner, name = indexed(owner, self.choice()), ""
                self.take("]")
                continue
            word = self.take()
            if self.peek() == "(":
                owner, name = self.method(owner, word), ""
            elif name and f"{name}.{word}" in self.names:
                owner, name = variable(f"{name}.{word}"), ""
            elif name and any(one.startswith(f"{name}.{word}.") for one in self.names):
                name = f"{name}.{word}"
            else:
                owner, name = selected(owner, word), ""
        return owner

    def primary(self) -> tuple[Expression, str]:
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind == "number":
            number = float(text) if "." in text else int(text)
            return (lambda env: number), ""
        if kind == "string":
            string = re.sub(r"\\(.)", lambda found: ESCAPES[found[1]], text[1:-1])
            return (lambda env: string), ""
        if text == "(":
            inner = self.choice()
            self.take(")")
            return inner, ""
        if text == "[":
            return listed(self.several("]")), ""
        if text == "{":
            return mapped(self.several("}", pairs=True)), ""
        if text in CONSTANTS:
            return (lambda env: CONSTANTS[text]), ""
        if self.peek() == "(":
            self.take("(")
            if text == "has":
                return self.presence(), ""
            return applied(FUNCTIONS[text], self.several(")")), ""
        return variable(text), "" if text in self.bound else text

    def several(self, end: str, *, pairs: bool = False) -> list[Expression]:
        found: list[Expression] = []
        while self.peek() != end:
            found.append(self.choice())
            if pairs:
                self.take(":")
                found.append(self.choice())
            if self.peek() == ",":
                self.take(",")
        self.take(end)
        return found

    def presence(self) -> Expression:
        before = self.at
        while self.peek() != ")":
            self.at += 1
        last = self.tokens[self.at - 1][1]
        inner = Reader(self.tokens[before : self.at - 2], self.names, bound=self.bound)
        owner = inner.member()
        self.take(")")
        return lambda env: last in a_map(owner(env))

    def method(self, owner: Expression, word: str) -> Expression:
        self.take("(")
        if word not in ("exists", "all"):
            return applied(FUNCTIONS[word], [owner, *self.several(")")])
        name = self.take()
        self.take(",")
        self.bound.append(name)
        body = self.choice()
        self.bound.pop()
        self.take(")")
        return quantified(owner, name, body, wanted=word == "exists")


# --- Meaning -----------------------------------------------------------------------------------------------------

CONSTANTS: dict[str, Any] = {"true": True, "false": False, "null": None} | {
    name: ("type", name) for name in ("bool", "int", "double", "string", "list", "map", "null_type")
}


def truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Fault("no such overload")
    return value


def kind(value: Any) -> str:
    for name, type_ in (
        ("bool", bool),
        ("int", int),
        ("double", float),
        ("string", str),
        ("list", list),
        ("map", dict),
    ):
        if isinstance(value, type_):
            return name
    return "null_type" if value is None else "type"


def equal(a: Any, b: Any) -> bool:
    of_a, of_b = kind(a), kind(b)
    if {of_a, of_b} <= {"int", "double"}:
        return bool(a == b)
    if of_a != of_b:
        return False
    if of_a == "list":
        return len(a) == len(b) and all(map(equal, a, b))
    if of_a == "map":
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    return bool(a == b)


def less(a: Any, b: Any, *, or_equal: bool) -> bool:
    of_a, of_b = kind(a), kind(b)
    if not ({of_a, of_b} <= {"int", "double"} or (of_a == of_b and of_a in ("string", "bool"))):
        raise Fault("no such overload")
    if of_a == "string":
        a, b = a.encode(), b.encode()
    return bool(a <= b if or_equal else a < b)


def negative(value: Any) -> Any:
    if kind(value) == "double":
        return -value
    return whole(value, 0, lambda a, _: -a)


def whole(a: Any, b: Any, does: Callable[[int, int], int]) -> int:
    if kind(a) != "int" or kind(b) != "int":
        raise Fault("no such overload")
    result = does(a, b)
    if result not in INT64:
        raise Fault("overflow")
    return result


def minus(a: Any, b: Any) -> Any:
    return a - b if kind(a) == kind(b) == "double" else whole(a, b, lambda x, y: x - y)


def times(a: Any, b: Any) -> Any:
    return a * b if kind(a) == kind(b) == "double" else whole(a, b, lambda x, y: x * y)


def modulo(a: Any, b: Any) -> Any:
    if kind(b) == "int" and b == 0:
        raise Fault("modulus by zero")
    return whole(a, b, lambda x, y: abs(x) % abs(y) * (1 if x >= 0 else -1))


def contained(item: Any, many: Any) -> bool:
    if kind(many) == "list":
        return any(equal(item, one) for one in many)
    if kind(many) == "map":
        if kind(item) not in ("string", "int", "bool", "double"):
            raise Fault("no such overload")
        return isinstance(item, str) and item in many
    raise Fault("no such overload")


def a_map(value: Any) -> dict[str, Any]:
    if kind(value) != "map":
        raise Fault("no such overload")
    return value


def text(value: Any) -> str:
    if kind(value) != "string":
        raise Fault("no such overload")
    return value


def size(value: Any) -> int:
    if kind(value) not in ("string", "list", "map"):
        raise Fault("no such overload")
    return len(value)


def variable(name: str) -> Expression:
    def ask(env: dict[str, Any]) -> Any:
        if name not in env:
            raise Fault(f"{name} is unknown")
        return env[name]

    return ask


def selected(owner: Expression, name: str) -> Expression:
    def ask(env: dict[str, Any]) -> Any:
        of = a_map(owner(env))
        if name not in of:
            raise Fault("no such key")
        return of[name]

    return ask


def indexed(owner: Expression, at: Expression) -> Expression:
    def ask(env: dict[str, Any]) -> Any:
        of, place = owner(env), at(env)
        if kind(of) == "map":
            if kind(place) not in ("string", "int", "bool", "double") or place not in of:
                raise Fault("no such key")
            return of[place]
        if kind(of) != "list" or kind(place) not in ("int", "double") or place != int(place):
            raise Fault("no such overload")
        if not 0 <= place < len(of):
            raise Fault("index out of bounds")
        return of[int(place)]

    return ask


def listed(parts: Sequence[Expression]) -> Expression:
    return lambda env: [part(env) for part in parts]


def mapped(parts: Sequence[Expression]) -> Expression:
    return lambda env: {
        key(env): value(env) for key, value in zip(parts[::2], parts[1::2], strict=True)
    }


def applied(does: Callable[..., Any], parts: Sequence[Expression]) -> Expression:
    return lambda env: does(*(part(env) for part in parts))


def quantified(owner: Expression, name: str, body: Expression, *, wanted: bool) -> Expression:
    """One element that decides is enough; without one, a fault anywhere is a fault."""

    def ask(env: dict[str, Any]) -> Any:
        over = owner(env)
        if kind(over) not in ("list", "map"):
            raise Fault("no such overload")
        faulty = False
        for one in over:
            try:
                if truth(body({**env, name: one})) is wanted:
                    return wanted
            except Fault:
                faulty = True
        if faulty:
            raise Fault("of an element")
        return not wanted

    return ask


def either(left: Expression, right: Expression, *, deciding: bool) -> Expression:
    """`||` and `&&`: a side that decides outweighs a fault of the other."""

    def ask(env: dict[str, Any]) -> Any:
        faults = 0
        for side in (left, right):
            try:
                if truth(side(env)) is deciding:
                    return deciding
            except Fault:
                faults += 1
        if faults:
            raise Fault("of a side")
        return not deciding

    return ask


def strict(does: Callable[[Any, Any], Any]) -> Callable[[Expression, Expression], Expression]:
    return lambda left, right: lambda env: does(left(env), right(env))


OPERATORS: dict[str, Callable[[Expression, Expression], Expression]] = {
    "||": lambda a, b: either(a, b, deciding=True),
    "&&": lambda a, b: either(a, b, deciding=False),
    "==": strict(equal),
    "!=": strict(lambda a, b: not equal(a, b)),
    "<": strict(lambda a, b: less(a, b, or_equal=False)),
    "<=": strict(lambda a, b: less(a, b, or_equal=True)),
    ">": strict(lambda a, b: less(b, a, or_equal=False)),
    ">=": strict(lambda a, b: less(b, a, or_equal=True)),
    "in": strict(contained),
    "-": strict(minus),
    "*": strict(times),
    "%": strict(modulo),
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "size": size,
    "contains": lambda a, b: text(b) in text(a),
    "startsWith": lambda a, b: text(a).startswith(text(b)),
    "endsWith": lambda a, b: text(a).endswith(text(b)),
    "matches": lambda a, b: re.search(text(b), text(a)) is not None,
    "type": lambda a: ("type", kind(a)),
}


# --- The guard ---------------------------------------------------------------------------------------------------

STRONGEST_FIRST = ("kill", "block", "escalate", "route_away", "warn")


@dataclass(frozen=True)
class Policy:
    """One policy, as a person would describe it."""

    id: str
    action: str
    condition: Expression
    tool: str = ""
    agent: str = ""
    is_active: bool = True
    fails_open: bool = False


@dataclass(frozen=True)
class Verdict:
    """What holds, who decided it, and what everybody said."""

    action: str
    decided_by: str | None
    matched: frozenset[str]
    would: frozenset[str]
    failed_open: frozenset[str]


def verdict(policies: Sequence[Policy], facts: Facts, *, default: str) -> Verdict:
    """Ask every policy that is about this tool and agent; the strongest word holds, of equals the lowest id."""
    matched: dict[str, str] = {}
    would, failed_open = set(), set()
    for policy in policies:
        if policy.tool not in ("", facts["action.tool"]) or policy.agent not in (
            "",
            facts["agent.id"],
        ):
            continue
        try:
            is_met = policy.condition(dict(facts)) is True
            is_broken = False
        except Fault:
            is_met, is_broken = False, True
        if not policy.is_active:
            would |= {policy.id} if is_met else set()
        elif is_broken and policy.fails_open:
            failed_open.add(policy.id)
        elif is_met or is_broken:
            matched[policy.id] = policy.action
    for action in STRONGEST_FIRST:
        if ids := sorted(id for id, said in matched.items() if said == action):
            return Verdict(
                action, ids[0], frozenset(matched), frozenset(would), frozenset(failed_open)
            )
    return Verdict(default, None, frozenset(), frozenset(would), frozenset(failed_open))
