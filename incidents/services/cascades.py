"""One failure that is told several times on its way up: by the call that failed, and by each that called it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from governance.actors import Actor
from governance.database.inserts import insert
from governance.refusals import Refusal

from ..models import Alias
from .reporting import Opened, report


@dataclass(frozen=True, slots=True)
class Link:
    """One call that failed. ``told`` is what ``report`` takes, None for a call that is no business of ours.

    ``names`` are the names under which a call that it made may have spoken of it already; ``above`` those under which
    it speaks of the call that made it.
    """

    names: tuple[str, ...]
    above: tuple[str, ...]
    told: dict[str, Any] | None


def report_cascade(
    links: Sequence[Link], *, source: str, actor: Actor
) -> list[Opened | Refusal | None]:
    """Open an incident for each call whose failure is its own; None for one that repeats that of a call it made.

    Inner calls come first. What was told in an earlier cascade is known, so that an outer call may come later, alone.
    A report that is refused is answered with its Refusal, and leaves the others as they are.
    """
    known = _known(source, [name for link in links for name in link.names])
    answers: list[Opened | Refusal | None] = []
    new: dict[str, str] = {}
    for link in links:
        incident_id = next((known[name] for name in link.names if name in known), None)
        answer: Opened | Refusal | None = None
        if incident_id is None and link.told is not None:
            answer = _reported(link.told, source, actor)
            incident_id = answer.incident.id if isinstance(answer, Opened) else None
        if incident_id is not None:
            new |= {name: incident_id for name in link.above if name not in known}
            known = {**new, **known}
        answers.append(answer)
    insert(
        [Alias(source=source, key=key, incident_id=pk) for key, pk in sorted(new.items())],
        ignore_conflicts=True,
    )
    return answers


def _reported(told: dict[str, Any], source: str, actor: Actor) -> Opened | Refusal:
    try:
        return report(source=source, actor=actor, **told)
    except Refusal as refusal:  # raised before anything is written
        return refusal


def _known(source: str, names: Iterable[str]) -> dict[str, str]:
    """The incidents that these names stand for already."""
    found = Alias.objects.filter(source=source, key__any=sorted(set(names)))
    return dict(found.exclude(incident=None).values_list("key", "incident_id"))
