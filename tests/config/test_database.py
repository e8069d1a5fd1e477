"""Who logs in where, and what `prepare` makes, repairs or refuses, on either server."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from config import database

OUTSIDE = "postgresql://postgres@127.0.0.1:5432"
ROOT = Path(__file__).resolve().parents[2]
Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def ours() -> Iterator[Path]:
    """A data folder whose embedded server is up and prepared."""
    folder = Path(tempfile.mkdtemp(prefix="ab", dir="/tmp"))
    folder.chmod(0o755)
    assert database.prepare({}, folder) is True
    yield folder
    database.release({}, folder)
    shutil.rmtree(folder)


@pytest.fixture
def server(ours: Path) -> Iterator[Connection]:
    """The superuser's connection to the embedded server."""
    dsn = database.admin_dsn({}, ours)
    assert dsn is not None
    with psycopg.connect(**dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture(params=["embedded", "outside"])
def environ(request: pytest.FixtureRequest, ours: Path) -> Iterator[dict[str, str]]:
    """DATABASE_URL of an administrator and a database that does not exist yet, on either server."""
    name = f"ab_{secrets.token_hex(6)}"
    base = url_of(ours) if request.param == "embedded" else OUTSIDE
    try:
        admin = psycopg.connect(f"{base}/postgres?connect_timeout=3", autocommit=True)
    except psycopg.OperationalError as error:
        pytest.skip(f"no PostgreSQL of the machine's own: {error}")
    yield {"DATABASE_URL": f"{base}/{name}"}
    admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    admin.close()


def url_of(data_dir: Path, login: str = "postgres") -> str:
    """The embedded server, addressed as if it were somebody's own."""
    host = database.address({}, data_dir)["HOST"].replace("/", "%2F")
    return f"postgresql://{login}@{host}:5432"


@contextmanager
def logged_in(environ: dict[str, str], data_dir: Path, login: str = "app") -> Iterator[Connection]:
    """A connection with what the settings would hold."""
    found = database.address({**environ, "ANTIBODY_LOGIN": login}, data_dir)
    keys = {
        "HOST": "host",
        "PORT": "port",
        "USER": "user",
        "PASSWORD": "password",
        "NAME": "dbname",
    }
    with psycopg.connect(
        **{name: found[key] for key, name in keys.items()}, autocommit=True
    ) as connection:
        yield connection


def one(connection: Connection, query: str) -> Any:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


# --- Reading addresses


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u@h:5433/d", ("h", "5433", "u", "", "d", {})),
        ("postgres://u:p@h/d", ("h", "", "u", "p", "d", {})),
        ("postgresql://u:p%40%3A%2F@h:1/d", ("h", "1", "u", "p@:/", "d", {})),
        ("postgresql://u:a@b@h/d", ("h", "", "u", "a@b", "d", {})),
        ("postgresql://u@h", ("h", "", "u", "", "antibody", {})),
        ("postgresql://u@h/", ("h", "", "u", "", "antibody", {})),
        ("postgresql://u@%2Fvar%2FRun%2Fpg:5432/d", ("/var/Run/pg", "5432", "u", "", "d", {})),
        ("postgresql://u@/d?host=/var/run/pg&port=5433", ("/var/run/pg", "5433", "u", "", "d", {})),
        ("postgresql://u@[::1]:5432/d", ("::1", "5432", "u", "", "d", {})),
        ("postgresql://u@[::1]/d", ("::1", "", "u", "", "d", {})),
        (
            "postgresql://u@h/d?sslmode=require&application_name=a%20b",
            ("h", "", "u", "", "d", {"sslmode": "require", "application_name": "a b"}),
        ),
        ("postgresql://h/d?user=u&password=p", ("h", "", "u", "p", "d", {})),
    ],
)
def test_an_address_is_read_as_libpq_would(url: str, expected: tuple[Any, ...]) -> None:
    found = database.parse(url)
    assert (
        found.host,
        found.port,
        found.user,
        found.password,
        found.name,
        found.options,
    ) == expected


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("mysql://u@h/d", "does not begin with postgresql://"),
        ("just words", "does not begin with postgresql://"),
        ("postgresql://u@a,b/d", "several servers"),
        ("postgresql://u@h:port/d", "its port is 'port'"),
        ("postgresql://u@h:0/d", "its port is '0'"),
        ("postgresql://u@h:65536/d", "its port is '65536'"),
        ("postgresql://u@[::1/d", "host is not written correctly"),
        ("postgresql://u@h/d#e", "holds a #"),
    ],
)
def test_an_unreadable_address_is_refused_without_its_password(url: str, fault: str) -> None:
    with pytest.raises(database.DatabaseError, match="DATABASE_URL cannot be read") as caught:
        database.parse(url.replace("u@", "u:geheim@"))
    assert fault in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_a_printed_address_does_not_show_its_password() -> None:
    assert "geheim" not in repr(database.parse("postgresql://u:geheim@h/d"))


