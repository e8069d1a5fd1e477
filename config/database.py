"""Where the database is, who logs in, and what must be there before the first migration.

Two logins, chosen by the process: antibody_owner migrates and owns the tables, antibody_app does
all the rest and is held by row-level security. antibody_system cannot log in; it owns the few
functions that look across tenants.

Without DATABASE_URL the embedded server is used. DATABASE_URL with the user antibody_app is used
as it is; any other user is an administrator, asked only to make the roles and the database, never
to serve.
"""

import getpass
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import psycopg
from psycopg import pq, sql

from . import embedded
from .secrets import kept_secret

APP_LOGIN = "antibody_app"
OWNER_LOGIN = "antibody_owner"
SYSTEM_ROLE = "antibody_system"

OLDEST_MAJOR = 15  # views that respect row-level security (security_invoker) came with it

MAINTENANCE = "postgres"  # the database that every server has

_DATABASE = "antibody"
_CONNECT_SECONDS = "10"
# Any number will do, as long as every process takes the same one ("antibody" on a telephone).
_LOCK = 26842639
_ROLES = {SYSTEM_ROLE: "NOLOGIN", OWNER_LOGIN: "LOGIN CREATEDB", APP_LOGIN: "LOGIN"}


class DatabaseError(RuntimeError):
    """The database cannot be used as it is; the message says what to do about it."""


class _RefusedError(DatabaseError):
    """The server answered, and did not let this login in."""


@dataclass(frozen=True)
class Address:
    """One login at one database. `host` is a name, a number, or the folder of a socket."""

    host: str
    port: str
    user: str
    password: str = field(repr=False)
    name: str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """For people: the server without its secrets."""
        return f"{self.host or 'the local socket'}:{self.port or 5432}"

    def login(self, user: str, password: str = "") -> "Address":
        return replace(self, user=user, password=password)

    def dsn(self, name: str | None = None) -> dict[str, Any]:
        """What psycopg.connect takes, for this database or another one on the same server."""
        parts = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "dbname": name or self.name,
        }
        return {"connect_timeout": _CONNECT_SECONDS, **self.options} | {
            k: v for k, v in parts.items() if v
        }


@dataclass(frozen=True)
class _Plan:
    """Who logs in where; `admin` where we have one, `directory` where the server is our own."""

    app: Address
    owner: Address
    admin: Address | None = None
    directory: Path | None = None


def address(environ: Mapping[str, str], data_dir: Path) -> dict[str, Any]:
    """Django's DATABASES["default"], computed only: nothing is started and nobody is asked.

    ANTIBODY_LOGIN=owner answers with the owner's login. OWNER is ours, for `as_owner`.
    """
    plan = _plan(environ, data_dir)
    login = environ.get("ANTIBODY_LOGIN") or "app"
    if login not in {"app", "owner"}:
        raise DatabaseError(f"ANTIBODY_LOGIN is {login!r}; it must be app or owner.")
    return {
        "ENGINE": "governance.database",
        **_django(plan.owner if login == "owner" else plan.app),
        "NAME": plan.app.name,
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "ATOMIC_REQUESTS": True,
        "TEST": {"NAME": f"test_{_DATABASE}{environ.get('ANTIBODY_TEST_SUFFIX', '')}"},
        "OWNER": _django(plan.owner),
    }


def prepare(environ: Mapping[str, str], data_dir: Path) -> bool:
    """See that the server runs and has our roles and database; True when this call started it.

    Safe in many processes at once; one connection and one query when all is there. Raises
    DatabaseError, which says what to do.
    """
    plan = _plan(environ, data_dir)
    started = _start(plan.directory) if plan.directory else False
    try:
        missing = _missing(plan.app)
    except _RefusedError:
        if plan.admin is None:
            raise
        missing = ["its login"]
    if missing and plan.admin is None:
        raise DatabaseError(
            f"The database {plan.app.name} at {plan.app.where} lacks {', '.join(missing)}. Start once with an "
            "administrator's address in DATABASE_URL, which sets this up."
        )
    if missing and plan.admin:
        _build(plan, plan.admin)
    return started


