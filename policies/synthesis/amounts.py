"""Questions about amounts: how much or how long a value is, how two arguments compare, whether parts come to their total."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from policies.synthesis.literals import Path, at, literal, present, spoken
from policies.synthesis.literals import field as member
from policies.synthesis.reading import (
    Values,
    escaped,
    has_type,
    is_number,
    shown,
    type_of,
)

Measured = Literal["number", "string", "list"]
OTHER = "!="
NUMBERS_LIMIT = 6
"""Numbers among the arguments whose sums and differences are looked at."""
FEWEST_PARTS = 2
GOOD_SUMS = 8
"""Good calls whose parts must come to their total before a sum is asked about."""
LONGEST_COMPARED = 40
"""Characters of texts that are compared as amounts are: dates, times and versions."""


@dataclass(frozen=True)
class Beyond:
    """A number, or the length of a text or a list, at or past a bound, which is the predicate's value."""

    path: Path
    bound: int | float
    is_upwards: bool
    kind: Measured = "number"
    is_strict: bool = False
    """Past the bound only, not at it."""

    def read(self, nodes: Sequence[Any]) -> Values:
        # An amount within the bound is read as itself, so that its variety stays visible.
        return {
            (self.bound if self._is_beyond(amount) else ("within", amount)): self.bound
            for amount in measured(nodes, self.kind)
        }

    def _is_beyond(self, amount: int | float) -> bool:
        if amount == self.bound:
            return not self.is_strict
        return amount > self.bound if self.is_upwards else amount < self.bound

    def source(self, values: Sequence[Any]) -> str:
        sign = (">" if self.is_upwards else "<") + ("" if self.is_strict else "=")

        def test(node: str) -> str:
            amount = node if self.kind == "number" else f"size({node})"
            return f"{has_type(node, self.kind)} && {amount} {sign} {literal(values[0])}"

        return at(self.path, test)

    def sentence(self, values: Sequence[Any]) -> str:
        way = "more" if self.is_upwards else "less"
        bound = (
            f"{way} than {shown(values[0])}" if self.is_strict else f"{shown(values[0])} or {way}"
        )
        unit = {"number": "is", "string": "has a length of", "list": "has a length of"}[self.kind]
        return f"{spoken(self.path)} {unit} {bound}"


def measured(nodes: Sequence[Any], kind: Measured) -> Iterator[int | float]:
    """The amounts at a path: the numbers, or how long the texts or lists are."""
    for node in nodes:
        if type_of(node) == kind:
            yield node if kind == "number" else len(node)


@dataclass(frozen=True)
class Compared:
    """How one argument compares with another: read as its sign, and as other than it where they differ.

    Numbers compare as such; texts only where both have this shape, as dates and times do.
    """

    left: str
    right: str
    shape: str = ""
    path: Path = ()

    @property
    def names(self) -> tuple[str, ...]:
        return self.left, self.right

    def read(self, nodes: Sequence[Any]) -> Values:
        signs: Values = {}
        for node in nodes:
            left, right = node.get(self.left), node.get(self.right)
            if self._is_comparable(left) and self._is_comparable(right):
                signs = {sign: sign for sign in signs_of(left, right)}
        return signs

    def _is_comparable(self, value: Any) -> bool:
        if not self.shape:
            return is_number(value)
        return isinstance(value, str) and _form_of(value) == self.shape

    def source(self, values: Sequence[Any]) -> str:
        tests = [present("arguments", name) for name in self.names]
        for node in (member("arguments", name) for name in self.names):
            if self.shape:
                tests += [has_type(node, "string"), f"{node}.matches({literal(self.shape)})"]
            else:
                tests.append(has_type(node, "number"))
        left, right = (member("arguments", name) for name in self.names)
        return " && ".join([*tests, f"{left} {values[0]} {right}"])

    def sentence(self, values: Sequence[Any]) -> str:
        said = {"<": "is less than", ">": "is more than", "==": "equals", OTHER: "differs from"}
        if self.shape:
            said |= {"<": "is before", ">": "is after"}
        return f"{self.left} {said[values[0]]} {self.right}"


