"""A mapping that is never changed, of which a changed one is made without copying it all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")

MOST_OVER = 512
"""Changed entries that are carried beside the others; with one more they are merged, once in so many changes."""


@dataclass(frozen=True, slots=True)
class Layers(Generic[Key, Value]):
    """Entries, and over them those that changed since; None over an entry: it is gone."""

    under: Mapping[Key, Value] = field(default_factory=dict)
    over: Mapping[Key, Value | None] = field(default_factory=dict)

    def get(self, key: Key) -> Value | None:
        """What is there now."""
        return self.over[key] if key in self.over else self.under.get(key)

    def changed(self, changes: Mapping[Key, Value | None]) -> Layers[Key, Value]:
        """The mapping with these entries changed, new or (None) gone."""
        over = {**self.over, **changes}
        if len(over) <= MOST_OVER:
            return Layers(self.under, over)
        return Layers(dict(Layers(self.under, over).items()))

    def values(self) -> Iterator[Value]:
        """All that is there, in no order."""
        return (value for _, value in self.items())

    def items(self) -> Iterator[tuple[Key, Value]]:
        """The same with what they are under."""
        for key, value in self.under.items():
            if key not in self.over:
                yield key, value
        for key, now in self.over.items():
            if now is not None:
                yield key, now
