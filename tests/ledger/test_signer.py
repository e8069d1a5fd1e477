"""The signer signs only what its last note has grown into, and survives being killed."""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import threading
from base64 import b64decode
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from governance.signing import notes, outside, tree
from governance.signing.outside import Outside
from governance.signing.signer import (
    SOCKET,
    CannotSign,
    Question,
    Signer,
    alone,
    connect,
    make_key,
)
from tests.ledger.signing import has_left, signer

TENANT = "ten_01jd3v0000000000000000000a"
ORIGIN = notes.origin_of(TENANT)
LEAVES = [tree.leaf_hash(str(n).encode()) for n in range(300)]


def question(size: int, first: int, leaves: list[bytes] = LEAVES, **other: Any) -> Question:
    root = other.get("root", tree.root_of(leaves[:size]))
    hashes = other.get("hashes", b"".join(leaves[first:size]))
    return Question(other.get("origin", ORIGIN), size, root, first, hashes)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def ours(directory: Path) -> Signer:
    return Signer(directory, make_key(directory))


def public(directory: Path) -> bytes:
    found = outside.public_key(directory)
    assert found is not None
    return found


def check(directory: Path) -> list[int]:
    """The history holds verified notes of growing trees, as the leaves that are kept say; their sizes."""
    kept = Outside(directory, TENANT)
    leaves = list(kept.leaf_hashes())
    sizes = []
    for note in kept.notes():
        notes.verify(note.text, ORIGIN, public(directory))
        assert note.root == tree.root_of(leaves[: note.size])
        sizes.append(note.size)
    assert sizes == sorted(set(sizes))
    return sizes


def test_a_growing_tree_is_signed_note_by_note(ours: Signer, directory: Path) -> None:
    first = ours.answer(question(3, 0))
    note = notes.verify(first["note"], ORIGIN, public(directory))
    assert (note.size, note.root) == (3, tree.root_of(LEAVES[:3]))
    assert ours.answer(question(3, 0)) == first  # asked again: the same note
    assert "note" in ours.answer(question(8, 3))
    assert check(directory) == [3, 8]
    kept = Outside(directory, TENANT)
    assert kept.checkpoint.read_text() == kept.notes()[-1].text
    assert list(kept.leaf_hashes()) == LEAVES[:8]


REWRITTEN = [LEAVES[0], b"\x00" * 32, *LEAVES[2:]]


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (question(3, 0), "smaller"),
        (question(5, 0, REWRITTEN), "another root"),
        (question(9, 5, REWRITTEN), "no extension"),
        (question(9, 5, root=b"\x00" * 32), "no extension"),
        (question(9, 5, hashes=b"".join(LEAVES[5:8])), "as many hashes"),
        (question(9, 5, origin="somewhere/else"), "not the name of a tree"),
        (question(9, 5, origin=f"{notes.ORIGIN}../x"), "not the name of a tree"),
    ],
)
def test_whatever_is_no_extension_is_refused(
    ours: Signer, directory: Path, asked: Question, why: str
) -> None:
    signed = ours.answer(question(5, 0))["note"]
    answer = ours.answer(asked)
    assert why in answer["refused"]
    assert answer.get("note", signed) == signed
    assert check(directory) == [5]
    assert "note" in ours.answer(question(6, 5))  # and what is one still is signed


def test_leaves_that_it_has_not_are_asked_for(ours: Signer) -> None:
    ours.answer(question(5, 0))
    assert ours.answer(question(9, 7)) == {"send_from": 5}
    assert ours.answer(question(9, 0)) == {"send_from": 5}


def test_another_process_goes_on_from_the_disk(ours: Signer, directory: Path) -> None:
    ours.answer(question(5, 0))
    again = Signer(directory, make_key(directory))
    assert "refused" in again.answer(question(9, 5, REWRITTEN))
    assert "note" in again.answer(question(9, 5))
    assert check(directory) == [5, 9]


@pytest.mark.parametrize("lost", [b"", b"\x00" * 32 * 5, b"\x00" * 45])
def test_lost_leaf_hashes_are_taken_again_only_as_they_were_signed(
    ours: Signer, directory: Path, lost: bytes
) -> None:
    ours.answer(question(5, 0))
    Outside(directory, TENANT).leaves.write_bytes(lost)
    again = Signer(directory, make_key(directory))
    assert again.answer(question(9, 5)) == {"send_from": 0}
    assert "no extension" in again.answer(question(9, 0, REWRITTEN))["refused"]
    assert "note" in again.answer(question(9, 0))
    assert check(directory) == [5, 9]


def test_what_was_half_written_counts_for_nothing(ours: Signer, directory: Path) -> None:
    ours.answer(question(5, 0))
    kept = Outside(directory, TENANT)
    with kept.history.open("ab") as history:
        history.write(b'"half a no')
    with kept.leaves.open("ab") as leaves:
        leaves.write(b"\x00" * 40)
    kept.checkpoint.unlink()
    again = Signer(directory, make_key(directory))
    assert "note" in again.answer(question(9, 5))
    assert check(directory) == [5, 9]
    assert kept.checkpoint.read_text() == kept.notes()[-1].text


