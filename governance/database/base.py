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
from psycopg import ServerCursor
from psycopg.pq import TransactionStatus

from .tenancy import TenantError, current_tenant


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's PostgreSQL connection, with the tenant of ``tenant_scope()`` known to the database."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # What this transaction was told; None when a savepoint's rollback may have undone it.
        self._told: str | None = ""
        self.execute_wrappers.append(self._tell)

    def _tell(self, execute: Any, sql: str, params: Any, many: Any, context: dict[str, Any]) -> Any:
        wanted = current_tenant() or ""
        if not self.in_atomic_block:
            if wanted:
                raise TenantError(
                    "A tenant's query must run inside tenant_scope() or a transaction."
                )
        elif wanted != self._told and not self._is_broken():
            # On one trip with the statement that needs it; only a cursor in the server cannot come along.
            alone = isinstance(context["cursor"].cursor, ServerCursor)
            with self.wrap_database_errors, nullcontext() if alone else self.connection.pipeline():
                with self.connection.cursor() as cursor:
                    cursor.execute("SELECT set_config('app.tenant', %s, true)", (wanted,))
                self._told = wanted
                return execute(sql, params, many, context)
        return execute(sql, params, many, context)

    def _is_broken(self) -> bool:
        return bool(self.connection.info.transaction_status == TransactionStatus.INERROR)

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
        self._told = ""

    def _savepoint_rollback(self, sid: str) -> None:
        # ROLLBACK TO restores the tenant that was set before the savepoint: ask again next time.
        super()._savepoint_rollback(sid)  # type: ignore[misc]
        self._told = None