# --- What the settings get


def test_without_database_url_the_settings_point_at_the_embedded_server_and_start_nothing(
    tmp_path: Path,
) -> None:
    found = database.address({}, tmp_path)
    assert found["ENGINE"] == "governance.database"
    assert (found["USER"], found["PASSWORD"], found["NAME"], found["PORT"]) == (
        "antibody_app",
        "",
        "antibody",
        "5432",
    )
    assert found["HOST"].startswith("/")
    assert (found["ATOMIC_REQUESTS"], found["CONN_HEALTH_CHECKS"]) == (True, True)
    assert found["CONN_MAX_AGE"] == 600
    assert list(tmp_path.iterdir()) == []


def test_an_administrators_address_never_becomes_a_login_of_ours(tmp_path: Path) -> None:
    environ = {"DATABASE_URL": "postgresql://boss:secret@h:5433/d?sslmode=require"}
    app = database.address(environ, tmp_path)
    owner = database.address({**environ, "ANTIBODY_LOGIN": "owner"}, tmp_path)
    assert (app["USER"], owner["USER"]) == ("antibody_app", "antibody_owner")
    assert "secret" not in {app["PASSWORD"], owner["PASSWORD"]}
    assert app["PASSWORD"] != owner["PASSWORD"]
    assert (app["HOST"], app["PORT"], app["NAME"]) == ("h", "5433", "d")
    assert app["OPTIONS"]["sslmode"] == "require"


def test_passwords_are_made_once_and_only_their_user_may_read_them(tmp_path: Path) -> None:
    environ = {"DATABASE_URL": "postgresql://boss@h/d"}
    first = database.address(environ, tmp_path)["PASSWORD"]
    assert database.address(environ, tmp_path)["PASSWORD"] == first
    assert len(first) >= 32
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "secrets").iterdir()}
    assert modes == {0o600}


def test_the_apps_own_address_is_used_as_it_is(tmp_path: Path) -> None:
    environ = {"DATABASE_URL": "postgresql://antibody_app:p@h/d"}
    found = database.address(environ, tmp_path)
    assert (found["USER"], found["PASSWORD"]) == ("antibody_app", "p")
    assert (found["OWNER"]["USER"], found["OWNER"]["PASSWORD"]) == ("antibody_owner", "")
    assert database.admin_dsn(environ, tmp_path) is None


def test_the_owner_may_have_an_address_of_its_own(tmp_path: Path) -> None:
    environ = {
        "DATABASE_URL": "postgresql://antibody_app:p@pooler:6432/d",
        "DATABASE_OWNER_URL": "postgresql://antibody_owner:o@direct:5432/d",
    }
    owner = database.address({**environ, "ANTIBODY_LOGIN": "owner"}, tmp_path)
    assert (owner["HOST"], owner["PORT"], owner["PASSWORD"]) == ("direct", "5432", "o")
    with pytest.raises(database.DatabaseError, match="must be antibody_owner"):
        database.address({**environ, "DATABASE_OWNER_URL": "postgresql://boss@direct/d"}, tmp_path)


def test_a_test_database_may_have_a_suffix_of_its_own(tmp_path: Path) -> None:
    assert database.address({}, tmp_path)["TEST"] == {"NAME": "test_antibody"}
    assert database.address({"ANTIBODY_TEST_SUFFIX": "_b"}, tmp_path)["TEST"] == {
        "NAME": "test_antibody_b"
    }


def test_an_unknown_login_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        database.DatabaseError, match="ANTIBODY_LOGIN is 'root'; it must be app or owner"
    ):
        database.address({"ANTIBODY_LOGIN": "root"}, tmp_path)


# --- Versions


@pytest.mark.parametrize(
    ("number", "version"), [(140_012, "14.12"), (130_000, "13.0"), (90_624, "9.624")]
)
def test_an_old_server_is_refused_by_its_version_and_address(number: int, version: str) -> None:
    with pytest.raises(database.DatabaseError) as caught:
        database.require_version(number, "db:5432")
    assert str(caught.value).startswith(
        f"PostgreSQL 15 or newer is needed, this is {version} at db:5432"
    )