def prepare_from_settings() -> bool:
    """`prepare` with what the settings say; for the entry points of the site's processes."""
    import os

    from django.conf import settings

    return prepare(os.environ, settings.DATA_DIR)


def release(environ: Mapping[str, str], data_dir: Path) -> None:
    """Stop the embedded server, if that is in use: for the process whose `prepare` started it."""
    directory = _plan(environ, data_dir).directory
    if directory:
        try:
            embedded.stop(directory)
        except embedded.EmbeddedError as error:
            raise DatabaseError(str(error)) from error


def admin_dsn(environ: Mapping[str, str], data_dir: Path) -> dict[str, Any] | None:
    """psycopg.connect's arguments for an administrator in "postgres"; None where we have none."""
    admin = _plan(environ, data_dir).admin
    return admin.dsn(MAINTENANCE) if admin else None


def administrator(environ: Mapping[str, str], data_dir: Path) -> Address:
    """Who may read and write whole databases. The embedded server, where that is in use, is started.

    DATABASE_ADMIN_URL, or the administrator of DATABASE_URL. Raises DatabaseError where neither names one.
    """
    if url := environ.get("DATABASE_ADMIN_URL"):
        return parse(url)
    plan = _plan(environ, data_dir)
    if plan.admin is None:
        raise DatabaseError(
            f"This needs an administrator, because row-level security holds {APP_LOGIN} and {OWNER_LOGIN} to one "
            "tenant at a time. Give a superuser's address, past any pooler, in DATABASE_ADMIN_URL."
        )
    if plan.directory:
        _start(plan.directory)
    return plan.admin


def make_database(admin: Address) -> None:
    """An empty database of this administrator's address, with the roles, owner and grants that ours have."""
    with connected(admin, MAINTENANCE) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        _make_roles(connection)
        _make_database(connection, admin)
        with connected(admin) as inside:
            _grant(inside)


@contextmanager
def as_owner() -> Iterator[None]:
    """Let this thread's default connection of Django log in as the owner: for migrations and tests.

    Not inside a transaction (DatabaseError). Without a pool: the owner's options have none, and the
    app's is closed on the way in, so that it comes back with the name of a new test database.
    """
    from django.db import connection

    if connection.in_atomic_block:
        raise DatabaseError(
            "as_owner() cannot change the login inside a transaction; call it outside."
        )
    before = connection.settings_dict
    _reconnect_with({**before, **before["OWNER"]})
    try:
        yield
    finally:
        # A test database may have been made, and given its name, meanwhile: that must outlive us.
        before["NAME"] = connection.settings_dict["NAME"]
        _reconnect_with(before)


def _reconnect_with(settings: dict[str, Any]) -> None:
    from django.db import connection

    connection.close()
    if hasattr(connection, "close_pool"):
        connection.close_pool()
    connection.settings_dict = settings


# --- Addresses


