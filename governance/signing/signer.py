"""The signer: a process that holds the key, needs no database, and signs nothing but what its last note has grown into.

It listens on a Unix socket. Whoever asks says which tree has how many leaves and which root, and hands over the hashes
of the leaves that are new; the signer adds them to its own tree and signs only if it comes to the same root. So what
it signed once can be rewritten in the database, but no note will ever follow.

Killed at any point it goes on from its last note: leaf hashes are on the disk before the note about them, and the note
is on the disk before anybody is given it.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import socket
import socketserver
import sys
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .notes import MOST_LEAVES, BadNote, Note, sign, tenant_of, verify
from .outside import Outside, Unreadable, sync
from .tree import HASH_LENGTH, Frontier

log = logging.getLogger("antibody.signer")

SOCKET = "signer.sock"
ONLY_WE = 0o600
# A first note about a large ledger carries many hashes; they are held in memory until the root is known.
MOST_AT_ONCE = 5_000_000
LONGEST_HEADER = 4_096
# Whoever stops in the midst of a question must not hold a thread for ever.
PATIENCE_SECONDS = 10.0


class CannotSign(RuntimeError):
    """The signer cannot start; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be signed: a tree, and the hashes of its leaves from the ``first`` on."""

    origin: str
    size: int
    root: bytes
    first: int
    hashes: bytes


@dataclass(slots=True)
class Tree:
    """What the signer knows of one tree: its own copy of the right edge, and the last note it gave."""

    outside: Outside
    frontier: Frontier = field(default_factory=Frontier)
    last: Note | None = None
    history_end: int = 0


class Signer:
    """Signs for one directory."""

    def __init__(self, directory: Path, key: Ed25519PrivateKey) -> None:
        self._directory, self._key = directory, key
        self._public = key.public_key().public_bytes_raw()
        self._trees: dict[str, Tree] = {}
        self._lock = threading.Lock()

    def answer(self, question: Question) -> dict[str, Any]:
        """``{note}``, ``{send_from}`` where other leaves are needed, or ``{refused, size, note}`` with the last note."""
        try:
            with self._lock:
                return self._answer(question)
        except (BadNote, Unreadable, OSError) as error:
            # What is in memory may be ahead of the disk: next time from there.
            self._trees.pop(question.origin, None)
            log.warning("%s: %s", question.origin, error)
            return {"refused": str(error)}

    def _answer(self, asked: Question) -> dict[str, Any]:
        tree = self._tree(asked.origin)
        last = tree.last
        if last is not None and asked.size <= last.size:
            if (asked.size, asked.root) == (last.size, last.root):
                return {"note": last.text}
            what = "is smaller than" if asked.size < last.size else "has another root than"
            return self._refuse(tree, f"The tree {what} the one that was signed.")
        if asked.first != tree.frontier.size:
            return {"send_from": tree.frontier.size}
        if len(asked.hashes) != (asked.size - asked.first) * HASH_LENGTH:
            return self._refuse(tree, "There are not as many hashes as new leaves.")
        grown = tree.frontier.copy()
        for start in range(0, len(asked.hashes), HASH_LENGTH):
            grown.push(asked.hashes[start : start + HASH_LENGTH])
            if last and grown.size == last.size and grown.root() != last.root:
                return self._refuse(tree, "The tree is no extension of the one that was signed.")
        if grown.root() != asked.root:
            return self._refuse(tree, "The tree is no extension of the one that was signed.")
        return {"note": self._sign(tree, asked, grown).text}

    def _sign(self, tree: Tree, asked: Question, grown: Frontier) -> Note:
        note = sign(asked.origin, asked.size, asked.root, self._key)
        tree.outside.add_leaves(tree.frontier.size, asked.hashes)
        tree.history_end = tree.outside.add_note(tree.history_end, note)
        tree.frontier, tree.last = grown, note
        return note

    def _refuse(self, tree: Tree, why: str) -> dict[str, Any]:
        log.warning("%s: refused: %s", tree.outside.folder.name, why)
        last = tree.last
        return {"refused": why, "size": last.size if last else 0, "note": last.text if last else ""}

    def _tree(self, origin: str) -> Tree:
        if origin not in self._trees:
            self._trees[origin] = self._read(origin)
        return self._trees[origin]

    def _read(self, origin: str) -> Tree:
        """What is on the disk. Leaf hashes that do not lead to the last note are asked for again."""
        tree = Tree(Outside(self._directory, tenant_of(origin)))
        tree.history_end, tree.last = tree.outside.last()
        if tree.last is None:
            return tree
        verify(tree.last.text, origin, self._public)
        frontier = Frontier()
        for leaf in tree.outside.leaf_hashes():
            if frontier.size == tree.last.size:
                break
            frontier.push(leaf)
        if (frontier.size, frontier.root()) == (tree.last.size, tree.last.root):
            tree.frontier = frontier
        else:
            log.warning("%s: the leaf hashes are not those that were signed", origin)
        tree.outside.show(tree.last)
        return tree


def make_key(directory: Path) -> Ed25519PrivateKey:
    """The key of a directory, made at first use. Raises CannotSign for one that others may read."""
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    place = directory / "key"
    try:
        mode = place.stat().st_mode & 0o777
    except FileNotFoundError:
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, ONLY_WE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(Ed25519PrivateKey.generate().private_bytes_raw())
            file.flush()
            os.fsync(file.fileno())
    else:
        if mode & 0o077:
            raise CannotSign(f"{place} may be read by others (mode {mode:o}): chmod 600 it.")
    raw = place.read_bytes()
    if len(raw) != 32:
        raise CannotSign(f"{place} does not hold an Ed25519 key.")
    key = Ed25519PrivateKey.from_private_bytes(raw)
    (directory / "public_key").write_text(
        b64encode(key.public_key().public_bytes_raw()).decode() + "\n"
    )
    sync(directory)
    return key


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Be the only signer of a directory. Raises CannotSign where there is another one."""
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotSign(f"Another signer is at work in {directory}.") from None
        yield


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """The signer behind its socket."""

    daemon_threads = True

    def __init__(self, directory: Path, signer: Signer, mode: int = ONLY_WE) -> None:
        self.signer = signer
        self._place = directory / SOCKET
        self._place.unlink(missing_ok=True)
        self._mode = mode
        with reached(self._place) as short:
            super().__init__(short, Conversation)

    def server_bind(self) -> None:
        before = os.umask(0o177)
        try:
            super().server_bind()
        finally:
            os.umask(before)
        self._place.chmod(self._mode)

    def server_close(self) -> None:
        super().server_close()
        self._place.unlink(missing_ok=True)