@pytest.mark.parametrize("number", [150_000, 150_018, 180_004])
def test_a_new_enough_server_is_accepted(number: int) -> None:
    database.require_version(number, "db:5432")


# --- Preparing


def test_everything_is_made_once_and_found_afterwards(
    environ: dict[str, str], tmp_path: Path
) -> None:
    for _ in range(2):
        assert database.prepare(environ, tmp_path) is False
    with logged_in(environ, tmp_path) as connection:
        assert one(connection, "SELECT current_user") == "antibody_app"
        assert one(connection, "SHOW server_encoding") == "UTF8"
        assert one(
            connection,
            "SELECT ARRAY['Z', 'a', 'é'] = ARRAY(SELECT unnest(ARRAY['é', 'a', 'Z']) ORDER BY 1)",
        )
        assert one(connection, "SELECT lower('É')") == "é"
        roles = connection.execute(
            "SELECT rolname, rolcanlogin, rolcreatedb, rolsuper OR rolbypassrls OR rolcreaterole FROM pg_roles"
            " WHERE rolname LIKE 'antibody%' ORDER BY 1"
        ).fetchall()
    assert roles == [
        ("antibody_app", True, False, False),
        ("antibody_owner", True, True, False),
        ("antibody_system", False, False, False),
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE public.t (n int)",
        "CREATE SCHEMA s",
        "SET ROLE antibody_owner",
        "SET ROLE antibody_system",
        "CREATE ROLE friend",
        "CREATE DATABASE other",
        "ALTER ROLE antibody_app BYPASSRLS",
    ],
)
def test_the_app_may_not_become_or_make_anything(ours: Path, statement: str) -> None:
    with logged_in({}, ours) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())


def test_the_owner_can_make_tables_and_hand_a_function_to_the_system_role(
    environ: dict[str, str], tmp_path: Path
) -> None:
    database.prepare(environ, tmp_path)
    with logged_in(environ, tmp_path, "owner") as owner:
        owner.execute("CREATE TABLE t AS SELECT 7 AS n")
        owner.execute("GRANT SELECT ON t TO antibody_system")
        owner.execute(
            "CREATE FUNCTION f() RETURNS int SECURITY DEFINER LANGUAGE sql RETURN (SELECT n FROM t)"
        )
        owner.execute("GRANT CREATE ON SCHEMA public TO antibody_system")
        owner.execute("ALTER FUNCTION f() OWNER TO antibody_system")
        owner.execute("REVOKE CREATE ON SCHEMA public FROM antibody_system")
    with logged_in(environ, tmp_path) as app:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute("SELECT n FROM t")
        assert one(app, "SELECT f()") == 7


def test_five_preparing_at_once_agree(environ: dict[str, str], tmp_path: Path) -> None:
    with ThreadPoolExecutor(5) as pool:
        assert (
            list(pool.map(lambda _: database.prepare(environ, tmp_path), range(5))) == [False] * 5
        )
    with logged_in(environ, tmp_path) as connection:
        assert one(connection, "SELECT current_user") == "antibody_app"


@pytest.mark.parametrize(
    "damage",
    [
        "REVOKE antibody_system FROM antibody_owner",
        "ALTER ROLE antibody_owner NOCREATEDB",
        "ALTER ROLE antibody_app NOLOGIN",
        "ALTER DATABASE antibody OWNER TO postgres",
    ],
)
def test_what_was_taken_away_is_put_back(ours: Path, server: Connection, damage: str) -> None:
    server.execute(damage.encode())
    database.prepare({}, ours)
    assert database._missing(database.parse(url_of(ours, "antibody_app") + "/antibody")) == []


# --- Refusing


@pytest.mark.parametrize(
    ("strength", "weakness"),
    [
        ("ALTER ROLE antibody_app SUPERUSER", "ALTER ROLE antibody_app NOSUPERUSER"),
        ("ALTER ROLE antibody_app BYPASSRLS", "ALTER ROLE antibody_app NOBYPASSRLS"),
        ("GRANT antibody_owner TO antibody_app", "REVOKE antibody_owner FROM antibody_app"),
        ("GRANT antibody_system TO antibody_app", "REVOKE antibody_system FROM antibody_app"),
        ("ALTER ROLE antibody_owner BYPASSRLS", "ALTER ROLE antibody_owner NOBYPASSRLS"),
    ],
)
def test_a_login_that_could_pass_tenant_isolation_is_refused(
    ours: Path, server: Connection, strength: str, weakness: str
) -> None:
    server.execute(strength.encode())
    try:
        with pytest.raises(
            database.DatabaseError,
            match=r"antibody_(app|owner).* may pass row-level security.*ALTER",
        ):
            database.prepare({}, ours)
    finally:
        server.execute(weakness.encode())
    assert database.prepare({}, ours) is False