def parse(url: str) -> Address:
    """Read a postgresql:// address, with %2F in a socket's folder and options (?sslmode=require).

    Done here because the usual parsers lower the case of the host and leave its %2F as it is.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # whose words would repeat the password
        raise DatabaseError(_how_to_write("the host is not written correctly")) from None
    if parts.fragment:
        raise DatabaseError(_how_to_write("it holds a #, which a password must write as %23"))
    if parts.scheme not in {"postgres", "postgresql"}:
        raise DatabaseError(_how_to_write("it does not begin with postgresql://"))
    login, _, server = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    host, port = _host_and_port(server)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    return Address(
        host=options.pop("host", unquote(host)),
        port=_port(options.pop("port", port)),
        user=options.pop("user", unquote(user)) or getpass.getuser(),
        password=options.pop("password", unquote(password)),
        name=options.pop("dbname", unquote(parts.path.strip("/"))) or _DATABASE,
        options=options,
    )


def _host_and_port(server: str) -> tuple[str, str]:
    if "," in server:
        raise DatabaseError(_how_to_write("it names several servers, and only one is supported"))
    if server.startswith("["):
        host, _, rest = server[1:].partition("]")
        return host, rest.removeprefix(":")
    host, _, port = server.partition(":")
    return host, port


def _port(port: str) -> str:
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
        raise DatabaseError(_how_to_write(f"its port is {port!r}"))
    return port


def _how_to_write(fault: str) -> str:
    return (
        f"DATABASE_URL cannot be read: {fault}. Write postgresql://user:password@host:5432/antibody, "
        "and @ : / in a password as %40 %3A %2F."
    )


def _plan(environ: Mapping[str, str], data_dir: Path) -> _Plan:
    url = environ.get("DATABASE_URL")
    if not url:
        return _embedded_plan(data_dir / "pg")
    given = parse(url)
    if given.user == APP_LOGIN:
        return _Plan(app=given, owner=_owner(environ, given.login(OWNER_LOGIN)))
    app = given.login(APP_LOGIN, kept_secret(data_dir, APP_LOGIN))
    owner = given.login(OWNER_LOGIN, kept_secret(data_dir, OWNER_LOGIN))
    return _Plan(app=app, owner=_owner(environ, owner), admin=given)


def _embedded_plan(directory: Path) -> _Plan:
    try:
        socket = str(embedded.socket_directory(directory))
    except embedded.EmbeddedError as error:
        raise DatabaseError(str(error)) from error
    admin = Address(socket, str(embedded.PORT), embedded.SUPERUSER, "", _DATABASE)
    return _Plan(admin.login(APP_LOGIN), admin.login(OWNER_LOGIN), admin, directory)


def _owner(environ: Mapping[str, str], otherwise: Address) -> Address:
    """The owner's own address, which may lead past a pooler that the app goes through."""
    url = environ.get("DATABASE_OWNER_URL")
    if not url:
        return otherwise
    owner = parse(url)
    if owner.user != OWNER_LOGIN:
        raise DatabaseError(
            f"The user in DATABASE_OWNER_URL is {owner.user}; it must be {OWNER_LOGIN}."
        )
    return owner


def _django(login: Address) -> dict[str, Any]:
    options = {} if login.host.startswith("/") else {"connect_timeout": _CONNECT_SECONDS}
    return {
        "HOST": login.host,
        "PORT": login.port,
        "USER": login.user,
        "PASSWORD": login.password,
        "OPTIONS": {**options, **login.options},
    }


# --- Checking


def require_version(number: int, where: str) -> None:
    """Refuse a server that is too old. `number` is its server_version_num, 150018 for 15.18."""
    major, minor = divmod(number, 10_000)
    if major < OLDEST_MAJOR:
        raise DatabaseError(
            f"PostgreSQL {OLDEST_MAJOR} or newer is needed, this is {major}.{minor} at {where}. Upgrade it, or "
            "leave DATABASE_URL empty to use the embedded one."
        )


def _start(directory: Path) -> bool:
    try:
        return embedded.start(directory)
    except embedded.EmbeddedError as error:
        raise DatabaseError(str(error)) from error


@contextmanager
def connected(login: Address, name: str | None = None) -> Iterator["psycopg.Connection[Any]"]:
    """A connection outside Django, each statement a transaction. Explains why there is none."""
    dsn = login.dsn(name)
    try:
        connection = psycopg.connect(**dsn, autocommit=True)
    except psycopg.Error as error:
        raise _why_not(login, dsn, error) from error
    with connection:
        require_version(connection.info.server_version, login.where)
        yield connection


