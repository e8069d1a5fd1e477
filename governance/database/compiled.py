"""Questions to the ORM whose SQL is made once.

Django takes about a millisecond to build and compile a queryset, many times what PostgreSQL needs to find a row by
its key; and every loop and every report asks the same few. A compiled question keeps the text and the way back
from columns to model instances; later calls only send new parameters::

    @compiled
    def matches_of(incident_ids: Sequence[str]) -> QuerySet[PatternMatch]:
        return PatternMatch.objects.filter(incident_id__any=incident_ids).select_related("pattern")


    found = matches_of([incident.id])  # a list of PatternMatch

Questions that do not rest on one another go to the server on one trip::

    [matches], [run] = ask(matches_of.ready(ids), run_named.ready(name))

The text is the same for every tenant, because row-level security and no filter keeps tenants apart.

What this relies on beyond Django's documented interface, and so must be looked at when Django is upgraded: that
the iterable of a queryset (``_iterable_class``) takes its compiler from ``query.get_compiler()``, that the compiler's
``execute_sql()`` answers with lists of rows as the driver gave them, and that ``get_converters()`` says the same each time.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import connection, connections
from django.db.models import Field, Lookup, QuerySet
from django.db.models.fields.related import ForeignObject
from django.db.models.sql import Query
from django.db.models.sql.compiler import SQLCompiler

from .trips import one_trip

Said = ParamSpec("Said")
Row = TypeVar("Row")
Found = TypeVar("Found")
Other = TypeVar("Other")


class CannotCompile(TypeError):
    """A queryset has no text that would be true for all arguments."""


class Slot(str):
    """Stands for an argument while a queryset is compiled, and is found among the parameters by its identity.

    A text, because the fields that we ask by (ids and names) hand a text on as it is.
    """

    __slots__ = ()


@Field.register_lookup
@ForeignObject.register_lookup
class AnyOf(Lookup):
    """``id__any=ids``: one of a list, which is one parameter however long it is. ``__in`` writes each out.

    An expression whose value is an array will do as well.
    """

    lookup_name = "any"
    prepare_rhs = False

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> tuple[str, tuple[Any, ...]]:
        column, params = self.process_lhs(compiler, connection)
        if hasattr(self.rhs, "resolve_expression"):
            array, more = compiler.compile(self.rhs)
            return f"{column} = ANY({array})", (*params, *more)
        return f"{column} = ANY(%s)", (*params, self.rhs)


class Compiled(Generic[Said, Row]):
    """A question that is compiled when it is asked first. Any thread may ask it."""

    def __init__(self, declare: Callable[Said, QuerySet[Any, Row]]) -> None:
        update_wrapper(self, declare)
        self._declare: Callable[..., QuerySet[Any, Row]] = declare
        self._signature = inspect.signature(declare)
        # Two threads may both make it; the texts are equal and either may stay.
        self._text: _Text | None = None

    def __call__(self, *args: Said.args, **kwargs: Said.kwargs) -> list[Row]:
        """The rows. Arguments are texts or lists of texts; raises TypeError for None, which SQL would never find."""
        return self.ready(*args, **kwargs).answer()

    def ready(self, *args: Said.args, **kwargs: Said.kwargs) -> Question[list[Row]]:
        """The question with these arguments, for ``ask()``. Raises what asking would."""
        said = self._signature.bind(*args, **kwargs).arguments
        if None in said.values():
            raise TypeError(f"{self._declare.__name__}() was asked for None: {said}")
        self._text = self._text or self._compile()
        return Question(self._text.sql, self._text.filled(said), self._text.rows)

    def _compile(self) -> _Text:
        slots = {name: Slot(name) for name in self._signature.parameters}
        name, queryset = self._declare.__name__, self._declare(**slots)
        if queryset._prefetch_related_lookups:  # type: ignore[attr-defined]  # noqa: SLF001
            raise CannotCompile(f"{name}() prefetches, which is a question of its own.")
        text = _Text(name, queryset)
        if unused := [slot for slot in slots.values() if not any(slot is p for p in text.params)]:
            raise CannotCompile(f"{name}() never sends {', '.join(unused)} to the database.")
        return text


def compiled(declare: Callable[Said, QuerySet[Any, Row]]) -> Compiled[Said, Row]:
    """Make a function that answers with a queryset into one that answers with its rows.

    The function runs once, with a Slot for every argument: it must hand each of them to a filter, and cannot
    decide by it. Raises CannotCompile at the first call where an argument never reaches the SQL, where the
    queryset is known to be empty (``none()``, ``__in=[]``) or prefetches.
    """
    return Compiled(declare)


@dataclass(frozen=True, slots=True)
class Question(Generic[Found]):
    """A statement that is not sent yet, and what is made of the rows that answer it."""

    sql: str
    params: Sequence[Any]
    made: Callable[[list[Any]], Found]

    def then(self, make: Callable[[Found], Other]) -> Question[Other]:
        """The same question, answered with what this function makes of the answer."""
        return Question(self.sql, self.params, lambda rows: make(self.made(rows)))

    def answer(self) -> Found:
        """The answer to this one alone."""
        [found] = ask(self)
        answer: Found = found
        return answer


def ask(*questions: Question[Any]) -> list[Any]:
    """The answers in their order: one trip to the server, however many there are. Each sees what was committed when it began."""
    with ExitStack() as open_until_read:
        cursors = [open_until_read.enter_context(connection.cursor()) for _ in questions]
        with one_trip() if len(questions) > 1 else nullcontext():
            for cursor, each in zip(cursors, questions, strict=True):
                cursor.execute(each.sql, each.params)
        fetched = [cursor.fetchall() for cursor in cursors]
    return [each.made(rows) for each, rows in zip(questions, fetched, strict=True)]


def _like(one: Other, **changes: Any) -> Other:
    """A copy with some attributes of its own; ``copy()`` asks an object first how it wants to be copied, which takes longer."""
    made: Other = object.__new__(type(one))
    made.__dict__ = {**one.__dict__, **changes}
    return made


class _Text:
    """The constant text of a queryset, and what Django needs to make rows of the answer."""

    def __init__(self, name: str, queryset: QuerySet[Any, Any]) -> None:
        self._queryset = queryset
        self._compiler: SQLCompiler = queryset.query.get_compiler(queryset.db)
        try:
            self.sql, self.params = self._compiler.as_sql()
        except EmptyResultSet:
            raise CannotCompile(f"{name}() is a queryset without rows.") from None
        self._converters = self._compiler.get_converters([s[0] for s in self._compiler.select])

    def filled(self, said: dict[str, Any]) -> tuple[Any, ...]:
        """The parameters of one call."""
        return tuple(said[p] if type(p) is Slot else p for p in self.params)

    def rows(self, fetched: list[Any]) -> list[Any]:
        """What the queryset would make of these rows."""
        # Copies, for threads share what was compiled; and a connection belongs to one thread.
        compiler = _like(
            self._compiler,
            connection=connections[self._queryset.db],
            execute_sql=lambda *_, **__: [fetched],
            get_converters=lambda _: self._converters,
        )
        return list(
            self._asked(_like(self._queryset.query, get_compiler=lambda *_, **__: compiler))
        )

    def _asked(self, query: Query) -> QuerySet[Any, Any]:
        """The queryset again, with this query in its place."""
        asked: QuerySet[Any, Any] = QuerySet(self._queryset.model, query, self._queryset.db)
        for name in ("_iterable_class", "_fields"):
            setattr(asked, name, getattr(self._queryset, name))
        return asked