class Conversation(socketserver.StreamRequestHandler):
    """Questions and answers on one connection: a line of JSON and the hashes, a line of JSON back."""

    server: Server
    timeout = PATIENCE_SECONDS

    def handle(self) -> None:
        try:
            while header := self.rfile.readline(LONGEST_HEADER):
                question = self._question(header)
                answer = self.server.signer.answer(question)
                self.wfile.write(json.dumps(answer).encode() + b"\n")
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("a question could not be read: %s", type(error).__name__)

    def _question(self, header: bytes) -> Question:
        said = json.loads(header)
        size, first = int(said["size"]), int(said["first"])
        if not 0 <= first <= size <= MOST_LEAVES or size - first > MOST_AT_ONCE or size == 0:
            raise ValueError("no sizes of a tree")
        root = bytes.fromhex(said["root"])
        if len(root) != HASH_LENGTH:
            raise ValueError("no root")
        hashes = self.rfile.read((size - first) * HASH_LENGTH)
        return Question(str(said["origin"]), size, root, first, hashes)


def serve(directory: Path, mode: int, *, is_child: bool, say: Callable[[str], object]) -> None:
    """Sign for a directory until a signal says to stop, or (``is_child``) the standard input ends.

    ``say`` is told "signing" when it listens. Raises CannotSign and OSError.
    """
    with alone(directory):
        signer = Signer(directory, make_key(directory))
        with Server(directory, signer, mode) as server:

            def leave(*_: Any) -> None:
                # shutdown() waits for the loop that a signal's handler would be holding up.
                threading.Thread(target=server.shutdown).start()

            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, leave)
            if is_child:
                threading.Thread(target=_wait_for_end, args=(leave,), daemon=True).start()
            say("signing")
            server.serve_forever(poll_interval=0.2)


def _wait_for_end(leave: Callable[[], object]) -> None:
    """Whoever started us holds the other end of our input, and lets go of it even when killed."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    leave()


@contextmanager
def reached(place: Path) -> Iterator[str]:
    """A short name for a socket: its own may be longer than the 107 bytes that there are for it."""
    folder = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{place.name}"
    finally:
        os.close(folder)


def connect(place: Path, timeout: float) -> socket.socket:
    """A connection to a signer. Raises OSError."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.settimeout(timeout)
        with reached(place) as short:
            made.connect(short)
    except OSError:
        made.close()
        raise
    return made
