"""What follows from what: rules for single terms, and the engine where values are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import product
from math import prod
from typing import Final, TypeAlias

from policies import variables
from policies.conditions import Answer
from policies.meaning.alternatives import Conjunction
from policies.meaning.engine import ask
from policies.meaning.terms import Term, implies_by_rule, plain
from policies.meaning.tree import Call, Const, Entries, Items, Name, Node, every, put, text

CASES_LIMIT: Final = 64
"""Combinations of listed values that are tried one by one."""
_UNSURE = frozenset({"_/_", "_%_", "string"})
"""Functions that tell 0.0 from -0.0, which are equal."""

_NUMBERS = {
    one.name: str(one.type)
    for one in variables.ALL
    if one.type in (variables.Type.INT, variables.Type.DOUBLE)
}

Case: TypeAlias = Mapping[Node, Node]
"""One way things can be: a value for each of some parts."""


def is_covered(known: Conjunction, outer: tuple[Conjunction, ...]) -> bool:
    """Whether in every case of `known` all terms of some alternative hold."""
    asked = [_telling_first(wanted) for wanted in outer if _may_follow(known, wanted)]
    if not asked:
        return is_contradiction(known)
    return all(
        any(all(_follows(known, case, term) for term in wanted) for wanted in asked)
        for case in _standing_cases(known)
    )


def _may_follow(known: Conjunction, wanted: Conjunction) -> bool:
    """False where it wants a variable to be what it is not known to be: two policies are about different runs."""
    given = _listed(known)
    return all(given.get(name, _ANYTHING) <= values for name, values in _listed(wanted).items())


_ANYTHING = frozenset([Name("")])


@lru_cache(maxsize=4_096)
def _listed(known: Conjunction) -> Mapping[str, frozenset[Node]]:
    """The values that variables can have, where they are listed."""
    found: dict[str, frozenset[Node]] = {}
    for term in known:
        asked = term.question
        if term.is_true and asked.word == "in" and isinstance(asked.subject, Name):
            name = asked.subject.name
            found[name] = found.get(name, asked.values) & asked.values
    return found


@lru_cache(maxsize=4_096)
def _telling_first(wanted: Conjunction) -> tuple[Term, ...]:
    """Its terms, those first that tell the policies of a tool apart and are soon looked at: its run, then a word of its."""

    def place(term: Term) -> tuple[int, str]:
        asked = term.question
        is_name = asked.word == "in" and isinstance(asked.subject, Name)
        return (0 if is_name else 1 if asked.word == "matches" else 2), term.spelling

    return tuple(sorted(wanted, key=place))


def is_contradiction(terms: Conjunction) -> bool:
    return not _standing_cases(terms)


@lru_cache(maxsize=4_096)
def _standing_cases(known: Conjunction) -> list[Case]:
    """The cases that its own terms leave; kept, because a policy is compared with hundreds of others."""
    return [case for case in _cases(known) if not _is_refuted(known, case)]


def _is_refuted(terms: Conjunction, case: Case) -> bool:
    return any(_follows(terms - {term}, case, term.opposite) for term in terms)


def _follows(known: Conjunction, case: Case, wanted: Term) -> bool:
    """Whether a term holds wherever all the known ones do, in this case."""
    return (
        wanted in known
        or _holds_in(case, wanted)
        or any(implies_by_rule(term, wanted) for term in _that_may_imply(wanted, known))
        or _is_excluded(known, wanted)
    )


def _that_may_imply(wanted: Term, known: Conjunction) -> Iterable[Term]:
    """Those that are about the same; what has a part or a type is shown by terms about something else as well."""
    asked = wanted.question
    if asked.word == "has" or isinstance(asked.subject, Call):
        return known
    return _by_subject(known).get(asked.subject, ())


@lru_cache(maxsize=4_096)
def _by_subject(known: Conjunction) -> dict[Node, list[Term]]:
    found: dict[Node, list[Term]] = {}
    for term in known:
        found.setdefault(term.question.subject, []).append(term)
    return found


def _holds_in(case: Case, wanted: Term) -> bool:
    """Whether a term holds because of the values of a case alone."""
    if wanted.parts.isdisjoint(case):
        return False
    question = wanted.question
    if question.word == "in" and question.subject in case:
        return (plain(case[question.subject]) in question.values) is wanted.is_true
    return _answer(wanted.node, case) is (Answer.YES if wanted.is_true else Answer.NO)


def _is_excluded(known: Conjunction, wanted: Term) -> bool:
    """Whether `x != v` holds because something known of x would not be so of v."""
    question = wanted.question
    if wanted.is_true or question.word != "in":
        return False
    about = [term for term in known if question.subject in term.evaluates]
    if not about or not all(map(_equal_to, question.values)):
        return False
    return all(
        any(
            _answer(term.node, {question.subject: value})
            is (Answer.NO if term.is_true else Answer.YES)
            for term in about
        )
        for listed in question.values
        for value in _equal_to(listed)
    )


def _cases(known: Conjunction) -> list[Case]:
    """All ways that parts with few possible values can be; one empty case where there are none.

    `arguments == {…}` says everything about all arguments, `arguments.a in ["x", "y"]` about one.
    """
    cases: list[Case] = [{}]
    for part, values in _values(known).items():
        forms = [_forms(part, value) for value in values]
        if all(forms) and len(cases) * sum(map(len, forms)) <= CASES_LIMIT:
            typed = [form for each in forms for form in each]
            cases = [{**case, part: value} for case in cases for value in typed]
    return [case for case in cases if _is_possible(case)]


def _is_possible(case: Case) -> bool:
    """False where one of its values contradicts another: a text whose type is int."""
    return all(
        _answer(
            Call("_==_", (part, value)),
            {other: its for other, its in case.items() if other != part},
        )
        is not Answer.NO
        for part, value in case.items()
    )


def _values(known: Conjunction) -> dict[Node, list[Node]]:
    """The values that parts can still have, where they are listed."""
    values: dict[Node, frozenset[Node]] = {}
    for term in sorted(known, key=lambda each: (not each.is_true, each.spelling)):
        subject, listed = term.question.subject, term.question.values
        if term.question.word == "in" and term.is_true:
            values[subject] = values.get(subject, listed) & listed
        elif term.question.word == "in" and subject in values:
            values[subject] -= listed
    return {part: sorted(left, key=text) for part, left in values.items()}


def _forms(part: Node, value: Node) -> list[Node]:
    """What a part can be where it equals a constant; a variable has a type of its own."""
    forms = _equal_to(value)
    if isinstance(part, Name) and part.name in _NUMBERS:
        return [
            form
            for form in forms
            if form == Const(_NUMBERS[part.name], getattr(form, "value", None))
        ]
    return forms


def _equal_to(value: Node) -> list[Node]:
    """Everything that CEL calls equal to a constant and a fact can be: 1 is an int or a double.

    Empty when that is too much to try.
    """
    match value:
        case Const("int" | "double", number):
            forms: list[Node] = []
            if number == int(number):
                forms.append(Const("int", int(number)))
            if number == float(number):
                forms.append(Const("double", float(number)))
            return forms
        case Items(items):
            return [Items(chosen) for chosen in _choices([_equal_to(item) for item in items])]
        case Entries(entries):
            names = [key for key, _ in entries]
            choices = _choices([_equal_to(each) for _, each in entries])
            return [Entries(tuple(zip(names, chosen, strict=True))) for chosen in choices]
    return [value]


def _choices(options: Sequence[list[Node]]) -> list[tuple[Node, ...]]:
    return list(product(*options)) if prod(map(len, options)) <= CASES_LIMIT else []


def _answer(node: Node, case: Case) -> Answer:
    """The engine's answer when this is all that is known; ERROR where that is too little."""
    if not case:
        return Answer.ERROR
    parts = list(every(node))
    if not any(part in case for part in parts) or any(
        isinstance(part, Call) and part.function in _UNSURE for part in parts
    ):
        return Answer.ERROR
    facts: dict[str, Node] = {}
    inner: dict[Node, Node] = {}
    for part, value in case.items():
        if isinstance(part, Name):
            facts[part.name] = value
        else:
            # dyn, because a fact has no type before it is there.
            inner[part] = Call("dyn", (value,))
    return ask(put(node, inner), facts)