def test_a_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with (
        socket.socket() as taken
    ):  # bound and not listening: nobody else can have this port meanwhile
        taken.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        for login in ("boss", "antibody_app"):
            with pytest.raises(
                database.DatabaseError, match=f"No PostgreSQL answers at {where}"
            ) as caught:
                database.prepare(
                    {"DATABASE_URL": f"postgresql://{login}:geheim@{where}/d"}, tmp_path
                )
            assert "geheim" not in str(caught.value)


def test_an_app_without_an_administrator_is_told_what_is_missing(
    ours: Path, server: Connection
) -> None:
    server.execute("CREATE DATABASE bare")
    with pytest.raises(
        database.DatabaseError, match=r"lacks the owner antibody_owner, .*administrator's address"
    ):
        database.prepare({"DATABASE_URL": url_of(ours, "antibody_app") + "/bare"}, ours)
    with pytest.raises(
        database.DatabaseError, match=r"does not let antibody_app into nowhere.*Check"
    ):
        database.prepare({"DATABASE_URL": url_of(ours, "antibody_app") + "/nowhere"}, ours)


def test_an_empty_database_of_somebody_is_adopted_and_a_used_one_is_not(
    ours: Path, server: Connection
) -> None:
    server.execute("CREATE DATABASE empty")
    assert database.prepare({"DATABASE_URL": url_of(ours) + "/empty"}, ours) is False

    server.execute("CREATE DATABASE used")
    with psycopg.connect(url_of(ours) + "/used") as used:
        used.execute("CREATE TABLE thesis (page text)")
    with pytest.raises(database.DatabaseError, match=r"used .*holds somebody else's tables"):
        database.prepare({"DATABASE_URL": url_of(ours) + "/used"}, ours)


def test_a_database_that_is_not_in_utf8_is_refused(ours: Path, server: Connection) -> None:
    server.execute(
        "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C'"
    )
    with pytest.raises(database.DatabaseError, match=r"latin .*is encoded as LATIN1"):
        database.prepare({"DATABASE_URL": url_of(ours) + "/latin"}, ours)


def test_an_administrator_who_may_not_make_roles_is_told_what_is_needed(
    ours: Path, server: Connection
) -> None:
    server.execute("CREATE ROLE intern LOGIN")
    with pytest.raises(
        database.DatabaseError, match=r"intern could not set up .*CREATEROLE and CREATEDB"
    ):
        database.prepare({"DATABASE_URL": url_of(ours, "intern") + "/wish"}, ours)


def test_an_administrator_need_not_be_superuser(ours: Path, server: Connection) -> None:
    for (name,) in server.execute(
        "SELECT datname FROM pg_database WHERE datname !~ '^(postgres|template.)$'"
    ).fetchall():
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
    server.execute("DROP ROLE antibody_app, antibody_owner, antibody_system")
    server.execute("CREATE ROLE clerk LOGIN CREATEROLE CREATEDB")
    try:
        assert database.prepare({"DATABASE_URL": url_of(ours, "clerk") + "/cloud"}, ours) is False
    finally:
        database.prepare({}, ours)


# --- Passwords that count


@pytest.fixture
def strict(ours: Path, server: Connection) -> Iterator[str]:
    """An administrator's address at the embedded server, which now asks for passwords."""
    server.execute("CREATE ROLE boss SUPERUSER LOGIN PASSWORD 'first'")
    server.execute("ALTER ROLE antibody_app PASSWORD NULL")
    server.execute("ALTER ROLE antibody_owner PASSWORD NULL")
    rules = Path(one(server, "SHOW hba_file"))
    before = rules.read_text()
    rules.write_text("local all postgres trust\nlocal all all scram-sha-256\n")
    one(server, "SELECT pg_reload_conf()")
    reloaded(server, "scram-sha-256")
    yield url_of(ours, "boss:first") + "/strict"
    rules.write_text(before)
    one(server, "SELECT pg_reload_conf()")
    reloaded(server, "trust")
    server.execute("DROP DATABASE IF EXISTS strict WITH (FORCE)")
    server.execute("DROP ROLE boss")


