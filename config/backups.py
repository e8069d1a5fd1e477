"""The whole database into one file, and back.

PostgreSQL's own pg_dump and pg_restore do it, as an administrator: under either of our logins row-level security
would refuse the first and hide rows from the second. The ledger's signed checkpoints and the folder ``secrets`` are
kept outside the database on purpose, and so are not in the file.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from . import embedded
from .database import MAINTENANCE, Address, DatabaseError, administrator, connected, make_database

# pg_dump's own format: compressed, and pg_restore reads it whole or not at all.
_FORMAT = "--format=custom"
_FIRST_BYTES = b"PGDMP"


def backup(environ: Mapping[str, str], data_dir: Path, out: Path) -> int:
    """Write every tenant's rows, as of one moment, to a file that only we may read; its size in bytes.

    The file appears when it is complete. Safe beside running processes, which it does not hold up. Raises
    DatabaseError, which says what to do.
    """
    admin = administrator(environ, data_dir)
    server = _require(admin, "rolsuper OR rolbypassrls", "a superuser, or a role with BYPASSRLS")
    half = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    try:
        # Made by us before pg_dump opens it: what it holds is nobody else's to read.
        half.touch(mode=0o600, exist_ok=False)
        _run(_program("pg_dump", server), admin, _FORMAT, f"--file={half}")
        half.replace(out)
    except OSError as error:
        raise DatabaseError(f"{out} cannot be written: {error.strerror or error}.") from error
    finally:
        half.unlink(missing_ok=True)
    return out.stat().st_size


def restore(
    environ: Mapping[str, str], data_dir: Path, file: Path, *, replace_all: bool = False
) -> None:
    """Put the database back as it was when the file was written.

    It is filled beside the present one and takes its name at the end, so a restore that fails changes nothing.
    ``replace_all`` is needed where there are tables already; they are dropped, and whoever uses them is thrown out.
    An older backup lacks later migrations: run ``migrate`` afterwards. Raises DatabaseError.
    """
    _require_backup(file)
    admin = administrator(environ, data_dir)
    server = _require(
        admin, "rolsuper", "a superuser: its triggers and owners are restored as well"
    )
    if not replace_all and _has_tables(admin):
        raise DatabaseError(
            f"The database {admin.name} at {admin.where} is not empty. Say --replace to drop what it holds."
        )
    fresh = replace(admin, name=f"{admin.name}_{secrets.token_hex(4)}")
    try:
        make_database(fresh)
        words = ("--exit-on-error", "--single-transaction", f"--dbname={_conninfo(fresh)}")
        _run(_program("pg_restore", server), admin, *words, str(file))
        with connected(fresh) as inside:
            inside.execute("ANALYZE")
        _take_the_place(admin, fresh.name)
    except psycopg.Error as error:
        raise DatabaseError(f"{file} cannot be restored: {_one_line(str(error))}") from error
    finally:
        with suppress(DatabaseError, psycopg.Error):
            _drop(admin, fresh.name)


def _take_the_place(admin: Address, fresh: str) -> None:
    """Give the new database the name of the old one, which is dropped."""
    old = f"{admin.name}_{secrets.token_hex(4)}"
    with connected(admin, MAINTENANCE) as server:
        if _exists(server, admin.name):
            _do(server, "ALTER DATABASE {} ALLOW_CONNECTIONS false", admin.name)
            try:
                server.execute(
                    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s",
                    [admin.name],
                )
                with server.transaction():
                    _do(server, "ALTER DATABASE {} RENAME TO {}", admin.name, old)
                    _do(server, "ALTER DATABASE {} RENAME TO {}", fresh, admin.name)
            except psycopg.Error:
                _do(server, "ALTER DATABASE {} ALLOW_CONNECTIONS true", admin.name)
                raise
            _do(server, "DROP DATABASE {}", old)
        else:
            _do(server, "ALTER DATABASE {} RENAME TO {}", fresh, admin.name)


def _drop(admin: Address, name: str) -> None:
    with connected(admin, MAINTENANCE) as server:
        _do(server, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def _exists(server: psycopg.Connection[Any], name: str) -> bool:
    return bool(server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone())


def _do(server: psycopg.Connection[Any], statement: str, *names: str) -> None:
    server.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _has_tables(admin: Address) -> bool:
    with connected(admin, MAINTENANCE) as server:
        if not _exists(server, admin.name):
            return False
    with connected(admin) as inside:
        found = inside.execute(
            "SELECT 1 FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') LIMIT 1"
        ).fetchone()
    return found is not None


def _require(admin: Address, right: str, who: str) -> int:
    """Refuse an administrator who would not see or make everything; the server's major version."""
    with connected(admin, MAINTENANCE) as server:
        row = server.execute(
            f"SELECT {right} FROM pg_roles WHERE rolname = current_user"  # noqa: S608 - words of ours
        ).fetchone()
        if row != (True,):
            raise DatabaseError(f"{admin.user} at {admin.where} may not do this. It needs {who}.")
        return server.info.server_version // 10_000


def _require_backup(file: Path) -> None:
    try:
        with file.open("rb") as opened:
            start = opened.read(len(_FIRST_BYTES))
    except OSError as error:
        raise DatabaseError(f"{file} cannot be read: {error.strerror or error}.") from error
    if start != _FIRST_BYTES:
        raise DatabaseError(f"{file} is no backup of ours: it does not begin as pg_dump writes.")


def _program(name: str, server: int) -> Path:
    """The PostgreSQL program that fits this server best: of its version, or the next newer one there is."""
    own = embedded.programs()
    places = [own / name] if own else []
    places += [Path(found)] if (found := shutil.which(name)) else []
    fitting = sorted(
        (major, place) for place in places if (major := _major(place)) and major >= server
    )
    if not fitting:
        raise DatabaseError(
            f"There is no {name} of PostgreSQL {server} or newer on this machine. Install postgresql-client-{server}."
        )
    return fitting[0][1]


def _major(program: Path) -> int | None:
    try:
        said = subprocess.run(  # noqa: S603 - PostgreSQL's own program
            [program, "--version"], check=True, capture_output=True, text=True, timeout=10
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\d+", said)
    return int(found.group()) if found else None


def _conninfo(login: Address) -> str:
    """An address for the command line, where everybody may read it: without the password."""
    return make_conninfo(**{key: said for key, said in login.dsn().items() if key != "password"})


def _run(program: Path, login: Address, *words: str) -> None:
    target = (
        ()
        if any(word.startswith("--dbname") for word in words)
        else (f"--dbname={_conninfo(login)}",)
    )
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "HOME": os.environ.get("HOME", "/"),
    }
    if login.password:
        env["PGPASSWORD"] = login.password
    ended = subprocess.run(  # noqa: S603 - PostgreSQL's own program, and no shell
        [program, *target, *words],
        check=False,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if ended.returncode != 0:
        raise DatabaseError(f"{program.name} failed: {_one_line(ended.stderr)}")


def _one_line(text: str) -> str:
    return " ".join(text.split())[-1_000:]