@dataclass(frozen=True)
class Sums:
    """How a whole number compares with the sum of others: read like `Compared`."""

    total: str
    parts: tuple[str, ...]
    path: Path = ()

    @property
    def names(self) -> tuple[str, ...]:
        return self.total, *self.parts

    def read(self, nodes: Sequence[Any]) -> Values:
        signs: Values = {}
        for node in nodes:
            amounts = [node.get(name) for name in self.names]
            if all(map(_is_whole, amounts)):
                signs = {sign: sign for sign in signs_of(amounts[0], sum(amounts[1:]))}
        return signs

    def source(self, values: Sequence[Any]) -> str:
        nodes = [member("arguments", name) for name in self.names]
        tests = [present("arguments", name) for name in self.names]
        tests += [f"type({node}) == int" for node in nodes]
        # Taken away from the total one by one: conditions have no `+`, which could build long texts.
        return " && ".join([*tests, f"{' - '.join(nodes)} {values[0]} 0"])

    def sentence(self, values: Sequence[Any]) -> str:
        said = {"<": "less than", ">": "more than", "==": "exactly", OTHER: "other than"}[values[0]]
        return f"{self.total} is {said} the sum of {' and '.join(self.parts)}"

    def is_usual_in(self, good: Sequence[Mapping[str, Any]]) -> bool:
        """Whether the parts come to the total in all good calls that have them, and in enough of them."""
        read = 0
        for signs in (self.read([each]) for each in good):
            if signs and "==" not in signs:
                return False
            read += bool(signs)
        return read >= GOOD_SUMS


Relation = Compared | Sums


def signs_of(left: Any, right: Any) -> tuple[str, ...]:
    if left == right:
        return ("==",)
    return ("<" if left < right else ">", OTHER)


def relations(
    arguments: Mapping[str, Any], good: Sequence[Mapping[str, Any]]
) -> Iterator[Relation]:
    """Which arguments of this call can be compared; sums only where the good calls' parts come to their total."""
    numbers = [name for name, value in sorted(arguments.items()) if is_number(value)]
    numbers = numbers[:NUMBERS_LIMIT]
    yield from (Compared(left, right) for left, right in combinations(numbers, 2))
    texts = [name for name, value in sorted(arguments.items()) if _is_ordered(value)]
    for left, right in combinations(texts[:NUMBERS_LIMIT], 2):
        if (shape := _form_of(arguments[left])) == _form_of(arguments[right]):
            yield Compared(left, right, shape)
    whole = [name for name in numbers if _is_whole(arguments[name])]
    for size in range(FEWEST_PARTS, len(whole)):
        for parts in combinations(whole, size):
            for total in (name for name in whole if name not in parts):
                one = Sums(total, parts)
                if one.is_usual_in(good):
                    yield one


_RUN = re.compile(r"[A-Z]+|[a-z]+|[0-9]+|[^A-Za-z0-9]")


def _form_of(text: str) -> str:
    """The pattern of texts built alike to the length of each run: only those are in order when they are sorted."""
    return f"^{_RUN.sub(_run, text)}$"


def _run(found: re.Match[str]) -> str:
    run = found[0]
    if not (run.isascii() and run.isalnum()):
        return escaped(run)
    sort = "[0-9]" if run.isdigit() else "[A-Z]" if run.isupper() else "[a-z]"
    return f"{sort}{{{len(run)}}}"


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53


def _is_ordered(value: Any) -> bool:
    """Whether a text is written so that what is later, or more, comes later in order: 2025-03-01, 09:30."""
    return (
        isinstance(value, str)
        and len(value) <= LONGEST_COMPARED
        and value[:1].isdigit()
        and not value.isdigit()
    )
