"""The PostgreSQL backend that tells every transaction which tenant it works for.

Row-level security compares each row with the setting ``app.tenant``. This wrapper is the only place that
sets it, and only ever for the length of a transaction: a session-wide setting was measured to leak to the
next client behind a transaction pooler.
"""

from __future__ import annotations

import select
from contextlib import nullcontext
from typing import Any

from django.db.backends.postgresql import base
from psycopg import IsolationLevel, ServerCursor
from psycopg.pq import PipelineStatus, TransactionStatus

from . import driver
from .deadline import Connection, limit
from .tenancy import TenantError, current_tenant

_TENANT = "SELECT set_config('app.tenant', %s, true)"
_TENANT_AND_LIMIT = f"{_TENANT}, set_config('statement_timeout', %s, true)"


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's PostgreSQL connection, with the tenant of ``tenant_scope()`` known to the database, and the deadline."""

    Database = driver

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # What this transaction was told: the tenant, and how many milliseconds a statement may take. None when a
        # savepoint's rollback may have undone it.
        self._told: str | None = ""
        self._limited: str | None = ""
        self.execute_wrappers.append(self._tell)

    def _tell(self, execute: Any, sql: str, params: Any, many: Any, context: dict[str, Any]) -> Any:
        wanted = current_tenant() or ""
        if not self.in_atomic_block:
            if wanted:
                raise TenantError(
                    "A tenant's query must run inside tenant_scope() or a transaction."
                )
            return execute(sql, params, many, context)
        milliseconds = self._wanted_limit()
        if (wanted, milliseconds) == (self._told, self._limited) or self._is_broken():
            return execute(sql, params, many, context)
        # On one trip with the statement that needs it; only a cursor in the server cannot come along, and who is on
        # a trip of several already takes it along.
        alone = isinstance(context["cursor"].cursor, ServerCursor) or self._is_on_trip()
        with self.wrap_database_errors, nullcontext() if alone else self.connection.pipeline():
            with self.connection.cursor() as cursor:
                if milliseconds == self._limited:
                    cursor.execute(_TENANT, (wanted,))
                else:
                    cursor.execute(_TENANT_AND_LIMIT, (wanted, milliseconds))
            self._told, self._limited = wanted, milliseconds
            return execute(sql, params, many, context)

    def get_new_connection(self, conn_params: Any) -> Any:
        within = limit()
        if self.pool is None or within is None:
            return super().get_new_connection(conn_params)
        # Where all of the pool's connections are taken, its own patience may be longer than ours.
        self.isolation_level = IsolationLevel.READ_COMMITTED
        self.pool.open()
        return self.pool.getconn(timeout=within.left)

    @property
    def pool(self) -> Any:
        options = self.settings_dict["OPTIONS"].get("pool")
        if options:
            options.setdefault("connection_class", Connection)
        return super().pool

    def _wanted_limit(self) -> str:
        """Milliseconds; "0" where a deadline of this transaction is over, empty where it never had one."""
        within = limit()
        if within is not None:
            return within.milliseconds
        return "" if self._limited == "" else "0"

    def _is_broken(self) -> bool:
        return bool(self.connection.info.transaction_status == TransactionStatus.INERROR)

    def _is_on_trip(self) -> bool:
        return bool(self.connection.info.pipeline_status == PipelineStatus.ON)

    def is_usable(self) -> bool:
        """Asks the server only when something points to trouble: every request would wait for the answer.

        A server that has gone, or has thrown us out, closed the socket; and a closed socket can be read from.
        """
        return (not self.errors_occurred and self._is_quiet()) or bool(super().is_usable())

    def _is_quiet(self) -> bool:
        if self.connection is None or self.connection.closed:
            return False
        poll = select.poll()
        poll.register(self.connection.fileno(), select.POLLIN)
        return not poll.poll(0)

    def set_autocommit(self, *args: Any, **kwargs: Any) -> None:
        super().set_autocommit(*args, **kwargs)
        self._told = self._limited = ""

    def _savepoint_rollback(self, sid: str) -> None:
        # ROLLBACK TO restores what was set before the savepoint: tell it again next time.
        super()._savepoint_rollback(sid)  # type: ignore[misc]
        self._told = None
        if self._limited != "":
            self._limited = None
