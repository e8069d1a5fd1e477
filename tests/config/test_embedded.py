"""The embedded server comes up whatever happened before, or says what to do.

Everything here is really broken: killed, filled with rubbish, taken over or forbidden.
"""

import importlib.util
import multiprocessing
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from config import embedded

IS_ROOT = os.geteuid() == 0
only_root = pytest.mark.skipif(not IS_ROOT, reason="only root can be somebody else")
fork = multiprocessing.get_context("fork")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path that the server's account can enter; what runs there is killed afterwards."""
    path = Path(tempfile.mkdtemp(prefix="ab", dir="/tmp"))
    path.chmod(0o755)
    yield path
    for made in path.rglob("data"):
        kill_server(made.parent)
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def shared() -> Iterator[Path]:
    """A cluster for the tests that only stop, kill and start it; they begin by `ensure`."""
    path = Path(tempfile.mkdtemp(prefix="ab", dir="/tmp"))
    path.chmod(0o755)
    embedded.ensure(path / "pg")
    yield path / "pg"
    kill_server(path / "pg")
    shutil.rmtree(path)


def ask(directory: Path, question: str) -> Any:
    """The answer of the running server to one query, as its superuser."""
    socket = str(embedded.socket_directory(directory))
    with psycopg.connect(host=socket, port=5432, user="postgres", dbname="postgres") as connection:
        row = connection.execute(question.encode()).fetchone()
    assert row is not None
    return row[0]


def born(directory: Path) -> Any:
    """When the server began: another moment is another server."""
    return ask(directory, "SELECT pg_postmaster_start_time()")


def postmaster(directory: Path) -> int:
    return int((directory / "data" / "postmaster.pid").read_text().split()[0])


def kill_server(directory: Path) -> None:
    """kill -9, to whatever has this cluster as its working directory."""
    place = embedded._place(directory)
    if place.data.exists():
        for number in embedded._inhabitants(place):
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)


def child(function: Callable[[], Any], uid: int | None = None) -> tuple[Any, Any]:
    """Call in a process of its own, as another user if asked; the process and its answer's pipe."""
    receiver, sender = fork.Pipe(duplex=False)

    def run() -> None:
        if uid is not None:
            os.setgroups([])
            os.setgid(pwd.getpwuid(uid).pw_gid)
            os.setuid(uid)
        try:
            sender.send(function())
        except embedded.EmbeddedError as error:
            sender.send(error)

    process = fork.Process(target=run)
    process.start()
    return process, receiver


def as_nobody(function: Callable[[], Any]) -> Any:
    """What an ordinary user gets, also where the tests run as root."""
    process, answer = child(function, pwd.getpwnam("nobody").pw_uid if IS_ROOT else None)
    got = answer.recv()
    process.join()
    return got


# --- The usual day


def test_a_first_start_makes_a_server_that_keeps_what_it_commits(folder: Path) -> None:
    socket = embedded.ensure(folder / "pg")

    assert socket == folder / "pg" / "run"
    show = "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings WHERE name IN "
    names = "('fsync', 'synchronous_commit', 'full_page_writes', 'listen_addresses', 'max_connections', 'port')"
    assert ask(folder / "pg", show + names) == (
        "fsync=on full_page_writes=on listen_addresses= max_connections=200 port=5432 synchronous_commit=on"
    )
    locale = "SELECT datlocale || ' ' || pg_encoding_to_char(encoding) FROM pg_database WHERE datname = 'template1'"
    assert ask(folder / "pg", locale) == "C.UTF-8 UTF8"


def test_only_the_servers_account_may_enter_its_folders(shared: Path) -> None:
    socket = embedded.ensure(shared)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (shared / "data", socket)}
    assert modes == {0o700}
    assert (shared / "data").stat().st_uid != 0
    assert stat.S_IMODE((socket / ".s.PGSQL.5432").stat().st_mode) == 0o700


def test_a_second_start_finds_the_server_running(shared: Path) -> None:
    embedded.ensure(shared)
    before = born(shared)
    assert embedded.start(shared) is False
    assert born(shared) == before


