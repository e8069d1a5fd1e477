"""The spool: what it has taken is told, in its order, once; whatever dies, and however many share it."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import antibody_guard
import pytest
from antibody_guard import Decision, Guard, Spool, SpoolFull, Unavailable

from . import loopback
from .loopback import TOKEN, answer, serving

ROOT = Path(__file__).parents[2]
AWAY = answer({}, status="503 Away")
TAKEN = answer({"incident_id": None})
NO_SERVER = "http://127.0.0.1:9"  # discard: nobody listens


def guard(url: str, spool: Spool | Path, **details: Any) -> Guard:
    return loopback.guard(url, spool=spool, **{"deadline_s": 1, "timeout_s": 0.5, **details})


def made(number: int) -> Decision:
    return Decision(f"dec_{number}", "allow")


def told(received: list[Any]) -> list[str]:
    return [each.body["decision_id"] for each in received]


def test_outcomes_wait_on_disk_and_are_told_in_their_order_under_their_keys(tmp_path: Path) -> None:
    file = tmp_path / "spool"
    with serving(AWAY, TAKEN) as server:
        client = guard(server.url, file)
        assert client.report(made(0), error=ValueError("x")) is None  # the server is away
    away = guard(NO_SERVER, file)
    for number in (1, 2):
        away.report(made(number))
    kept = {key: outcome["decision_id"] for key, outcome in Spool(file).waiting()}
    with serving(answer({"incident_id": "inc_9"})) as server:
        assert guard(server.url, file).report(made(3)) == "inc_9"  # and all before it
        assert told(server.received) == ["dec_0", "dec_1", "dec_2", "dec_3"]
        assert server.received[0].body["error"] == {"type": "ValueError", "message": "x"}
        assert server.keys()[:3] == list(kept)
    assert Spool(file).is_empty
    assert file.stat().st_size == 0


def test_the_first_try_and_the_later_ones_have_one_key(tmp_path: Path) -> None:
    with serving(AWAY, TAKEN) as server, guard(server.url, tmp_path / "spool") as client:
        client.report(made(0))
        client.flush()
        assert len(server.keys()) == 2
        assert len(set(server.keys())) == 1


def test_the_next_question_that_gets_through_tells_what_waits(tmp_path: Path) -> None:
    with serving(AWAY, answer(), TAKEN) as server, guard(server.url, tmp_path / "spool") as client:
        client.report(made(0))
        client.check("pay", {})
        assert [each.path for each in server.received] == [
            "/api/v1/guard/outcomes",
            "/api/v1/guard/decisions",
            "/api/v1/guard/outcomes",
        ]
        assert client.spool is not None
        assert client.spool.is_empty


def test_a_server_that_goes_away_again_loses_nothing(tmp_path: Path) -> None:
    file = tmp_path / "spool"
    away = guard(NO_SERVER, file)
    for number in range(3):
        away.report(made(number))
    with serving(TAKEN, AWAY) as server, pytest.raises(Unavailable):
        guard(server.url, file).flush()
    assert [outcome["decision_id"] for _, outcome in Spool(file).waiting()] == ["dec_1", "dec_2"]


def test_what_the_server_never_accepts_is_put_aside_and_the_rest_is_told(tmp_path: Path) -> None:
    file = tmp_path / "spool"
    away = guard(NO_SERVER, file)
    for number in range(2):
        away.report(made(number))
    gone = answer(
        {"detail": "nobody knows it"}, status="404 Not Found", kind="application/problem+json"
    )
    with serving(gone, TAKEN) as server:
        guard(server.url, file).flush()
        assert told(server.received) == ["dec_0", "dec_1"]
    assert Spool(file).is_empty
    assert "dec_0" in (tmp_path / "spool.rejected").read_text()


def test_a_revoked_token_puts_nothing_aside(tmp_path: Path) -> None:
    file = tmp_path / "spool"
    guard(NO_SERVER, file).report(made(0))
    refused = answer({}, status="401 Unauthorized", kind="application/problem+json")
    with serving(refused) as server, pytest.raises(antibody_guard.Rejected):
        guard(server.url, file).flush()
    assert len(Spool(file).waiting()) == 1


def test_full_says_so_and_lets_nothing_more_happen_until_it_is_told(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", largest=1_000)
    away = guard(NO_SERVER, spool)
    for number in range(4):
        away.report(made(number))
    with pytest.raises(SpoolFull, match="at most 1000 bytes"):
        away.report(made(4), error=ValueError("x" * 1_000))
    while not spool.is_full:
        away.report(made(5))
    kept = len(spool.waiting())
    assert spool.path.stat().st_size <= 1_000
    with pytest.raises(Unavailable, match="full"):
        away.check("pay", {})
    with serving(*[TAKEN] * kept, answer()) as server:
        assert guard(server.url, spool).check("pay", {}).allowed
        assert len(server.received) == kept + 1


def test_what_is_done_makes_room(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", largest=1_500)
    for number in range(200):
        spool.append(f"k{number}", {"decision_id": "dec"})
        spool.done(f"k{number}")
    spool.append("last", {"decision_id": "dec"})
    assert [key for key, _ in spool.waiting()] == ["last"]


@pytest.mark.parametrize("cut", [1, 5, 9, 20, -1])
def test_a_line_that_was_cut_off_is_passed_over_and_spoils_no_other(
    tmp_path: Path, cut: int
) -> None:
    spool = Spool(tmp_path / "spool")
    spool.append("a", {"decision_id": "dec_a"})
    whole = spool.path.read_bytes()
    spool.path.write_bytes(whole + whole.replace(b"dec_a", b"dec_x")[:cut])
    spool.append("b", {"decision_id": "dec_b"})
    assert [key for key, _ in spool.waiting()] == ["a", "b"]


def test_a_full_disk_is_said_and_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path / "spool")
    spool.append("a", {"decision_id": "dec_a"})
    write = os.write

    def half(descriptor: int, content: bytes) -> int:
        if len(content) > 30:
            return write(descriptor, bytes(content)[:20])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        with pytest.raises(SpoolFull, match="No space"):
            spool.append("b", {"decision_id": "dec_b"})
    spool.append("c", {"decision_id": "dec_c"})
    assert [key for key, _ in spool.waiting()] == ["a", "c"]


WRITER = """
import sys
from antibody_guard import Spool
spool = Spool(sys.argv[1])
for number in range(100_000):
    spool.append(f"{sys.argv[2]}-{number}", {"decision_id": "dec", "pad": "x" * 300})
    print(number, flush=True)
