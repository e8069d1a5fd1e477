"""What would be allowed instead of a denied action: small changes to it, each tried on the policies themselves.

Ideas come from two places: the terms of the conditions that denied it, and calls of the same tool that went well.
Nothing is said that the tenant's policies, asked about the changed action, would not let through. It says no more
than the agent may know: values of good calls only where they are common (an option and not somebody's identifier),
and never what looks like a secret.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from django.db.models import QuerySet

from governance.database.compiled import compiled
from governance.redaction import masked
from policies.conditions import Answer, ConditionError
from policies.meaning import meaning
from policies.meaning.terms import Term
from policies.meaning.tree import Field, Has, Name, Node, every
from policies.models import Outcome

from .ruleset import Rule
from .ruling import DENIED, Action

GOOD_CALLS = 100
"""Latest calls of the tool that went well, looked at for each denial: a few milliseconds."""
COMMON = 3
"""Calls with a value before it is shown; by this agent, or by two others."""
VALUES_SHOWN = 5
CHANGES_SHOWN = 5
TRIES = 40
"""Changed actions put to the policies for one denial; fewer where many policies are about such actions."""
MOST_ASKED = 2_000
"""Policies asked for one denial, over all of those tries: some milliseconds."""
LONGEST_VALUE = 80

Path = tuple[str, ...]
_WORD = re.compile(r"\\b(\w{2,80})\\b")
_ORDERS = {"_>_": "at_most", "_>=_": "below", "_<_": "at_least", "_<=_": "above"}
HOW = (
    "one_of",
    "without",
    "at_most",
    "below",
    "at_least",
    "above",
    "not_containing",
    "not_starting_with",
)
_SAYS = {
    "at_most": "{} of at most {}",
    "below": "{} below {}",
    "at_least": "{} of at least {}",
    "above": "{} above {}",
    "not_containing": "{} without {}",
    "not_starting_with": "{} that does not start with {}",
}


@dataclass(frozen=True, slots=True)
class _Idea:
    """A change, and the arguments as they would be."""

    path: Path
    how: str
    value: Any
    arguments: Mapping[str, Any]
    good_calls: int = 0


def allowed_instead(
    action: Action, denied_by: Sequence[Rule], about: Sequence[Rule], *, agent_id: str
) -> list[dict[str, Any]]:
    """Changes that would get this denied action through: ``{argument, how, values, good_calls, text}``.

    ``denied_by`` are the policies whose conditions were true of it, ``about`` all that are asked about such an action.
    Those that known good calls speak for come first.
    """
    terms = _terms(denied_by)
    if not terms:
        return []
    ideas = [*_from_good_calls(action, terms, agent_id), *_from_terms(action, terms)]
    # A run may be bound to an older wording: what denied it now must let the change through, and so must what holds.
    standing = [*denied_by, *(rule for rule in about if rule.is_active and rule.action in DENIED)]
    tries = min(TRIES, max(CHANGES_SHOWN, MOST_ASKED // len(standing)))
    let_through = [idea for idea in ideas[:tries] if _is_let_through(action, idea, standing)]
    return list(islice(_told(let_through), CHANGES_SHOWN))


def _terms(rules: Iterable[Rule]) -> list[Term]:
    found: dict[Term, None] = {}
    for rule in rules:
        try:
            alternatives = meaning(rule.source).yes or ()
        except ConditionError:
            continue
        found.update(dict.fromkeys(term for each in alternatives for term in each))
    return sorted(found, key=lambda term: term.spelling)


def _is_let_through(action: Action, idea: _Idea, standing: Iterable[Rule]) -> bool:
    facts = replace(action, arguments=idea.arguments).facts()
    for rule in standing:
        answer = rule.ask(facts).answer
        if answer is Answer.YES or (answer is Answer.ERROR and not rule.fails_open):
            return False
    return True


# --- Ideas -------------------------------------------------------------------------------------


@compiled
def _good(tool: str) -> QuerySet[Outcome, tuple[str, Any]]:
    good = Outcome.objects.filter(tool=tool, ok=True, simulated=False, overridden=False)
    return good.order_by("-id").values_list("agent_id", "decision__arguments")[:GOOD_CALLS]


def _from_good_calls(action: Action, terms: Iterable[Term], agent_id: str) -> Iterator[_Idea]:
    """Another value of an argument that the conditions ask about, or its presence."""
    paths = sorted({path for term in terms for path in _paths(term.node)})
    if not paths:
        return
    calls = _good(action.tool)
    for path in paths:
        users: dict[str, Counter[str]] = defaultdict(Counter)
        for agent, arguments in calls:
            if (value := _shown(path, _at(arguments, path))) is not None:
                users[value][agent] += 1
        counts = {value: by.total() for value, by in users.items() if _is_common(by, agent_id)}
        for value in sorted(counts, key=lambda each: (-counts[each], each))[:VALUES_SHOWN]:
            given = json.loads(value)
            changed = _with(action.arguments, path, given)
            if changed is not None and given != _at(action.arguments, path):
                yield _Idea(path, "one_of", given, changed, counts[value])


def _is_common(users: Counter[str], agent_id: str) -> bool:
    return users.total() >= COMMON and (agent_id in users or len(users) > 1)


def _from_terms(action: Action, terms: Iterable[Term]) -> Iterator[_Idea]:
    """The other side of what a condition asks, where there is one that can be named."""
    for term in terms:
        question = term.question
        subject = question.subject
        if isinstance(subject, Has):
            path = _path(Field(subject.of, subject.name))
            if path and (without := _without(action.arguments, path)) is not None:
                yield _Idea(path, "without", None, without)
            continue
        path = _path(subject)
        if not path or not term.is_true:
            continue
        now = _at(action.arguments, path)
        for how, shown, value in _opposites(question.word, question.constant, now):
            if (changed := _with(action.arguments, path, value)) is not None:
                yield _Idea(path, how, shown, changed)


def _opposites(word: str, constant: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    """How an argument would have to be, what to name, and a value that is so."""
    match word:
        case "_>_" | "_<_" if _is_number(constant):
            yield _ORDERS[word], constant, constant
        case "_>=_" | "_<=_" if _is_number(constant):
            step = -1 if word == "_>=_" else 1
            beside = (
                constant + step
                if isinstance(constant, int)
                else math.nextafter(constant, step * math.inf)
            )
            yield _ORDERS[word], constant, beside
        case "contains" if isinstance(now, str) and constant:
            yield "not_containing", constant, now.replace(constant, "")
        case "matches" if isinstance(now, str) and (found := _WORD.fullmatch(constant)):
            yield "not_containing", found[1], re.sub(constant, "", now, flags=re.ASCII)
        case "startsWith" if isinstance(now, str) and constant:
            yield "not_starting_with", constant, now.removeprefix(constant)


def _told(ideas: Iterable[_Idea]) -> Iterator[dict[str, Any]]:
    """Ideas about one argument together."""
    values: dict[tuple[Path, str], list[_Idea]] = defaultdict(list)
    for idea in ideas:
        alone = idea.how == "one_of"
        if _shown(idea.path, idea.value) is not None or idea.how == "without":
            values[idea.path, idea.how if alone else f"{idea.how} {idea.value}"].append(idea)
    for (path, _), alike in values.items():
        how, argument = alike[0].how, ".".join(path)
        shown = [idea.value for idea in alike] if how != "without" else []
        good = sum(idea.good_calls for idea in alike)
        if how == "one_of":
            text = f"{argument} in {json.dumps(shown)} was let through in {good} good calls"
        elif how == "without":
            text = f"without {argument}"
        else:
            text = _SAYS[how].format(argument, json.dumps(shown[0]))
        yield {"argument": argument, "how": how, "values": shown, "good_calls": good, "text": text}


# --- Arguments by path -------------------------------------------------------------------------


def _paths(node: Node) -> Iterator[Path]:
    for part in every(node):
        asked = Field(part.of, part.name) if isinstance(part, Has) else part
        if path := _path(asked):
            yield path


def _path(node: Node) -> Path:
    """The names that lead from the arguments to it; empty for what is elsewhere."""
    names: list[str] = []
    while isinstance(node, Field):
        names.append(node.name)
        node = node.of
    return tuple(reversed(names)) if node == Name("arguments") else ()


def _at(arguments: Any, path: Path) -> Any:
    """The value there; a list, which is never shown, where there is none."""
    for name in path:
        if not isinstance(arguments, Mapping) or name not in arguments:
            return []
        arguments = arguments[name]
    return arguments


def _with(arguments: Mapping[str, Any], path: Path, value: Any) -> dict[str, Any] | None:
    """The arguments with one value in place of another; None where the way there is missing."""
    name, *rest = path
    if not rest:
        return {**arguments, name: value}
    inner = arguments.get(name)
    changed = _with(inner, tuple(rest), value) if isinstance(inner, Mapping) else None
    return None if changed is None else {**arguments, name: changed}


def _without(arguments: Mapping[str, Any], path: Path) -> dict[str, Any] | None:
    """The arguments without one of them; None where it is not there."""
    name, *rest = path
    if name not in arguments:
        return None
    others = {each: value for each, value in arguments.items() if each != name}
    if not rest:
        return others
    inner = arguments[name]
    changed = _without(inner, tuple(rest)) if isinstance(inner, Mapping) else None
    return None if changed is None else {**others, name: changed}


def _shown(path: Path, value: Any) -> str | None:
    """A simple value as JSON; None where it is not simple, too long, or a secret by its name or looks."""
    if isinstance(value, Mapping | list) or value is None:
        return None
    written = json.dumps(value, ensure_ascii=False)
    if len(written) > LONGEST_VALUE or masked({path[-1]: value}) != {path[-1]: value}:
        return None
    return written


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