@pytest.mark.parametrize("survived", range(6))
def test_whenever_it_dies_the_next_one_goes_on(
    ours: Signer, directory: Path, survived: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies where it waits for the disk the next time after ``survived`` times."""
    ours.answer(question(5, 0))
    waits = iter(range(10))

    def die(descriptor: int) -> None:
        if next(waits) == survived:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", die)
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - in which of the two is the point
        ours.answer(question(9, 5))
        ours.answer(question(12, 9))
    monkeypatch.undo()
    again = Signer(directory, make_key(directory))
    answer = again.answer(question(20, 9))
    if "send_from" in answer:
        answer = again.answer(question(20, answer["send_from"]))
    assert "note" in answer
    assert check(directory)[-1] == 20


def test_a_history_that_was_tampered_with_ends_the_signing(ours: Signer, directory: Path) -> None:
    ours.answer(question(5, 0))
    kept = Outside(directory, TENANT)
    kept.history.write_text(json.dumps(kept.notes()[0].text.replace("\n5\n", "\n4\n")) + "\n")
    again = Signer(directory, make_key(directory))
    assert "signature is not right" in again.answer(question(9, 5))["refused"]
    kept.history.write_text("{}\n")
    assert "is no note" in Signer(directory, make_key(directory)).answer(question(9, 5))["refused"]


def test_the_key_is_made_once_and_is_nobody_elses(directory: Path) -> None:
    made = make_key(directory)
    assert stat.S_IMODE((directory / "key").stat().st_mode) == 0o600
    assert make_key(directory).private_bytes_raw() == made.private_bytes_raw()
    assert b64decode((directory / "public_key").read_text()) == made.public_key().public_bytes_raw()
    (directory / "key").chmod(0o640)
    with pytest.raises(CannotSign, match="chmod 600"):
        make_key(directory)


def test_there_is_one_signer_of_a_directory(directory: Path) -> None:
    with alone(directory), pytest.raises(CannotSign, match="Another signer"), alone(directory):
        pass


# --- As a process ---------------------------------------------------------------------------------------------


class Asking:
    """A connection to the signer of a directory, as the notary has one."""

    def __init__(self, directory: Path) -> None:
        self.socket = connect(directory / SOCKET, 10.0)
        self.stream = self.socket.makefile("rwb")

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # what was left to say, and nobody is there to hear it
            self.stream.close()
        self.socket.close()

    def ask(self, asked: Question) -> dict[str, Any]:
        header = {
            "origin": asked.origin,
            "size": asked.size,
            "root": asked.root.hex(),
            "first": asked.first,
        }
        self.stream.write(json.dumps(header).encode() + b"\n" + asked.hashes)
        self.stream.flush()
        answer: dict[str, Any] = json.loads(self.stream.readline())
        return answer


def test_it_answers_on_a_socket_of_its_own_users(directory: Path) -> None:
    with signer(directory):
        assert stat.S_IMODE((directory / SOCKET).stat().st_mode) == 0o600
        with Asking(directory) as one, Asking(directory) as other:
            assert "note" in one.ask(question(2, 0))
            assert "note" in other.ask(question(4, 2))
            assert "smaller" in one.ask(question(3, 2))["refused"]
    assert check(directory) == [2, 4]


def test_a_long_folder_is_no_obstacle(tmp_path: Path) -> None:
    directory = tmp_path / ("x" * 100) / "ledger"
    with signer(directory), Asking(directory) as asking:
        assert "note" in asking.ask(question(2, 0))


def test_nonsense_ends_the_conversation_and_not_the_signer(directory: Path) -> None:
    with signer(directory):
        for nonsense in (b"\n", b"{}\n", b"\xff\n", b'{"size": -1}\n', b"[" * 5_000):
            with connect(directory / SOCKET, 10.0) as made:
                made.sendall(nonsense)
                made.shutdown(1)
                assert made.recv(100) == b""
        with Asking(directory) as asking:
            assert "note" in asking.ask(question(2, 0))


def test_it_leaves_when_told_and_when_its_parent_is_gone(directory: Path) -> None:
    with signer(directory) as told:
        told.terminate()
        assert has_left(told) == 0
    assert not (directory / SOCKET).exists()
    with signer(directory, "--child") as child:
        assert child.stdin is not None
        child.stdin.close()
        assert has_left(child) == 0


@pytest.mark.slow
def test_killed_again_and_again_it_never_contradicts_itself(directory: Path) -> None:
    """Killed in the midst of questions, wherever it just is; what was answered is there afterwards."""
    chance = random.Random(20260101)
    given: list[str] = []
    size = 0
    for _ in range(4):
        with signer(directory) as process, Asking(directory) as asking:
            kill = threading.Timer(
                chance.uniform(0.02, 0.2), os.kill, (process.pid, signal.SIGKILL)
            )
            kill.start()
            try:
                while size < len(LEAVES) - 3:
                    wanted = size + chance.randint(1, 3)
                    answer = asking.ask(question(wanted, size))
                    if "send_from" in answer:
                        # It had signed before it died, and we were never told.
                        size = answer["send_from"]
                        continue
                    if "refused" in answer:
                        size = answer["size"]
                        continue
                    given.append(answer["note"])
                    size = wanted
            except (OSError, ValueError):
                pass
            kill.join()
    sizes = check(directory)
    told = {note.text for note in Outside(directory, TENANT).notes()}
    assert set(given) <= told
    assert len(sizes) >= len(given) > 4
