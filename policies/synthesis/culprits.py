"""What an error message blames, as far as it stands in the call: from one failure to a rule about its cause.

Each suspicion is a condition with how far it may reach. What was named may be so in this run only (a file that is
missing here, a column of this database); it holds everywhere when another run failed in the same way and such names are
not known to be fine elsewhere (see `reach`), or when the good calls show that such values are not good anywhere.
Whatever a good call contradicts is no suspicion.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import Any

from policies.synthesis.amounts import Beyond, Sums, relations
from policies.synthesis.calls import Call, identity
from policies.synthesis.features import (
    HasKey,
    HasSort,
    LacksKey,
    Mentions,
    Predicate,
    Shaped,
    StartsWith,
    has_letter,
    paths_of,
)
from policies.synthesis.literals import EACH, Path
from policies.synthesis.messages import Message, is_never_named, mentions, stem, words_of
from policies.synthesis.named import equals, is_atom, leaves_of, mentioning, named_in
from policies.synthesis.reach import Reach, reach_of
from policies.synthesis.reading import is_number, nodes_at
from policies.synthesis.suspicions import Suspicion

GOOD_TO_COMPARE = 20
"""Good calls that must show how a value usually is, before one that is otherwise counts as wrong."""
GOOD_WITH_KEY = 5
"""Good calls that must agree on having an argument, or not, where the message names it."""
GOOD_OF_A_CLASS = 8
GOOD_READ = 1_000
"""Latest good calls that show how values usually are; whether one is contradicted is asked of all."""
DISTINCT_TO_COMPARE = 10
NOVELTY = 0.05
"""Share of values that are the only one of their kind, above which a new kind is normal (Good and Turing)."""
ENUMERATED = 1 / 3
"""Distinct values for each good call, below which an argument takes values from a list."""
COMMON = 0.2
"""Share of good calls that hold a word, above which it tells nothing."""
CONTEXT_WORDS = 6
NAMED_EVERYWHERE = "the error names it, and what such errors named in one run failed in all others"
NAMED_AGAIN = "several runs failed with it, and the error names it"
RUNS_WITHOUT_CONTEXT = 3
FAILURES_COMPARED = 5
FREE_ARGUMENTS = 2

_CLASS = re.compile(r"[A-Za-z]{4,}(?=[_\-])")
_CLASSES = re.compile(r"(?:[A-Za-z]+[_\-])+")


class Culprits:
    """What is known about one failure: the cause, failing calls of its tool before it, latest first, and good ones."""

    def __init__(self, cause: Call, failures: Sequence[Call], good: Sequence[Call]) -> None:
        self._cause, self._failures, self._all_good = cause, failures, good
        self._good = good[:GOOD_READ]
        self._message = Message.of(cause.error)
        self._alike = [call for call in failures if call.error == cause.error and call is not cause]

    @property
    def is_told(self) -> bool:
        """Whether the message says something about the cause, be it that it will pass; not where reading stopped."""
        message = self._message
        return (
            message.is_passing
            or message.is_absence
            or message.is_about_rights
            or bool(self._named_terms)
            or any(True for _ in self._blamed_values())
        )

    def suspicions(self) -> Iterator[Suspicion]:
        """Those that reach everywhere first, then those for this run; each passes every good call it concerns."""
        if not self._cause.error or self._message.is_passing:
            return
        found = [*self._everywhere(), *self._in_run()]
        yield from (one for one in dict.fromkeys(found) if self._is_consistent(one))

    def everywhere(self) -> Iterator[Suspicion]:
        """Only those that reach everywhere by what good calls show: more of them may show more than they did."""
        if self._cause.error and not self._message.is_passing:
            yield from (one for one in self._shown() if self._is_consistent(one))

    def _is_consistent(self, one: Suspicion) -> bool:
        return not any(
            one.is_true_of(call)
            for call in self._all_good
            if not one.in_run or (call.run, call.agent) == (self._cause.run, self._cause.agent)
        )

    def _everywhere(self) -> Iterator[Suspicion]:
        yield from self._tool()
        yield from self._shown()
        yield from self._named_again()
        yield from self._same_but()

    def _in_run(self) -> Iterator[Suspicion]:
        named = self._named()
        if not all(map(self._is_usual, named)) and self._reach is not Reach.CALL:
            yield Suspicion(named, "the error names it", in_run=True)
        for name, value in self._blamed_values():
            yield Suspicion((equals((name,), value),), f"the error is about {name}", in_run=True)

    def _is_usual(self, term: Predicate) -> bool:
        """Whether most good calls are so too: the message says where it happened, not what was wrong."""
        one = Suspicion((term,), "")
        so = sum(1 for call in self._good if one.is_true_of(call))
        return so >= GOOD_WITH_KEY and so * 2 >= len(self._good)

    def _tool(self) -> Iterator[Suspicion]:
        """There is no such tool."""
        if not self._good and self._message.says_there_is_no(self._cause.tool):
            yield Suspicion((), "the error says that there is no such tool")

    def _shown(self) -> Iterator[Suspicion]:
        yield from self._keys()
        yield from self._related()
        yield from self._beyond()
        yield from self._listed()
        yield from self._classes()
        yield from self._shapes()

    # What it names.

    @cached_property
    def _named_terms(self) -> tuple[Predicate, ...]:
        return named_in(self._cause)

    def _named(self) -> tuple[Predicate, ...]:
        terms = self._named_terms
        if terms and self._message.is_about_quantity:
            # Another amount would do: only with whatever else is chosen from a list as it was.
            return (*terms, *self._chosen(terms))
        return terms

    def _chosen(self, terms: Sequence[Predicate]) -> Iterator[Predicate]:
        taken = {term.feature.path for term in terms}
        for name, value in self._cause.arguments.items():
            if (name,) not in taken and is_atom(value):
                known = {identity(call.arguments.get(name)) for call in self._good}
                if len(known) <= 1 + len(self._good) * ENUMERATED:
                    yield equals((name,), value)

    def _named_again(self) -> Iterator[Suspicion]:
        """Another run failed in the same way: what both have in common holds everywhere. So do names that always did."""
        yield from self._named_elsewhere(self._named())
        for name, value in self._blamed_values():
            term = equals((name,), value)
            if any(term.is_true_of(call.arguments) for call in self._elsewhere()):
                yield Suspicion(
                    (term,), f"several runs failed with it, and the error is about {name}"
                )

    def _named_elsewhere(self, named: tuple[Predicate, ...]) -> Iterator[Suspicion]:
        if not named or self._reach in (Reach.CALL, Reach.RUN):
            return
        if self._reach is Reach.EVERYWHERE:
            yield Suspicion(named, NAMED_EVERYWHERE)
            return
        others = self._elsewhere_with(named)
        if not others:
            return
        if all(not isinstance(term.feature, Mentions) for term in named):
            yield Suspicion(named, NAMED_AGAIN)
            return
        context = self._context(named, others[0])
        runs = {(call.run, call.agent) for call in others}
        if context or len(runs) + 1 >= RUNS_WITHOUT_CONTEXT:
            yield Suspicion((*named, *context), NAMED_AGAIN)

    @cached_property
    def _reach(self) -> Reach:
        return reach_of(self._cause, self._failures, self._good)

    def _elsewhere_with(self, terms: Sequence[Predicate]) -> list[Call]:
        return [
            call
            for call in self._elsewhere()
            if all(term.is_true_of(call.arguments) for term in terms)
        ]

    def _elsewhere(self) -> list[Call]:
        return [
            call
            for call in self._alike
            if (call.run, call.agent) != (self._cause.run, self._cause.agent)
        ]

    def _context(self, named: Sequence[Predicate], other: Call) -> list[Predicate]:
        """Rare words that the texts of both calls hold besides: a column is missing from a table, not from all."""
        mine, shared = self._cause.arguments, []
        said = {str(term.values[0]) for term in named}
        for path in (path for path in paths_of(mine) if EACH not in path):
            texts = [*nodes_at(mine, path), *nodes_at(other.arguments, path)]
            if len(texts) == 2 and all(isinstance(text, str) for text in texts):
                both = set(words_of(texts[0])) & set(words_of(texts[1]))
                shared += [(path, one) for one in sorted(both - said) if not is_never_named(one)]
        ranked = []
        for path, token in shared:
            share = sum(mentions(call.text, token) for call in self._good) / max(1, len(self._good))
            if share <= COMMON:
                ranked.append((share, path, token))
        ranked.sort(key=lambda one: (one[0], str(one[1]), one[2]))
        return [mentioning(path, token) for _, path, token in ranked[:CONTEXT_WORDS]]

    # What it is about.

    def _blamed_values(self) -> Iterator[tuple[str, Any]]:
        """Simple arguments that the message is about: of an order that cannot be changed, which one it was."""
        message = self._message
        if message.is_about_relation or message.is_about_rights or message.is_about_grammar:
            return
        is_said_otherwise = bool(self._named_terms) or any(True for _ in self._class_prefixes())
        for name, value in self._cause.arguments.items():
            if not is_atom(value) or not message.names_key(name):
                continue
            if message.is_about_quantity and not is_number(value):
                continue
            if message.names_key_literally(name) or not is_said_otherwise:
                yield name, value

    def _listed(self) -> Iterator[Suspicion]:
        """The message is about an argument that takes its values from a list, and this is none of them."""
        for name, value in self._blamed_values():
            known = [
                identity(call.arguments[name]) for call in self._good if name in call.arguments
            ]
            if len(known) >= DISTINCT_TO_COMPARE and len(set(known)) <= len(known) * ENUMERATED:
                yield Suspicion((equals((name,), value),), f"the error is about {name}")

    def _keys(self) -> Iterator[Suspicion]:
        """The message names an argument that no good call has, or that every good call has and this one lacks."""
        mine = self._cause.arguments
        given = Counter(name for call in self._good for name in call.arguments)
        for name in mine:
            is_foreign = not given[name] and len(self._good) >= GOOD_WITH_KEY
            if is_foreign and self._message.names_key(name):
                yield Suspicion((Predicate(HasKey(), (name,)),), f"the error names {name}")
        for name, count in given.items():
            is_needed = count == len(self._good) and count >= 3
            if name not in mine and is_needed and self._message.names_key(name):
                term = Predicate(LacksKey(frozenset({name})), (name,))
                yield Suspicion((term,), f"the error names {name}")

    def _related(self) -> Iterator[Suspicion]:
        """Arguments compare otherwise than in any good call: a start after its end, parts that do not come to their sum.

        Two are compared where the message names both; a sum is looked at where it is about an amount.
        """
        mine = self._cause.arguments
        for relation in relations(mine, [call.arguments for call in self._good]):
            if isinstance(relation, Sums):
                is_meant = self._message.is_about_quantity
            else:
                is_meant = all(map(self._message.names_key, relation.names))
            if not is_meant:
                continue
            known = [signs for call in self._good if (signs := relation.read([call.arguments]))]
            usual = set(chain.from_iterable(known))
            if len(known) >= GOOD_OF_A_CLASS:
                for sign in sorted(set(map(str, relation.read([mine]))) - usual):
                    yield Suspicion((Predicate(relation, (sign,)),), "the error is about them")

    def _beyond(self) -> Iterator[Suspicion]:
        """The message is about one amount, and this one is past the limit that it states, or past all that were good."""
        if not self._message.is_about_quantity:
            return
        named = [
            (name, value)
            for name, value in self._cause.arguments.items()
            if is_number(value) and self._message.names_key(name)
        ]
        if len(named) != 1:
            return  # of several, each may be right beside another
        [(name, value)] = named
        known = [call.arguments[name] for call in self._good if is_number(call.arguments.get(name))]
        if len(known) < GOOD_OF_A_CLASS or len(set(known)) < 3:
            return
        for limit in self._message.limits:
            if limit != value:
                feature = Beyond((name,), limit, value > limit, is_strict=True)
                yield Suspicion(
                    (Predicate(feature, (limit,)),), f"the error states a limit of {name}"
                )
        if len(known) < GOOD_TO_COMPARE:
            return
        for is_past, is_upwards in ((value > max(known), True), (value < min(known), False)):
            if is_past:
                term = Predicate(Beyond((name,), value, is_upwards), (value,))
                yield Suspicion((term,), f"the error is about {name}, and no good call went so far")

    def _class_prefixes(self) -> Iterator[tuple[Path, str]]:
        for path in paths_of(self._cause.arguments):
            for node in leaves_of(nodes_at(self._cause.arguments, path)):
                found = _CLASS.match(node) if isinstance(node, str) and is_atom(node) else None
                if found and stem(found[0]) in self._message.words:
                    yield path, node[: found.end() + 1]

    def _classes(self) -> Iterator[Suspicion]:
        """The message speaks of a class of values that no good call has: certificates, whichever it is."""
        for path, prefix in self._class_prefixes():
            known = [
                node
                for call in self._good
                for node in nodes_at(call.arguments, path)
                if isinstance(node, str)
            ]
            if len(known) >= GOOD_OF_A_CLASS:
                term = Predicate(StartsWith(path, _parts(prefix)), (prefix,))
                yield Suspicion((term,), f"the error is about {prefix.rstrip('_-')}")

    def _shapes(self) -> Iterator[Suspicion]:
        """A value built as no good one is, where good ones are built alike."""
        for path in paths_of(self._cause.arguments):
            if EACH in path:
                continue
            [*nodes] = nodes_at(self._cause.arguments, path)
            if len(nodes) != 1 or not isinstance(nodes[0], str) or not 0 < len(nodes[0]) <= 200:
                continue
            known = [
                node
                for call in self._good
                for node in nodes_at(call.arguments, path)
                if isinstance(node, str)
            ]
            if len(known) < GOOD_TO_COMPARE or len(distinct := set(known)) < DISTINCT_TO_COMPARE:
                continue
            for feature in (Shaped(path), HasSort(path)):
                yield from self._odd(feature, nodes[0], distinct)

    def _odd(self, feature: Shaped | HasSort, mine: str, distinct: set[str]) -> Iterator[Suspicion]:
        if isinstance(feature, Shaped):
            if not is_atom(mine):
                return
        elif any(map(has_letter, distinct)):
            return  # prose and code may hold any sign
        kinds = Counter(kind for text in distinct for kind in feature.read([text]))
        alone = sum(1 for count in kinds.values() if count == 1)
        if alone > NOVELTY * len(distinct):
            return
        for kind in sorted(set(map(str, feature.read([mine]))) - set(map(str, kinds))):
            yield Suspicion(
                (Predicate(feature, (kind,)),), f"none of {len(distinct)} good values is like that"
            )

    # What stayed the same while the failure did.

    def _same_but(self) -> Iterator[Suspicion]:
        """Another call failed with the very same words: what differs did not matter, unless the message is about it."""
        mine = self._cause.arguments
        for other in self._alike[:FAILURES_COMPARED]:
            is_comparable = other.arguments.keys() == mine.keys() and other.arguments != mine
            if is_comparable and (terms := self._kept(other)):
                yield Suspicion(terms, "another call that had this failed with the very same error")

    def _kept(self, other: Call) -> tuple[Predicate, ...]:
        terms: list[Predicate] = []
        free, is_specific = 0, False
        for name, value in self._cause.arguments.items():
            theirs = other.arguments[name]
            if identity(value) == identity(theirs):
                terms.append(equals((name,), value))
                is_specific = is_specific or self._is_new(name, value)
                continue
            free += 1
            prefix = _common_class(value, theirs)
            if prefix:
                terms.append(Predicate(StartsWith((name,), _parts(prefix)), (prefix,)))
            elif not (is_atom(value) or isinstance(value, list)) or self._is_about(
                name, value, theirs
            ):
                return ()
        return tuple(terms) if is_specific and free <= FREE_ARGUMENTS else ()

    def _is_new(self, name: str, value: Any) -> bool:
        """Whether no good call has this value, and it is long enough to be one of many."""
        if (
            isinstance(value, bool)
            or (not isinstance(value, list) and len(str(value)) < 4)
            or not value
        ):
            return False
        wanted = identity(value)
        return not any(identity(call.arguments.get(name)) == wanted for call in self._good)

    def _is_about(self, name: str, *values: Any) -> bool:
        said = chain([name], (value for value in values if isinstance(value, str)))
        return any(
            stem(word) in self._message.words
            for text in said
            for word in re.findall(r"[A-Za-z]{4,}", text)
        )


def _common_class(one: Any, other: Any) -> str:
    """The classes that two values begin with alike: `gift_card_` of two gift cards."""
    if not (isinstance(one, str) and isinstance(other, str) and is_atom(one) and is_atom(other)):
        return ""
    mine, theirs = _CLASSES.match(one), _CLASSES.match(other)
    return mine[0] if mine and theirs and mine[0] == theirs[0] else ""


def _parts(prefix: str) -> int:
    return sum(1 for _ in re.finditer(r"[_\-]", prefix))
