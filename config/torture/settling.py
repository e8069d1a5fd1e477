"""Which loops are on their way for longer than they may be, once nothing is broken any more."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

SETTLES_WITHIN = 15.0


@dataclass
class Settling:
    """What is seen after the last fault, at ``began`` (seconds of the monotonic clock), look by look.

    The client is not through yet: a loop that it begins afterwards, or that a person lets go on, has its time from then.
    Poison at work is a fault like any other: everybody's time begins with its end. ``late`` are those that were on their
    way for longer without a break.
    """

    began: float
    late: set[str] = field(default_factory=set)
    _since: dict[str, float] | None = None

    def look(
        self, on_their_way: Collection[str], now: float, *, is_poison_at_work: bool = False
    ) -> None:
        """Note who is on its way now; all who are at the first look have been since the last fault."""
        if is_poison_at_work:
            self.began, self._since = now, None
        known, unknown_since = ({}, self.began) if self._since is None else (self._since, now)
        self._since = {each: known.get(each, unknown_since) for each in on_their_way}
        self.late |= {each for each, since in self._since.items() if now - since > SETTLES_WITHIN}
