"""Remembering one call: a condition that is true of exactly these arguments."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from governance import redaction
from policies.conditions import SOURCE_LIMIT, ConditionError, compile_condition
from policies.synthesis.calls import Call, Form, TooThin, identity
from policies.synthesis.features import is_secret
from policies.synthesis.literals import at, literal
from policies.synthesis.reading import has_type

LEAST_AROUND = 8
"""Characters that must stand around a secret for its text to be told by them."""
ENDS = (400, 150, 50)
"""Characters kept of each end of a text too long to compare whole; its length is compared too."""


def remember(cause: Call, successes: Sequence[Call]) -> tuple[str, Form] | TooThin:
    """A condition for the cause's own arguments: no more, no fewer, each equal.

    Where that is too long or too deep for a condition, arguments are compared in part or left out,
    beginning with those that good calls share most; the most telling one always stays. One that holds a secret is
    left out whatever it tells: a condition is shown to people and to agents.
    Raises ValueError for values that no condition can hold.
    """
    exact = f"{of_tool(cause.tool)} && arguments == {literal(cause.arguments)}"
    if not _holds_secret(cause.arguments) and _fits(exact):
        return exact, Form.EXACT
    return _abridge(cause, successes)


def _holds_secret(arguments: Mapping[str, Any]) -> bool:
    return bool(redaction.masked(arguments) != arguments)


def of_tool(tool: str) -> str:
    return f"action.tool == {literal(tool)}"


def _abridge(cause: Call, successes: Sequence[Call]) -> tuple[str, Form] | TooThin:
    condition = f"{of_tool(cause.tool)} && size(arguments) == {len(cause.arguments)}"
    tellable = [
        name
        for name in _telling_first(cause, successes)
        if (not is_secret(name, cause.arguments[name]) and _around(cause.arguments[name]))
        or not _holds_secret({name: cause.arguments[name]})
    ]
    if not tellable:
        return TooThin("Its arguments are secrets, and no condition may hold one.")
    for rank, name in enumerate(tellable):
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
    if _holds_secret({name: value}):
        head, tail = _around(value) or ("", "")
        yield at((name,), lambda node: _between(node, value, head, tail))
        return
    yield at((name,), lambda node: f"{node} == {literal(value)}")
    if isinstance(value, str):
        for end in ENDS:
            yield at((name,), lambda node, end=end: _ends_of_text(node, value, end))  # type: ignore[misc]
    elif isinstance(value, list) and value:
        yield at((name,), lambda node: _ends_of_list(node, value))
    elif isinstance(value, Mapping):
        yield at((name,), lambda node: f"{has_type(node, 'map')} && size({node}) == {len(value)}")


def _around(value: Any) -> tuple[str, str] | tuple[()]:
    """What stands before and behind the secrets in a text; nothing where it is no text, or holds little else."""
    if not isinstance(value, str) or (shown := redaction.text(value)) == value:
        return ()
    head, tail = shown.partition(redaction.MASK)[0], shown.rpartition(redaction.MASK)[2]
    is_telling = len(head) + len(tail) >= LEAST_AROUND
    return (head, tail) if is_telling and value.startswith(head) and value.endswith(tail) else ()


def _between(node: str, value: str, head: str, tail: str) -> str:
    return (
        f"{has_type(node, 'string')} && size({node}) == {len(value)}"
        f" && {node}.startsWith({literal(head[:400])}) && {node}.endsWith({literal(tail[-400:])})"
    )


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