def test_a_stopped_server_is_down_and_starts_again(shared: Path) -> None:
    embedded.ensure(shared)
    embedded.stop(shared)
    embedded.stop(shared)
    with pytest.raises(psycopg.OperationalError):
        born(shared)
    assert embedded.start(shared) is True
    assert born(shared)


def test_stopping_what_was_never_made_does_nothing(folder: Path) -> None:
    embedded.stop(folder / "pg")
    assert list(folder.iterdir()) == []


def test_ctrl_c_in_the_terminal_does_not_reach_the_server(shared: Path) -> None:
    embedded.ensure(shared)
    assert os.getsid(postmaster(shared)) != os.getsid(0)
    assert os.getpgid(postmaster(shared)) != os.getpgid(0)


# --- Many at once


def race(directory: Path) -> list[bool]:
    """Who of five that start at the same moment started the server."""
    together = fork.Barrier(5)

    def run() -> bool:
        together.wait()
        return embedded.start(directory)

    racers = [child(run) for _ in range(5)]
    answers = [answer.recv() for _, answer in racers]
    for process, _ in racers:
        process.join()
    return answers


def test_five_first_starts_at_once_make_one_server(folder: Path) -> None:
    assert sorted(race(folder / "pg")) == [False] * 4 + [True]
    assert born(folder / "pg")


def test_five_starts_at_once_after_a_kill_make_one_server(shared: Path) -> None:
    embedded.ensure(shared)
    os.kill(postmaster(shared), signal.SIGKILL)
    assert sorted(race(shared)) == [False] * 4 + [True]
    assert born(shared)


# --- Killed


def test_a_killed_server_comes_back_with_what_it_had_committed(shared: Path) -> None:
    embedded.ensure(shared)
    before = born(shared)
    with psycopg.connect(
        host=str(shared / "run"), user="postgres", dbname="postgres"
    ) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    os.kill(postmaster(shared), signal.SIGKILL)

    assert embedded.start(shared) is True

    assert ask(shared, "SELECT n FROM kept") == 7
    assert born(shared) > before


@pytest.mark.parametrize("sign", ["pg/data-*/PG_VERSION", "pg/data", "pg/data/postmaster.pid"])
def test_a_start_that_is_killed_half_way_is_finished_by_the_next(folder: Path, sign: str) -> None:
    starting, _ = child(lambda: embedded.start(folder / "pg"))
    while not list(folder.glob(sign)):
        starting.join(0.001)
        assert starting.is_alive(), "it ended before it could be killed"
    starting.kill()
    starting.join()

    embedded.ensure(folder / "pg")

    assert born(folder / "pg")
    assert [path.name for path in (folder / "pg").glob("data*")] == ["data"]


# --- What the dead leave behind


@pytest.fixture
def stranger() -> Iterator["subprocess.Popen[bytes]"]:
    """A living process of the server's own account that has nothing to do with it."""
    place = embedded._place(Path("/nowhere"))
    as_account: dict[str, Any] = (
        {"user": place.uid, "group": place.gid, "extra_groups": []} if IS_ROOT else {}
    )
    process = subprocess.Popen(["sleep", "600"], cwd="/", **as_account)
    yield process
    process.kill()
    process.wait()


def leave_pid_file(directory: Path, number: int) -> None:
    """What a power cut leaves: the pid file, whose number somebody else has by now."""
    embedded.ensure(directory)
    left = (directory / "data" / "postmaster.pid").read_text().split("\n", 1)
    embedded.stop(directory)
    (directory / "data" / "postmaster.pid").write_text(f"{number}\n{left[1]}")


def test_a_pid_file_with_the_number_of_a_living_shell_does_not_stop_the_start(
    shared: Path, stranger: "subprocess.Popen[bytes]"
) -> None:
    leave_pid_file(shared, stranger.pid)
    assert embedded.start(shared) is True
    assert born(shared)
    assert stranger.poll() is None


