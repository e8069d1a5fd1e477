"""No answer means stop: whatever a server does that is not a clear yes, nothing is allowed, and in time."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest
from antibody_guard import Denied, Guard, NotAllowed, Rejected, Unavailable

from .loopback import ALLOWED, TOKEN, Behaviour, answer, raw, serving

SLACK_S = 5.0  # the machine may be busy


def guard(url: str, **details: Any) -> Guard:
    return Guard(url, TOKEN, agent_id="scout", **{"deadline_s": 0.5, "timeout_s": 0.3, **details})


def dripping(head: bytes) -> Behaviour:
    """A byte every 50 ms, without end: every single read is in time."""

    def drip(wire: socket.socket) -> None:
        wire.sendall(head)
        for _ in range(200):
            wire.sendall(b"x")
            time.sleep(0.05)

    return drip


def hang(wire: socket.socket) -> None:
    wire.recv(1)  # until the client goes


SILENCES: dict[str, Behaviour] = {
    "hangs": hang,
    "closes at once": lambda wire: None,
    "closes mid-answer": raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"),
    "closes mid-header": raw(b"HTTP/1.1 200 OK\r\nContent-Ty"),
    "drips headers": dripping(b"HTTP/1.1 200 OK\r\nX-Slow: "),
    "drips the body": dripping(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900000\r\n\r\n"
    ),
    "speaks something else": raw(b"220 mail.example ESMTP\r\n"),
    "answers 500": answer({}, status="500 Oops"),
    "answers 503 with a yes": answer(status="503 Away"),
    "answers 302": answer(ALLOWED, status="302 Found", headers="Location: http://127.0.0.1:9/\r\n"),
    "answers 204": raw(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "answers HTML": answer(b"<html>allow</html>", kind="text/html"),
    "answers JSON as text": answer(kind="text/plain"),
    "answers half of JSON": answer(b'{"decision_id": "dec_1", "verdict": "all'),
    "answers a list": answer([ALLOWED]),
    "answers a gigabyte": answer(b" " * 1_100_000),
}  # fmt: skip


@pytest.mark.parametrize("behaviour", SILENCES.values(), ids=SILENCES.keys())
def test_silence_is_no_permission(behaviour: Behaviour) -> None:
    with serving(behaviour) as server, guard(server.url) as client:
        began = time.monotonic()
        with pytest.raises(Unavailable):
            client.check("pay", {"amount": 1})
        assert time.monotonic() - began < 0.5 + SLACK_S


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"verdict": "allow"},
        {"decision_id": "dec_1"},
        {"decision_id": "dec_1", "verdict": "yes"},
        {"decision_id": "dec_1", "verdict": True},
        {"decision_id": "dec_1", "verdict": ["allow"]},
        {"decision_id": 7, "verdict": "allow"},
        {**ALLOWED, "policies": "none"},
        {**ALLOWED, "directives": [1]},
    ],
)
def test_a_word_that_is_no_verdict_is_no_permission(body: Any) -> None:
    with serving(answer(body)) as server, guard(server.url) as client, pytest.raises(Unavailable):
        client.check("pay", {})


def test_nobody_there_is_no_permission() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with guard(f"http://127.0.0.1:{port}") as client, pytest.raises(Unavailable):
        client.check("pay", {})


@pytest.mark.parametrize("verdict", ["route_away", "escalate", "block", "kill"])
def test_every_other_verdict_is_a_no_with_all_that_was_said(verdict: str) -> None:
    change = {"argument": "amount", "how": "at_most", "values": [5], "text": "amount of at most 5"}
    said = {
        **ALLOWED,
        "verdict": verdict,
        "reason": "Too much.",
        "retryable": False,
        "policies": [{"id": "pol_1", "name": "p", "action": verdict, "version": 2}],
        "appeal_url": "/api/v1/guard/decisions/dec_1/appeal",
        "directives": [{"id": "drc_1", "kind": "pre_check", "params": {}, "title": "t"}],
        "allowed_instead": [change],
        "something_new": 1,
    }
    with (
        serving(answer(said)) as server,
        guard(server.url) as client,
        pytest.raises(Denied) as caught,
    ):
        client.check("pay", {"amount": 9})
    no = caught.value
    assert (no.reason, no.retryable, no.appeal_url) == ("Too much.", False, said["appeal_url"])
    assert (no.policies, no.directives) == (said["policies"], said["directives"])
    assert no.allowed_instead == [change]
    assert str(no) == "Too much. Would be allowed: amount of at most 5."


def test_a_wrong_question_is_asked_once() -> None:
    problem = answer(
        {"detail": f"bad {TOKEN}"}, status="400 Bad Request", kind="application/problem+json"
    )
    with serving(problem) as server, guard(server.url) as client:
        with pytest.raises(Rejected) as caught:
            client.check("pay", {})
        assert len(server.received) == 1
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("status", ["500 Oops", "503 Away", "429 Slow down", "409 In progress"])
def test_a_passing_failure_is_asked_again_under_the_same_key(status: str) -> None:
    early = answer({}, status=status, headers="Retry-After: 0\r\n")
    with serving(early, early, answer()) as server, guard(server.url, deadline_s=20) as client:
        assert client.check("pay", {}).allowed
        assert len(server.keys()) == 3
        assert len(set(server.keys())) == 1


@pytest.mark.parametrize("asked", [lambda: "7", lambda: formatdate(time.time() + 8, usegmt=True)])
def test_retry_after_is_honoured_in_both_forms(asked: Callable[[], str]) -> None:
    waits: list[float] = []
    early = answer({}, status="429 Slow down", headers=f"Retry-After: {asked()}\r\n")
    with (
        serving(early, answer()) as server,
        guard(server.url, deadline_s=60, wait=lambda seconds, why: waits.append(seconds)) as client,
    ):
        assert client.check("pay", {}).allowed
    assert len(waits) == 1
    assert 4 <= waits[0] <= 8


def test_retry_after_does_not_move_the_deadline() -> None:
    early = answer({}, status="503 Away", headers="Retry-After: 3600\r\n")
    with serving(early) as server, guard(server.url, deadline_s=1) as client:
        began = time.monotonic()
        with pytest.raises(Unavailable, match="503"):
            client.check("pay", {})
        assert time.monotonic() - began < 1 + SLACK_S
        assert len(server.received) == 1


@pytest.mark.parametrize("arguments", [{"x": float("nan")}, {"x": object()}, {"x": {1, 2}}])
def test_what_is_not_json_is_not_asked(arguments: dict[str, Any]) -> None:
    with serving(answer()) as server, guard(server.url) as client:
        with pytest.raises((TypeError, ValueError)):
            client.check("pay", arguments)
        assert server.received == []


def test_the_token_is_in_no_log_and_no_repr(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(answer({}, status="500 Oops")) as server, guard(server.url) as client:
        with pytest.raises(NotAllowed) as caught:
            client.check("pay", {})
        shown = [caplog.text, repr(client), str(caught.value), repr(vars(client)["_http"])]
    assert not [text for text in shown if TOKEN in text]


def test_an_address_with_a_password_is_refused() -> None:
    with pytest.raises(ValueError, match="password"):
        Guard("https://scout:secret@antibody.example", TOKEN, agent_id="scout")
