"""The decorator: asked before, reported after, exceptions and cancellation included; steps counted by the run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from antibody_guard import Denied, Guard, Spool, Unavailable

from . import loopback
from .loopback import Loopback, answer, serving

YES, NO = answer(), answer({"decision_id": "dec_1", "verdict": "block", "reason": "No."})
TAKEN = answer({"incident_id": "inc_1"})


def guard(server: Loopback, **details: Any) -> Guard:
    return loopback.guard(server.url, **{"deadline_s": 20, "timeout_s": 20, **details})


def asked(server: Loopback) -> list[Any]:
    return [each.body["action"] for each in server.received if each.path.endswith("decisions")]


def outcomes(server: Loopback) -> list[Any]:
    return [each.body for each in server.received if each.path.endswith("outcomes")]


def test_a_tool_asks_runs_and_reports(tmp_path: Path) -> None:
    with serving(YES, TAKEN) as server, guard(server) as client:

        @client.tool
        def book(flight: str, cabin: str = "economy", **more: int) -> str:
            """Book it."""
            assert len(server.received) == 1, "asked first"
            return f"{flight} {cabin} {more}"

        assert book("LH 454", seats=2) == "LH 454 economy {'seats': 2}"
        assert (book.__name__, book.__doc__) == ("book", "Book it.")
        arguments = {"flight": "LH 454", "cabin": "economy", "seats": 2}
        assert asked(server) == [{"kind": "tool_call", "tool": "book", "arguments": arguments}]
        (outcome,) = outcomes(server)
        assert (outcome["decision_id"], outcome["ok"]) == ("dec_1", True)
        assert outcome["latency_ms"] >= 0


def test_an_exception_is_reported_and_goes_on() -> None:
    with serving(YES, TAKEN) as server, guard(server) as client:

        @client.tool(name="sql", kind="data_access")
        def query(sql: str) -> None:
            raise LookupError(f"no such column in {sql}")

        with pytest.raises(LookupError, match="no such column"):
            query("select x")
        assert asked(server)[0] == {
            "kind": "data_access",
            "tool": "sql",
            "arguments": {"sql": "select x"},
        }
        assert outcomes(server)[0]["error"] == {
            "type": "LookupError",
            "message": "no such column in select x",
        }


@pytest.mark.parametrize("said", [NO, answer({}, status="400 Bad Request"), answer(b"<html>")])
def test_what_is_not_allowed_does_not_run(said: Any) -> None:
    ran: list[int] = []
    with serving(said) as server:
        client = guard(server, deadline_s=0.3)

        @client.tool
        def pay(amount: int) -> None:
            ran.append(amount)

        @client.tool
        async def pay_later(amount: int) -> None:
            ran.append(amount)

        with pytest.raises((Denied, Unavailable, Exception)):
            pay(1)
        with pytest.raises((Denied, Unavailable, Exception)):
            asyncio.run(pay_later(2))
        assert (ran, outcomes(server)) == ([], [])


def test_an_async_tool_asks_runs_and_reports_its_cancellation_too() -> None:
    with serving(YES, TAKEN) as server, guard(server) as client:
        began = asyncio.Event()

        @client.tool
        async def wait(seconds: int) -> int:
            began.set()
            await asyncio.sleep(seconds)
            return seconds

        async def story() -> None:
            assert await wait(0) == 0
            began.clear()
            server.behaviours[:] = [YES, TAKEN]
            task = asyncio.create_task(wait(3_600))
            await began.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(story())
        assert [each["ok"] for each in outcomes(server)] == [True, False]
        assert outcomes(server)[1]["error"]["type"] == "CancelledError"


def test_a_generator_is_refused() -> None:
    client = loopback.guard("http://127.0.0.1:9")

    def pages() -> Iterator[int]:
        yield 1

    with pytest.raises(TypeError, match="generator"):
        client.tool(pages)


def test_a_run_counts_its_steps_and_is_left_again() -> None:
    with serving(YES) as server, guard(server) as client:
        with client.run("run-1"):
            client.check("a", {})
            client.check("b", {})
            with client.run("run-2"):
                client.check("c", {})
            client.check("d", {})
        client.check("e", {})
        client.check("f", {}, run_id="mine", step=7)
        runs = [(each.body["run_id"], each.body["step"]) for each in server.received]
    assert runs[:4] == [("run-1", 0), ("run-1", 1), ("run-2", 0), ("run-1", 2)]
    assert runs[4][0].startswith("scout-")
    assert runs[5] == ("mine", 7)


def test_a_report_that_cannot_be_kept_takes_no_result_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    away = answer({}, status="503 Away")
    with (
        serving(YES, away) as server,
        guard(server, spool=Spool(tmp_path / "s", largest=10)) as client,
    ):
        assert client.tool(lambda: 7, name="seven")() == 7  # type: ignore[call-overload]
    assert "the outcome of dec_1 is lost" in caplog.text