def test_a_pid_file_with_the_number_of_a_zombie_does_not_stop_the_start(
    shared: Path, stranger: "subprocess.Popen[bytes]"
) -> None:
    leave_pid_file(shared, stranger.pid)
    stranger.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, stranger.pid, os.WEXITED | os.WNOWAIT)  # dead, and not reaped
    assert embedded.start(shared) is True
    assert born(shared)


@pytest.mark.parametrize("content", ["", "not a number\n", "1"])
def test_half_a_pid_file_does_not_stop_the_start(shared: Path, content: str) -> None:
    embedded.ensure(shared)
    embedded.stop(shared)
    (shared / "data" / "postmaster.pid").write_text(content)
    assert embedded.start(shared) is True
    assert born(shared)


def test_stopping_never_signals_a_stranger_named_in_a_stale_pid_file(
    shared: Path, stranger: "subprocess.Popen[bytes]"
) -> None:
    leave_pid_file(shared, stranger.pid)
    embedded.stop(shared)
    assert stranger.poll() is None


def test_the_pid_file_of_a_server_that_is_only_slow_is_left_alone(shared: Path) -> None:
    embedded.ensure(shared)
    place = embedded._place(shared)
    assert embedded._make_way(place) is True
    assert postmaster(shared) in embedded._inhabitants(place)


# --- Awkward paths


def test_a_path_may_hold_blanks_and_what_a_shell_would_read(folder: Path) -> None:
    directory = folder / 'it\'s "my" $HOME; `id`' / "pg"
    embedded.ensure(directory)
    assert born(directory)
    embedded.stop(directory)


def test_a_path_over_107_bytes_gets_a_short_private_folder_for_its_socket(folder: Path) -> None:
    directory = folder / ("x" * 120)
    socket = embedded.ensure(directory)
    try:
        assert socket == embedded.socket_directory(directory)
        assert stat.S_IMODE(socket.stat().st_mode) == 0o700
        assert born(directory)
        embedded.stop(directory)
    finally:
        shutil.rmtree(socket)


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("/srv/antibody/pg", True),
        ("/srv/" + "x" * 81 + "/pg", True),  # 107 bytes with /run/.s.PGSQL.5432
        ("/srv/" + "x" * 82 + "/pg", False),
        ("/srv/" + "é" * 41 + "/pg", False),  # as bytes, not as letters
        ("/srv/a,b/pg", False),  # two hosts, to libpq
    ],
)
def test_the_socket_is_in_the_folder_itself_where_its_address_can_be_written(
    path: str, own: bool
) -> None:
    socket = embedded.socket_directory(Path(path))
    assert (socket == Path(path) / "run") is own
    assert len(os.fsencode(socket / ".s.PGSQL.5432")) <= 107


def linked(short: Path, folder: Path) -> None:
    short.symlink_to(folder)


def open_to_all(short: Path, _folder: Path) -> None:
    short.mkdir(mode=0o755)


def anothers(short: Path, _folder: Path) -> None:
    short.mkdir(mode=0o700)
    os.chown(short, 54321, 54321)


@pytest.mark.parametrize("trap", [linked, open_to_all, pytest.param(anothers, marks=only_root)])
def test_a_short_folder_laid_out_by_somebody_else_is_refused(
    folder: Path, trap: Callable[[Path, Path], None]
) -> None:
    directory = folder / ("x" * 120)
    short = embedded.socket_directory(directory)
    trap(short, folder)
    try:
        with pytest.raises(
            embedded.EmbeddedError, match=r"must be a folder of mode 700.*ANTIBODY_DATA_DIR"
        ):
            embedded.ensure(directory)
    finally:
        short.unlink() if short.is_symlink() else short.rmdir()


# --- What cannot work, and says so


def test_a_read_only_folder_is_named_with_what_to_do(folder: Path) -> None:
    folder.chmod(0o555)
    error = as_nobody(lambda: embedded.ensure(folder / "pg"))
    assert isinstance(error, embedded.EmbeddedError)
    assert f"cannot use {folder}/pg: " in str(error)
    assert "Set ANTIBODY_DATA_DIR" in str(error)


