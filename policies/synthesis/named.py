"""What of a call's arguments its own error names: whole values, and words of texts."""

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from policies.synthesis.calls import Call, identity
from policies.synthesis.features import (
    Is,
    LeavesAsIs,
    Mentions,
    Predicate,
    ReadsFrom,
    Together,
    paths_of,
)
from policies.synthesis.literals import EACH, Path
from policies.synthesis.messages import Message, is_never_named, words_of
from policies.synthesis.reading import is_number, nodes_at

LONGEST_ATOM = 80
REMEMBERED = 4_000
LONGEST_REMEMBERED = 4_000
"""Failures whose names are kept, and characters of the longest of them: each is looked at again beside later ones."""


def named_in(call: Call) -> tuple[Predicate, ...]:
    """What must be so of another call that has in it all that this one's error names; nothing where it names nothing."""
    is_short = len(call.error) + len(call.text) <= LONGEST_REMEMBERED
    return (_remembered if is_short else _named)(call.error, call.text)


def _named(error: str, text: str) -> tuple[Predicate, ...]:
    message, arguments = Message.of(error), json.loads(text)
    if message.is_about_grammar or message.is_about_rights:
        return ()
    terms: list[Predicate] = []
    for path in paths_of(arguments):
        for node in leaves_of(nodes_at(arguments, path)):
            if is_atom(node) and _is_named(message, path, node):
                terms.append(equals(path, node))
            elif isinstance(node, str):
                terms += _words_named(message, path, node)
    return tuple(dict.fromkeys(_in_one_element(terms, arguments)))


_remembered = lru_cache(REMEMBERED)(_named)


def _is_named(message: Message, path: Path, value: Any) -> bool:
    text = str(value)
    if is_never_named(text) or not message.mentions(text):
        return False
    if is_number(value) or text.isdigit():
        if message.is_about_quantity:
            return False
        name = next((step for step in reversed(path) if isinstance(step, str)), "")
        return len(text) > 2 or message.names_key(name)
    return message.names(text)


def _words_named(message: Message, path: Path, text: str) -> Iterator[Predicate]:
    named = [word for word in words_of(text) if message.names(word)]
    if message.is_about_quantity:
        named = [word for word in named if not word.isdigit()]
    yield from (mentioning(path, word) for word in named)
    if named and message.is_absence:
        # Whoever is told that something is missing makes it, or looks for it, and names it to do so.
        yield Predicate(LeavesAsIs.after(path, text), ("",))
    # A column is missing from a table, not from all.
    if named and message.is_about_a_member and (sources := ReadsFrom.of(text)):
        yield Predicate(ReadsFrom(path), (sources,))


def _in_one_element(terms: Sequence[Predicate], arguments: Any) -> Iterator[Predicate]:
    """Values named from one element of a list are asked for together: this flight on this day."""
    in_lists: dict[Path, dict[str, Any]] = {}
    for term in terms:
        path = term.feature.path
        if (
            isinstance(term.feature, Is)
            and len(path) >= 2
            and path[-2] is EACH
            and isinstance(path[-1], str)
        ):
            in_lists.setdefault(path[:-1], {}).setdefault(path[-1], term.values[0])
        else:
            yield term
    for path, wanted in in_lists.items():
        names = tuple(sorted(wanted))
        feature = Together(path, names)
        held = feature.read(nodes_at(arguments, path))
        if identity({name: wanted[name] for name in names}) in held:
            yield Predicate(feature, ({name: wanted[name] for name in names},))
        else:
            yield from (equals((*path, name), value) for name, value in wanted.items())


def equals(path: Path, value: Any) -> Predicate:
    """The value at this path is this one."""
    return Predicate(Is(path), (value,))


def mentioning(path: Path, token: str) -> Predicate:
    """The text at this path holds this word."""
    return Predicate(Mentions(path, token), (token,))


def leaves_of(nodes: Sequence[Any]) -> list[Any]:
    """The texts and numbers among these."""
    return [node for node in nodes if isinstance(node, str) or is_number(node)]


def is_atom(value: Any) -> bool:
    """A number, or a text that is one value and not a sentence, a command or a query."""
    if isinstance(value, str):
        return 0 < len(value) <= LONGEST_ATOM and not any(map(str.isspace, value))
    return is_number(value)
