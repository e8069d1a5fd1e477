"""Behind a transaction-mode pooler, where a server's connection serves one tenant after the other.

Runs where pgbouncer is installed. It is older than 1.21 on some systems, so statements are not prepared, as
ANTIBODY_PREPARED=false says; a sweeper listens, and so needs an address past the pooler.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection

from config.database import _reconnect_with
from governance.database.tenancy import tenant_scope
from governance.models import Agent, Settings

from ..governance.test_compiled import agents_named
from .crawl import crawl
from .probes import QUICK
from .test_crawl import holds
from .world import Side, World

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
UP_WITHIN_SECONDS = 10.0
SERVERS, CLIENTS, TURNS = 2, 6, 50

pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="there is no pgbouncer on this machine")


@pytest.fixture(scope="module")
def pooler(both: World) -> Iterator[dict[str, Any]]:
    """Django's settings for the app's login through a pooler with fewer servers than clients."""
    login = connection.settings_dict
    folder = Path(tempfile.mkdtemp(prefix="ab", dir="/tmp"))
    account = _account(login["HOST"])
    port = _free_port()
    (folder / "users").write_text(f'"{login["USER"]}" "{login["PASSWORD"]}"\n')
    (folder / "ini").write_text(
        f"""
        [databases]
        {login["NAME"]} = host={login["HOST"]} port={login["PORT"] or 5432}
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = {port}
        unix_socket_dir =
        auth_type = trust
        auth_file = {folder}/users
        pool_mode = transaction
        default_pool_size = {SERVERS}
        ignore_startup_parameters = extra_float_digits
        """.replace("        ", "")
    )
    for path in (folder, folder / "users", folder / "ini"):
        os.chown(path, account.pw_uid, account.pw_gid)
    as_it = {"user": account.pw_uid, "group": account.pw_gid} if os.geteuid() == 0 else {}
    process = subprocess.Popen([PGBOUNCER, "-q", folder / "ini"], **as_it)  # type: ignore[call-overload]
    options = {"server_side_binding": False, "prepare_threshold": None}
    found = {**login, "HOST": "127.0.0.1", "PORT": str(port), "OPTIONS": options}
    try:
        _wait_for(found)
        yield found
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder)


def _account(host: str) -> pwd.struct_passwd:
    """Who it runs as: not root, as which it refuses to, but whoever may enter the folder of a socket."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    return (
        pwd.getpwuid(Path(host).stat().st_uid) if host.startswith("/") else pwd.getpwnam("nobody")
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(login: dict[str, Any]) -> None:
    ends = time.monotonic() + UP_WITHIN_SECONDS
    while True:
        try:
            _connect(login).close()
        except psycopg.OperationalError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.02)
        else:
            return


def _connect(login: dict[str, Any]) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host=login["HOST"], port=login["PORT"], user=login["USER"], dbname=login["NAME"]
    )


@contextmanager
def through(login: dict[str, Any]) -> Iterator[None]:
    """Let this thread's connection go through the pooler."""
    before = connection.settings_dict
    _reconnect_with(login)
    try:
        yield
    finally:
        _reconnect_with(before)


def test_whoever_comes_next_finds_no_tenant(both: World, pooler: dict[str, Any]) -> None:
    with through(pooler):
        for side in (both.acme, both.umbra):
            with tenant_scope(side.tenant.id):
                assert Settings.objects.get().tenant_id == side.tenant.id
    for _ in range(SERVERS * 2):
        with _connect(pooler) as next_one:
            told = next_one.execute("SELECT current_setting('app.tenant', true)").fetchone()
            assert told in {("",), (None,)}
            assert next_one.execute("SELECT count(*) FROM governance_agent").fetchone() == (0,)


def test_many_clients_of_few_servers_see_their_own(both: World, pooler: dict[str, Any]) -> None:
    names = [both.acme.names["agent"], both.umbra.names["agent"]]

    def ask(number: int) -> list[str]:
        wrong: list[str] = []
        with through(pooler):
            for turn in range(TURNS):
                wrong += _wrong(both.acme if (turn + number) % 2 else both.umbra)
        connection.close()
        return wrong

    def _wrong(side: Side) -> list[str]:
        with tenant_scope(side.tenant.id):
            found = [
                *agents_named(names),
                *Agent.objects.filter(name__in=names),
                Settings.objects.get(),
            ]
        seen = [each.tenant_id for each in found]
        return [each for each in seen if each != side.tenant.id] or ["none"] * (len(seen) != 3)

    with ThreadPoolExecutor(CLIENTS) as clients:
        assert [wrong for wrong in clients.map(ask, range(CLIENTS)) if wrong] == []


def test_nothing_of_another_tenant_comes_through_it(both: World, pooler: dict[str, Any]) -> None:
    with through(pooler):
        holds(crawl(both, QUICK, ["api"], every=4), requests=100, own=30)
