"""The one door through which a record changes its state."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from django.db.models.functions import Now

from . import ledger
from .actors import Actor
from .refusals import Conflict


class Stateful(Protocol):
    """A record with a life: ``state`` and the table of its allowed moves, state -> states."""

    MOVES: ClassVar[dict[str, frozenset[str]]]
    pk: Any
    state: str


class IllegalMove(Conflict):
    """The table of moves does not allow this change."""

    def __init__(self, record: Any, to: str) -> None:
        self.record, self.to = record, to
        super().__init__(
            f"{record._meta.verbose_name} {record.pk} cannot go from {record.state} to {to}."
        )


class Stale(Conflict):
    """Somebody else changed the record first; nothing was written."""

    def __init__(self, record: Any, to: str) -> None:
        self.record, self.to = record, to
        super().__init__(
            f"{record._meta.verbose_name} {record.pk} is no longer {record.state}: somebody was first."
        )


def move(
    record: Any,
    state: str,
    *,
    actor: Actor,
    reason: str = "",
    keeps_reason: bool = False,
    **changes: Any,
) -> None:
    """Move a record to a state, with the other fields that change with it, and write the ledger.

    A record that ``keeps_reason`` has a field of that name, which says the last one.

    A filtered update: zero rows means that somebody was first and raises Stale. IllegalMove when the record's
    MOVES do not allow it. Must run inside a transaction; the record in hand is updated too.
    """
    before = record.state
    if state not in record.MOVES.get(before, frozenset()):
        raise IllegalMove(record, state)
    fields = {"state": state, **changes, **({"reason": reason} if keeps_reason else {})}
    if any(field.name == "state_since" for field in record._meta.fields):
        fields["state_since"] = Now()
    updated = type(record).objects.filter(pk=record.pk, state=before).update(**fields)
    if not updated:
        raise Stale(record, state)
    for name, value in fields.items():
        if name != "state_since":
            setattr(record, name, value)
    ledger.append(
        f"{record._meta.model_name}.{state}",
        record.pk,
        actor=actor,
        reason=reason,
        before=before,
        after=state,
    )
