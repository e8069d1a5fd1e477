"""Inserts of model instances whose SQL is made once for each model.

``bulk_create`` compiles its text anew for every call, and makes another one for each number of rows, so that
PostgreSQL plans it anew as well. Here all rows are one parameter, as JSON: measured faster than an array for each
column, whose type (and so the plan) would change with what happens to be null or small.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any

from django.db import connection
from django.db.models import Field, Model, Value
from django.db.models.expressions import DatabaseDefault
from django.db.models.sql import InsertQuery
from psycopg import Binary
from psycopg.types.json import Jsonb

_LENGTH = re.compile(r"\(.*\)")  # an array's brackets come after it

# Columns and the expressions that stand for their values.
Computed = tuple[tuple[str, Any], ...]


class CannotInsert(TypeError):
    """A value that cannot be written by a constant text."""


def insert(rows: Iterable[Model], *, ignore_conflicts: bool = False) -> int:
    """Write new rows, and answer how many were written: with ``ignore_conflicts`` perhaps fewer. In ``one_trip()`` nobody knows.

    Like bulk_create it sends no signals, asks each field for its value (``pre_save``) and leaves a column with a
    database default to the database when the row says nothing else. Rows that say values for the same columns are
    one statement. An expression without parameters (``Now()``) may stand for a value; raises CannotInsert for any
    other, and for a value that JSON cannot carry to its column.
    """
    rows = list(rows)
    shapes: dict[tuple[type[Model], tuple[str, ...], Computed], list[dict[str, Any]]] = {}
    for row in rows:
        said, computed = _taken_apart(row)
        shape = (type(row), tuple(said), tuple(computed.items()))
        shapes.setdefault(shape, []).append(said)
    written = 0
    with connection.cursor() as cursor:
        for shape, values in shapes.items():
            text = _text(*shape, ignore_conflicts)
            cursor.execute(text, [json.dumps(values, default=_plain, ensure_ascii=False)])
            written += cursor.rowcount
    for row in rows:
        row._state.adding, row._state.db = False, connection.alias  # noqa: SLF001 - as bulk_create does
    return written


def _taken_apart(row: Model) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of a row and the expressions in place of values, by column; without what the database fills in."""
    said, computed = {}, {}
    for field in row._meta.concrete_fields:
        if field.generated:
            continue
        column, value = str(field.column), field.pre_save(row, add=True)
        if isinstance(value, DatabaseDefault):
            continue
        if hasattr(value, "resolve_expression"):
            computed[column] = value
        else:
            said[column] = field.get_db_prep_save(value, connection)
    return said, computed


def _plain(value: Any) -> Any:
    """A value as JSON, so that PostgreSQL reads it back as the column's type."""
    match value:
        case Jsonb():
            return value.obj
        case datetime():
            return value.isoformat()
        case Binary():
            return "\\x" + bytes(value.obj).hex()
    raise CannotInsert(f"{value!r} cannot be sent as JSON.")


@cache
def _text(
    model: type[Model],
    said: tuple[str, ...],
    computed: Computed,
    ignore_conflicts: bool,  # noqa: FBT001 - a cache tells arguments apart by their place
) -> str:
    quote = connection.ops.quote_name
    fields = {str(field.column): field for field in model._meta.concrete_fields}
    sent = [quote(column) for column in said]
    made = {quote(column): _sql(fields[column], value) for column, value in computed}
    types = ", ".join(f"{quote(column)} {_type(fields[column])}" for column in said)
    return (
        f"INSERT INTO {quote(model._meta.db_table)} ({', '.join([*sent, *made])})"  # noqa: S608 - names of ours
        f" SELECT {', '.join([*sent, *made.values()])} FROM json_to_recordset(%s) AS new ({types})"
        f"{' ON CONFLICT DO NOTHING' if ignore_conflicts else ''}"
    )


def _type(field: Field[Any, Any]) -> str:
    """The column's type without its length: a cast to varchar(9) would cut off what the column must refuse."""
    return _LENGTH.sub("", field.db_type(connection) or "")


def _sql(field: Field[Any, Any], value: Any) -> str:
    compiler = InsertQuery(field.model).get_compiler(connection=connection)
    resolved = value.resolve_expression(compiler.query, allow_joins=False, for_save=True)
    sql, params = compiler.compile(resolved)
    if params or isinstance(value, Value) or resolved.contains_column_references:
        raise CannotInsert(f"{field} = {value!r}: only an expression without parameters can be.")
    return str(sql)