"""


def writer(file: Path, name: str) -> subprocess.Popen[str]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "sdk" / "src")}
    command = [sys.executable, "-c", WRITER, str(file), name]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)


def test_several_writers_killed_at_any_moment_lose_nothing_acknowledged(tmp_path: Path) -> None:
    file = tmp_path / "spool"
    acknowledged: dict[str, int] = {}
    for round_ in range(4):
        names = [f"w{round_}{letter}" for letter in "ab"]
        writers = {name: writer(file, name) for name in names}
        for each in writers.values():
            assert each.stdout is not None
            for _ in range(10 + 7 * round_):
                each.stdout.readline()
        for each in writers.values():
            each.send_signal(signal.SIGKILL)
        for name, each in writers.items():
            rest, _ = each.communicate()
            acknowledged[name] = 9 + 7 * round_ + len(rest.split())
    kept = [key for key, _ in Spool(file).waiting()]
    for name, last in acknowledged.items():
        mine = [int(key.split("-")[1]) for key in kept if key.startswith(f"{name}-")]
        assert mine == list(range(len(mine))), "in order and without a gap"
        assert len(mine) > last


def test_several_tellers_tell_each_outcome_once(tmp_path: Path) -> None:
    file = tmp_path / "spool"
    away = guard(NO_SERVER, file, timeout_s=2)
    for number in range(12):
        away.report(made(number))
    with serving(TAKEN) as server:
        tellers = [guard(server.url, file, timeout_s=10) for _ in range(4)]
        _at_once([teller.flush for teller in tellers])
        assert told(server.received) == [f"dec_{number}" for number in range(12)]


def _at_once(calls: list[Callable[[], Any]]) -> None:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    guard(NO_SERVER, tmp_path / "spool").report(made(0))
    assert {oct(each.stat().st_mode & 0o777) for each in tmp_path.iterdir()} == {"0o600"}
    line = (tmp_path / "spool").read_text()
    assert TOKEN not in line
    assert json.loads(line.split(" ", 1)[1])["outcome"] == {"decision_id": "dec_0", "ok": True}