def reloaded(server: Connection, method: str) -> None:
    """Wait until a new login as the app is asked for what the rules say now."""
    dsn = f"host={server.info.host} user=antibody_app dbname=postgres"
    asked = "trust"
    while asked != method:
        try:
            psycopg.connect(dsn).close()
            asked = "trust"
        except psycopg.OperationalError:
            asked = "scram-sha-256"


def test_logins_work_where_the_server_asks_for_passwords(strict: str, tmp_path: Path) -> None:
    environ = {"DATABASE_URL": strict}
    database.prepare(environ, tmp_path)
    for login in ("app", "owner"):
        with logged_in(environ, tmp_path, login) as connection:
            assert one(connection, "SELECT current_user") == f"antibody_{login}"


def test_the_administrator_is_not_asked_again_when_all_is_there(
    strict: str, server: Connection, tmp_path: Path
) -> None:
    environ = {"DATABASE_URL": strict}
    database.prepare(environ, tmp_path)
    server.execute("ALTER ROLE boss PASSWORD 'second'")
    assert database.prepare(environ, tmp_path) is False


def test_a_wrong_password_is_told_and_not_shown(strict: str, tmp_path: Path) -> None:
    for login in ("boss:geheim", "antibody_app:geheim"):
        url = strict.replace("boss:first", login)
        with pytest.raises(
            database.DatabaseError, match=r"does not let .*password authentication failed"
        ) as caught:
            database.prepare({"DATABASE_URL": url}, tmp_path)
        assert "geheim" not in str(caught.value)


def test_a_lost_password_is_replaced_unless_somebody_is_using_it(
    strict: str, tmp_path: Path
) -> None:
    environ = {"DATABASE_URL": strict}
    database.prepare(environ, tmp_path / "first")
    database.prepare(environ, tmp_path / "second")
    with (
        logged_in(environ, tmp_path / "second"),
        logged_in(environ, tmp_path / "second", "owner"),
        pytest.raises(database.DatabaseError, match="in use with another password than ours"),
    ):
        database.prepare(environ, tmp_path / "third")
    with logged_in(environ, tmp_path / "second") as connection:
        assert one(connection, "SELECT current_user") == "antibody_app"


# --- Logging in as the owner for a moment

SWITCHING = """
import json, os, sys
from pathlib import Path
from django.conf import settings
from config.database import DatabaseError, address, as_owner

found = address(os.environ, Path(sys.argv[1])) | {"ENGINE": "django.db.backends.postgresql"}
if sys.argv[2] == "pool":
    found |= {"CONN_MAX_AGE": 0, "OPTIONS": {"pool": {"min_size": 1, "max_size": 2}}}
settings.configure(DATABASES={"default": found}, INSTALLED_APPS=[])
import django
django.setup()
from django.db import connection, transaction

def who():
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user || ' ' || current_database()")
        return cursor.fetchone()[0]

seen = [who()]
with as_owner():
    seen.append(who())
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
seen.append(who())
try:
    with transaction.atomic(), as_owner():
        pass
except DatabaseError as error:
    seen.append("refused")
seen.append(who())
with as_owner():
    connection.creation.destroy_test_db("antibody", verbosity=0)
seen.append(who())
print(json.dumps(seen))
"""


@pytest.mark.parametrize("kind", ["plain", "pool"])
def test_migrations_and_tests_are_the_owner_for_a_moment_and_the_app_afterwards(
    ours: Path, kind: str
) -> None:
    environ = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "ANTIBODY_LOGIN"}}
    environ |= {"ANTIBODY_TEST_SUFFIX": f"_{kind}"}
    command = [sys.executable, "-c", SWITCHING, str(ours), kind]
    done = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    tested = f"antibody_app test_antibody_{kind}"
    expected = ["antibody_app antibody", "antibody_owner antibody", tested, "refused", tested]
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [*expected, "antibody_app antibody"]


# --- Stopping


def test_releasing_stops_the_embedded_server_and_preparing_starts_it_again(ours: Path) -> None:
    database.release({}, ours)
    with pytest.raises(psycopg.OperationalError), logged_in({}, ours):
        pass
    assert database.prepare({}, ours) is True
    assert database.prepare({}, ours) is False


def test_releasing_an_outside_server_does_nothing(environ: dict[str, str], tmp_path: Path) -> None:
    database.prepare(environ, tmp_path)
    database.release(environ, tmp_path)
    assert database.prepare(environ, tmp_path) is False