@only_root
def test_another_users_cluster_is_left_alone_and_named(shared: Path) -> None:
    embedded.ensure(shared)
    before = born(shared)
    for verb in (embedded.ensure, embedded.stop):
        error = as_nobody(lambda verb=verb: verb(shared))  # type: ignore[misc]
        assert isinstance(error, embedded.EmbeddedError)
        assert str(shared) in str(error)
    assert born(shared) == before


@only_root
def test_root_goes_on_with_the_cluster_of_an_ordinary_user(folder: Path) -> None:
    os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)
    as_nobody(lambda: embedded.ensure(folder / "pg"))
    as_nobody(lambda: embedded.stop(folder / "pg"))

    assert embedded.start(folder / "pg") is True
    embedded.stop(folder / "pg")

    assert as_nobody(lambda: embedded.start(folder / "pg")) is True


@only_root
def test_a_cluster_that_was_copied_as_root_must_be_given_back(folder: Path) -> None:
    (folder / "pg" / "data").mkdir(parents=True, mode=0o700)
    with pytest.raises(embedded.EmbeddedError, match=r"user with number 0 .*chown -R"):
        embedded.ensure(folder / "pg")


@only_root
def test_a_closed_folder_of_roots_stays_closed_and_still_works(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "OPEN_FOLDERS", folder / "open")
    closed = folder / "closed"
    closed.mkdir(mode=0o700)

    embedded.ensure(closed / "pg")

    assert born(closed / "pg")
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert (closed / "pg" / "data").resolve().parent == folder / "open"
    embedded.stop(closed / "pg")
    assert embedded.start(closed / "pg") is True
    kill_server(closed / "pg")


@only_root
def test_binaries_in_a_closed_folder_of_roots_are_copied_to_where_the_server_may_run_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "OPEN_FOLDERS", folder / "open")
    closed = folder / "closed"
    (closed / "pginstall18" / "bin").mkdir(parents=True)
    (closed / "pginstall18" / "bin" / "postgres").write_text("")
    closed.chmod(0o700)
    place = embedded._place(folder / "pg")

    reached = embedded._within_reach(place, closed / "pginstall18")

    assert reached.parent == folder / "open"
    assert (reached / "bin" / "postgres").exists()
    assert embedded._may_enter(place, reached / "bin")


def test_a_platform_without_the_wheel_is_told_to_set_database_url(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(
        embedded.EmbeddedError, match=r"not available on this platform.*DATABASE_URL"
    ):
        embedded.ensure(folder / "pg")


def test_a_cluster_of_another_version_is_not_touched(shared: Path) -> None:
    embedded.ensure(shared)
    embedded.stop(shared)
    version = shared / "data" / "PG_VERSION"
    version.write_text("17\n")
    with pytest.raises(
        embedded.EmbeddedError, match=r"made by PostgreSQL 17, and this is 18.*pg_upgrade"
    ):
        embedded.ensure(shared)
    version.write_text("18\n")
    assert embedded.start(shared) is True


def test_a_server_that_cannot_start_is_reported_with_the_end_of_its_log(shared: Path) -> None:
    embedded.ensure(shared)
    embedded.stop(shared)
    settings = shared / "data" / "postgresql.conf"
    good = settings.read_text()
    settings.write_text(good + "\nmax_connections = many\n")
    with pytest.raises(
        embedded.EmbeddedError, match=r'does not start in .*invalid value.*"max_connections"'
    ):
        embedded.ensure(shared)
    settings.write_text(good)
    assert embedded.start(shared) is True


def test_a_folder_with_other_things_in_it_is_not_overwritten(folder: Path) -> None:
    (folder / "pg" / "data").mkdir(parents=True, mode=0o700)
    place = embedded._place(Path("/nowhere"))
    os.chown(folder / "pg" / "data", place.uid, place.gid)
    (folder / "pg" / "data" / "thesis.txt").write_text("mine")
    with pytest.raises(embedded.EmbeddedError, match=r"not empty.*ANTIBODY_DATA_DIR"):
        embedded.ensure(folder / "pg")
    assert (folder / "pg" / "data" / "thesis.txt").read_text() == "mine"
