"""Remembering one call: a condition that is true of exactly these arguments."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from policies.conditions import SOURCE_LIMIT, ConditionError, compile_condition
from policies.synthesis.calls import Call, Form, TooThin, identity
from policies.synthesis.features import has_type
from policies.synthesis.literals import at, literal

ENDS = (400, 150, 50)
"""Characters kept of each end of a text too long to compare whole; its length is compared too."""


def remember(cause: Call, successes: Sequence[Call]) -> tuple[str, Form] | TooThin:
    """A condition for the cause's own arguments: no more, no fewer, each equal.

    Where that is too long or too deep for a condition, arguments are compared in part or left out,
    beginning with those that good calls share most; the most telling one always stays.
    Raises ValueError for values that no condition can hold.
    """
    exact = f"{of_tool(cause.tool)} && arguments == {literal(cause.arguments)}"
    if _fits(exact):
        return exact, Form.EXACT
    return _abridge(cause, successes)


def of_tool(tool: str) -> str:
    return f"action.tool == {literal(tool)}"


def _abridge(cause: Call, successes: Sequence[Call]) -> tuple[str, Form] | TooThin:
    condition = f"{of_tool(cause.tool)} && size(arguments) == {len(cause.arguments)}"
    for rank, name in enumerate(_telling_first(cause, successes)):
        longer = (f"{condition} && {part}" for part in _parts(name, cause.arguments[name]))
        fitting = next(filter(_fits, longer), None)
        if fitting is not None:
            condition = fitting
        elif rank == 0:
            return TooThin(f"The argument {name} is too long to remember in {SOURCE_LIMIT} bytes.")
    return condition, Form.ABRIDGED


def _telling_first(cause: Call, successes: Sequence[Call]) -> list[str]:
    """The cause's arguments, those first whose value fewest good calls have."""

    def rank(name: str) -> tuple[int, int, str]:
        wanted = identity(cause.arguments[name])
        shared = sum(
            1
            for call in successes
            if name in call.arguments and identity(call.arguments[name]) == wanted
        )
        return shared, len(literal(cause.arguments[name])), name

    return sorted(cause.arguments, key=rank)


def _parts(name: str, value: Any) -> Iterator[str]:
    """Ways to compare one argument, the most exact first."""
    yield at((name,), lambda node: f"{node} == {literal(value)}")
    if isinstance(value, str):
        for end in ENDS:
            yield at((name,), lambda node, end=end: _ends_of_text(node, value, end))  # type: ignore[misc]
    elif isinstance(value, list) and value:
        yield at((name,), lambda node: _ends_of_list(node, value))
    elif isinstance(value, Mapping):
        yield at((name,), lambda node: f"{has_type(node, 'map')} && size({node}) == {len(value)}")


def _ends_of_text(node: str, value: str, end: int) -> str:
    return (
        f"{has_type(node, 'string')} && size({node}) == {len(value)}"
        f" && {node}.startsWith({literal(value[:end])}) && {node}.endsWith({literal(value[-end:])})"
    )


def _ends_of_list(node: str, value: list[Any]) -> str:
    last = len(value) - 1
    return (
        f"{has_type(node, 'list')} && size({node}) == {len(value)}"
        f" && {node}[0] == {literal(value[0])} && {node}[{last}] == {literal(value[last])}"
    )


def _fits(condition: str) -> bool:
    """Whether it compiles, which takes in its length and the depth of its literals."""
    if len(condition) > SOURCE_LIMIT:  # cheaper than asking; the compiler counts bytes
        return False
    try:
        compile_condition(condition)
    except ConditionError:
        return False
    return True
