"""What is kept outside the database: notes, leaf hashes and the key. Only the signer writes here; others read.

<directory>/key                 the private key (600)
<directory>/public_key          the public one, base64
<directory>/signer.sock         where the signer listens
<directory>/<tenant>/checkpoint the latest note
<directory>/<tenant>/history    every note, one JSON string a line
<directory>/<tenant>/leaves     the hash of every leaf, 32 bytes each: with them a tampered entry is found exactly
"""

from __future__ import annotations

import json
import os
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

from .notes import BadNote, Note, read
from .tree import HASH_LENGTH

CHUNK = 4096 * HASH_LENGTH


class Unreadable(RuntimeError):
    """What is kept outside the database is not as the signer writes it; the message says where."""


def public_key(directory: Path) -> bytes | None:
    """The public key; None where no signer was ever started."""
    try:
        return b64decode((directory / "public_key").read_text().strip(), validate=True)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise Unreadable(f"{directory / 'public_key'} holds no key.") from error


def tenants(directory: Path) -> list[str]:
    """The tenants whose trees were ever signed; not what was put aside."""
    if not directory.is_dir():
        return []
    return sorted(
        each.name
        for each in directory.iterdir()
        if "." not in each.name and (each / "history").is_file()
    )


class Outside:
    """One tenant's notes and leaf hashes."""

    def __init__(self, directory: Path, tenant_id: str) -> None:
        self.folder = directory / tenant_id
        self.history = self.folder / "history"
        self.leaves = self.folder / "leaves"
        self.checkpoint = self.folder / "checkpoint"

    def notes(self) -> list[Note]:
        """Every note, oldest first; a last line that was never finished is no note. Raises Unreadable."""
        return [note for _, note in self._history()]

    def last(self) -> tuple[int, Note | None]:
        """How many bytes of the history count, and the latest note in it. Raises Unreadable."""
        end, last = 0, None
        for end, last in self._history():  # noqa: B007 - the last of them
            pass
        return end, last

    def _history(self) -> Iterator[tuple[int, Note]]:
        end = 0
        try:
            lines = self.history.read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return
        for number, line in enumerate(lines, 1):
            end += len(line)
            if not line.endswith(b"\n") and number == len(lines):
                return  # the signer died while it wrote it, so nobody was given it
            try:
                yield end, read(json.loads(line))
            except (ValueError, TypeError, AttributeError) as error:
                raise Unreadable(f"Line {number} of {self.history} is no note: {error}") from error

    def leaf_hashes(self) -> Iterator[bytes]:
        """The hash of every leaf, in order."""
        try:
            file = self.leaves.open("rb")
        except FileNotFoundError:
            return
        with file:
            while block := file.read(CHUNK):
                for start in range(0, len(block) - HASH_LENGTH + 1, HASH_LENGTH):
                    yield block[start : start + HASH_LENGTH]

    # --- Only the signer ------------------------------------------------------------------------------------

    def add_leaves(self, known: int, hashes: bytes) -> None:
        """Write leaf hashes after the first ``known``, over whatever an earlier attempt left there."""
        self.folder.mkdir(mode=0o755, exist_ok=True)
        _write_at(self.leaves, known * HASH_LENGTH, hashes)

    def add_note(self, end: int, note: Note) -> int:
        """Write a note into the history, whose first ``end`` bytes count, then as the latest; the new end."""
        line = json.dumps(note.text).encode() + b"\n"
        _write_at(self.history, end, line)
        self.show(note)
        return end + len(line)

    def show(self, note: Note) -> None:
        """Let this be the latest note."""
        draft = self.folder / ".checkpoint"
        with draft.open("wb") as file:
            file.write(note.text.encode())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.checkpoint)
        sync(self.folder)


def rewind(directory: Path, tenant_id: str, keep: int) -> Path:
    """Forget every note about more than ``keep`` entries, as if it had never been given; where all of it is put aside.

    For an operator who has restored an older database and stands by it: with the signer stopped. Whoever was given one
    of the forgotten notes can prove that it was signed.
    """
    outside = Outside(directory, tenant_id)
    notes = outside.notes()
    number = 1 + sum(1 for each in directory.glob(f"{tenant_id}.before-*"))
    aside = outside.folder.with_name(f"{tenant_id}.before-{number}")
    outside.folder.rename(aside)
    sync(directory)
    leaves = (aside / "leaves").read_bytes() if (aside / "leaves").exists() else b""
    outside.add_leaves(0, leaves[: keep * HASH_LENGTH])
    end = 0
    for note in notes:
        if note.size <= keep:
            end = outside.add_note(end, note)
    return aside


def _write_at(place: Path, offset: int, content: bytes) -> None:
    is_new = not place.exists()
    descriptor = os.open(place, os.O_RDWR | os.O_CREAT, 0o644)
    with os.fdopen(descriptor, "r+b") as file:
        file.seek(offset)
        file.write(content)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        sync(place.parent)


def sync(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


__all__ = ["BadNote", "Outside", "Unreadable", "public_key", "sync", "tenants"]