def _why_not(login: Address, dsn: Mapping[str, Any], error: psycopg.Error) -> DatabaseError:
    words = " ".join(str(error).split())
    answer = pq.PGconn.ping(psycopg.conninfo.make_conninfo(**dsn).encode())
    if answer == pq.Ping.OK:
        return _RefusedError(
            f"PostgreSQL at {login.where} does not let {login.user} into {dsn['dbname']}: {words}. "
            "Check user, password and database in DATABASE_URL, and pg_hba.conf on the server."
        )
    return DatabaseError(
        f"No PostgreSQL answers at {login.where}: {words}. Start it, correct DATABASE_URL, or leave that "
        "empty to use the embedded one."
    )


# Read as the app's login, which proves in passing that it can log in. Roles may be absent, and the
# functions that take a role's name would then raise: hence the joins.
_SURVEY = """
WITH login AS (SELECT * FROM pg_roles WHERE rolname = %(app)s),
     owner AS (SELECT * FROM pg_roles WHERE rolname = %(owner)s),
     system AS (SELECT * FROM pg_roles WHERE rolname = %(system)s)
SELECT
    pg_encoding_to_char(d.encoding) AS encoding,
    ARRAY(SELECT rolname::text FROM pg_roles WHERE rolname IN (%(app)s, %(owner)s, %(system)s)
          AND (rolsuper OR rolbypassrls)
          UNION
          SELECT login.rolname::text FROM login, pg_roles AS other WHERE other.oid <> login.oid
          AND (other.rolsuper OR other.rolbypassrls OR other.rolname IN (%(owner)s, %(system)s))
          AND pg_has_role(login.oid, other.oid, 'MEMBER')) AS too_strong,
    array_remove(ARRAY[
        CASE WHEN NOT EXISTS (SELECT FROM login WHERE rolcanlogin) THEN 'the login ' || %(app)s END,
        CASE WHEN NOT EXISTS (SELECT FROM owner WHERE rolcanlogin AND rolcreatedb)
             THEN 'the login ' || %(owner)s || ' with CREATEDB' END,
        CASE WHEN NOT EXISTS (SELECT FROM system) THEN 'the role ' || %(system)s END,
        CASE WHEN NOT EXISTS (SELECT FROM owner, system WHERE pg_has_role(owner.oid, system.oid, 'MEMBER'))
             THEN 'the membership of ' || %(owner)s || ' in ' || %(system)s END,
        CASE WHEN NOT EXISTS (SELECT FROM owner WHERE oid = d.datdba) THEN 'the owner ' || %(owner)s END,
        CASE WHEN NOT EXISTS (SELECT FROM pg_namespace n, owner WHERE nspname = 'public' AND nspowner = owner.oid)
             THEN 'a schema public owned by ' || %(owner)s END,
        CASE WHEN NOT EXISTS (SELECT FROM login, system WHERE has_schema_privilege(login.oid, 'public', 'USAGE')
                              AND has_schema_privilege(system.oid, 'public', 'USAGE')
                              AND NOT has_schema_privilege(login.oid, 'public', 'CREATE'))
             THEN 'the grants on schema public' END
    ], NULL) AS missing
FROM pg_database AS d WHERE d.datname = current_database()
"""


def _missing(app: Address) -> list[str]:
    """What is not as it must be, in words. Refuses what only a person may put right."""
    with connected(app) as connection:
        names = {"app": APP_LOGIN, "owner": OWNER_LOGIN, "system": SYSTEM_ROLE}
        found = connection.execute(_SURVEY, names).fetchone()
    assert found is not None
    encoding, too_strong, missing = found
    if too_strong:
        roles = " and ".join(too_strong)
        raise DatabaseError(
            f"{roles} at {app.where} may pass row-level security, which keeps tenants apart. As an administrator: "
            f"ALTER ROLE … NOSUPERUSER NOBYPASSRLS, and REVOKE from {APP_LOGIN} what it is a member of."
        )
    if encoding != "UTF8":
        raise DatabaseError(
            f"The database {app.name} at {app.where} is encoded as {encoding}; name one in UTF8, or one that "
            "does not exist yet, in DATABASE_URL."
        )
    return list(missing)


# --- Building


