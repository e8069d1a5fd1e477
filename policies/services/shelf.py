"""The rules about one tool and one agent, of which a call is put to those alone that its texts do not show to say no.

A tool that fails in many ways has a policy for each, and most of them need a certain text: this run, these very
arguments. Such a rule is found by its texts, so that the cost follows the rules that could be met and not all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from policies.conditions import Facts
from policies.syntax import Where

if TYPE_CHECKING:
    from .ruleset import Rule

UNSORTED = 64
"""Rules that came after the others were sorted and are asked each time; with more, all are sorted anew."""


class Sorted:
    """The ids of rules by the texts that they need."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.sources: dict[str, str] = {}
        self._always: list[str] = []
        self.by_text: dict[Where, dict[str, list[str]]] = {}
        for rule in rules:
            self.sources[rule.id] = rule.source
            if not rule.found_by:
                self._always.append(rule.id)
            for where, text in rule.found_by:
                self.by_text.setdefault(where, {}).setdefault(text, []).append(rule.id)

    def found(self, facts: Facts) -> set[str]:
        """Those that this call could be met by."""
        found = set(self._always)
        for where, by_text in self.by_text.items():
            text = facts.text_at(where)
            found.update(*by_text.values() if text is None else [by_text.get(text, ())])
        return found


@dataclass(frozen=True)
class Shelf:
    """Rules by id; never changed, ``changed`` makes another one that shares what was sorted."""

    rules: Mapping[str, Rule]
    fresh: Collection[str] = ()
    given: Sorted | None = field(default=None, repr=False)

    def changed(self, rules: Mapping[str, Rule | None]) -> Shelf:
        """The shelf with these rules changed, new or (None) gone."""
        now = {each: rule for each, rule in {**self.rules, **rules}.items() if rule is not None}
        # Where nobody has asked yet it is sorted when somebody does.
        if (known := self.__dict__.get("_sorted", self.given)) is None:
            return Shelf(now)
        fresh = {
            each
            for each in {*self.fresh, *rules}
            if each in now and known.sources.get(each) != now[each].source
        }
        return Shelf(now, fresh, known) if len(fresh) <= UNSORTED else Shelf(now)

    def facing(self, facts: Facts) -> list[Rule]:
        """Those that have to be asked about a call, in no order: what the others would say is no."""
        # Where the engine cannot hold the facts a condition may be an error, and no text shows anything.
        if not self._sorted.by_text or not facts.are_held:
            return list(self.rules.values())
        found = self._sorted.found(facts).union(self.fresh)
        return [self.rules[each] for each in found if each in self.rules]

    @cached_property
    def _sorted(self) -> Sorted:
        return self.given or Sorted(self.rules.values())