def _build(plan: _Plan, admin: Address) -> None:
    """As the administrator, make what is missing; one process at a time, so that all agree."""
    try:
        make_database(admin)
        with connected(admin, MAINTENANCE) as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
            for login in (plan.owner, plan.app):
                _settle_password(connection, login)
    except psycopg.Error as error:
        raise DatabaseError(
            f"{admin.user} could not set up the roles and the database {admin.name} at {admin.where}: "
            f"{' '.join(str(error).split())}. DATABASE_URL needs a superuser, or a user with CREATEROLE and CREATEDB."
        ) from error
    if missing := _missing(plan.app):
        raise DatabaseError(
            f"The database {admin.name} at {admin.where} still lacks {', '.join(missing)}."
        )


def _make_roles(connection: "psycopg.Connection[Any]") -> None:
    there = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
    for role, rights in _ROLES.items():
        verb = "ALTER" if role in there else "CREATE"
        _do(connection, f"{verb} ROLE {{}} {rights}", role)
    # To hand a function to the system role, the owner must be able to become it. From PostgreSQL 16
    # on that is the option SET, which a plain GRANT gives, as it gives INHERIT: as 15 always did.
    _do(connection, "GRANT {} TO {}", SYSTEM_ROLE, OWNER_LOGIN)
    superuser = connection.execute(
        "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
    ).fetchone()
    if superuser != (True,):  # an administrator in a cloud must be a member to give databases away
        _do(connection, "GRANT {} TO CURRENT_USER", OWNER_LOGIN)


def _make_database(connection: "psycopg.Connection[Any]", admin: Address) -> None:
    found = connection.execute(
        "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s", [admin.name]
    ).fetchone()
    if found is None:
        # Text is ordered by code point, on any machine, as in the embedded server.
        builtin = connection.info.server_version >= 170_000
        locale = (
            "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'"
            if builtin
            else "LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'"
        )
        _do(
            connection,
            f"CREATE DATABASE {{}} OWNER {{}} TEMPLATE template0 ENCODING 'UTF8' {locale}",
            admin.name,
            OWNER_LOGIN,
        )
    elif found != (OWNER_LOGIN,):
        _refuse_anothers_tables(admin)
        _do(connection, "ALTER DATABASE {} OWNER TO {}", admin.name, OWNER_LOGIN)


def _refuse_anothers_tables(admin: Address) -> None:
    with connected(admin) as inside:
        found = inside.execute(
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v')"
        ).fetchone()
    if found != (0,):
        raise DatabaseError(
            f"The database {admin.name} at {admin.where} holds somebody else's tables. Name another in "
            "DATABASE_URL; it is made when it does not exist."
        )


def _grant(inside: "psycopg.Connection[Any]") -> None:
    _do(inside, "ALTER SCHEMA public OWNER TO {}", OWNER_LOGIN)
    _do(inside, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    _do(inside, "GRANT USAGE ON SCHEMA public TO {}, {}", APP_LOGIN, SYSTEM_ROLE)


def _settle_password(connection: "psycopg.Connection[Any]", login: Address) -> None:
    """Give the role our password, unless it can log in or others are at work with theirs."""
    try:
        with connected(login):
            return
    except _RefusedError:
        pass
    busy = connection.execute(
        "SELECT 1 FROM pg_stat_activity WHERE usename = %s LIMIT 1", [login.user]
    ).fetchone()
    if busy:
        raise DatabaseError(
            f"{login.user} at {login.where} is in use with another password than ours. Copy the folder secrets "
            "from the other installation's data folder, or use its DATABASE_URL with antibody_app."
        )
    digest = connection.pgconn.encrypt_password(
        login.password.encode(), login.user.encode(), b"scram-sha-256"
    )
    statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(
        sql.Identifier(login.user), sql.Literal(digest.decode())
    )
    connection.execute(statement)


def _do(connection: "psycopg.Connection[Any]", statement: str, *names: str) -> None:
    """Run a statement with names put in as identifiers; these statements take no parameters."""
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
