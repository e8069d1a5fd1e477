"""The example agent works through real tools, obeys the guard, and knows only the API."""

from __future__ import annotations

import ast
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from antibody_guard import Guard, Rejected, Unavailable

from examples.travel_desk.desk import Desk
from examples.travel_desk.directives import is_disabled, pre_checks, retry_policy, revised
from examples.travel_desk.fares import FareService
from examples.travel_desk.habits import HABITS, Habits
from examples.travel_desk.tally import Happened, Tally
from examples.travel_desk.tasks import Call, Task, a_day_of
from examples.travel_desk.tools import Toolbox

from .guard_server import TOKEN, GuardServer

ROOT = Path(__file__).parents[2]
TEN_MINUTES = 600  # calls, at the default speed of one a second
YEAR = Call("fare_search", {"route": "LIS-OSL", "days": 365})
CAP = {"kind": "parameter_cap", "params": {"parameter": "days", "max": 30}}
RETRY = {"max_attempts": 3, "backoff_ms": 200, "retry_on": ["ReadTimeout"]}
PRE_CHECK = {"check": "Is it there?", "tool": "flight_status", "arguments": ["flight_number", "x"]}


class Record(Tally):
    """A tally that also keeps what it counted."""

    def __init__(self) -> None:
        super().__init__()
        self.happened: list[Happened] = []

    def add(self, happened: Happened) -> None:
        super().add(happened)
        self.happened.append(happened)

    def of(self, state: str) -> list[Happened]:
        return [one for one in self.happened if one.state == state]


class WatchedTools(Toolbox):
    """The real tools, and a list of what they were really asked to do."""

    def __init__(self, folder: Path, fares_url: str) -> None:
        # A tenth of the patience, and of the service's slowness below: the same time-outs, sooner.
        super().__init__(folder, fares_url, patience_s=0.2)
        self.ran: list[tuple[str, Mapping[str, Any]]] = []

    def run(self, tool: str, arguments: Mapping[str, Any]) -> Any:
        self.ran.append((tool, dict(arguments)))
        return super().run(tool, arguments)


class World:
    """A desk with everything around it: its tools, its airline, and the guard's server."""

    def __init__(self, folder: Path, *, seed: int = 7, deadline_s: float = 60) -> None:
        self.server = GuardServer().open()
        self.fares = FareService(seed=seed, seconds_per_day=0.001).open()
        self.tools = WatchedTools(folder, self.fares.url)
        self.waits: list[float] = []
        self.pauses: list[float] = []
        self.said: list[str] = []
        self.record = Record()
        self.seed = seed
        self.guard = Guard(
            self.server.api,
            TOKEN,
            agent_id="travel-desk",
            deadline_s=deadline_s,
            wait=lambda seconds, why: self.waits.append(seconds),
        )
        self.desk = Desk(
            self.guard,
            self.tools,
            Habits(seed),
            run_prefix=f"desk-{seed}",
            begin_call=lambda: None,
            pause=self.pauses.append,
            say=self.said.append,
        )
        self.desk.tallies = [self.record]

    def work(self, size: int, *, day: int = 1) -> Record:
        self.desk.work(a_day_of(random.Random(f"{self.seed}:{day}"), size))
        return self.record

    def close(self) -> None:
        for part in (self.guard, self.tools, self.fares, self.server):
            part.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with closing(World(tmp_path)) as world:
        yield world


@pytest.fixture(scope="module")
def unguarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The first ten minutes under a guard that always says yes."""
    with closing(World(tmp_path_factory.mktemp("desk"))) as world:
        world.server.word_for_failed = "allow"
        for day, size in ((1, 60), (2, 60), (3, 20)):
            world.work(size, day=day)
        yield world


def test_every_mistake_fails_in_the_component_that_it_reaches(unguarded: World):
    mistakes = [one for one in unguarded.record.happened if one.habit]

    assert {one.state for one in mistakes} == {"failed"}
    makers = {type(one.error).__module__ for one in unguarded.record.of("failed")}
    assert makers == {"sqlite3", "httpx", "builtins", "json.decoder"}


def test_the_errors_are_of_many_kinds(unguarded: World):
    errors = [one.error for one in unguarded.record.of("failed")]

    kinds = {type(error).__name__ for error in errors}
    assert kinds == {
        "FileNotFoundError", "HTTPStatusError", "IntegrityError", "IsADirectoryError",
        "JSONDecodeError", "OperationalError", "ReadTimeout",
    }  # fmt: skip
    statuses = {str(error)[:3] for error in errors if type(error).__name__ == "HTTPStatusError"}
    assert statuses == {"404", "409", "422", "429", "503"}


def test_every_habit_recurs_within_ten_minutes(unguarded: World):
    asked = unguarded.record.happened[:TEN_MINUTES]
    habits = Counter(one.habit for one in asked if one.habit)

    assert len(asked) == TEN_MINUTES
    assert set(habits) == {name for name, _, _ in HABITS}
    assert min(habits.values()) >= 6, habits
    assert 0.10 <= sum(one.state == "failed" for one in asked) / len(asked) <= 0.17


def test_good_calls_fail_only_in_passing(unguarded: World):
    failed = [one for one in unguarded.record.of("failed") if not one.habit]
    went_well = {json.dumps(one.call.arguments) for one in unguarded.record.of("done")}

    assert failed
    assert all(json.dumps(one.call.arguments) in went_well for one in failed)


def test_good_calls_share_the_arguments_of_mistakes(unguarded: World):
    """Whoever learns from one failure alone learns too much.

    Nearly every argument in it is also in good calls.
    """
    good = {pair for one in unguarded.record.of("done") for pair in _pairs(one.call)}
    mistaken = [
        pair for one in unguarded.record.happened if one.habit for pair in set(_pairs(one.call))
    ]

    assert sum(pair in good for pair in mistaken) / len(mistaken) > 0.5


def _pairs(call: Call) -> list[tuple[str, str, str]]:
    return [(call.tool, name, json.dumps(value)) for name, value in call.arguments.items()]


def test_what_is_carried_out_is_what_was_allowed(world: World):
    world.work(60)

    allowed = [
        (one["action"]["tool"], one["action"]["arguments"]) for one in world.server.allowed()
    ]
    assert world.tools.ran == allowed
    assert world.record.of("blocked")
    assert len(world.server.outcomes) == len(allowed)


def test_a_blocked_mistake_is_put_right_and_the_task_goes_on(world: World):
    world.server.remember(YEAR.tool, YEAR.arguments)

    def plan():
        answer = yield Call("fare_search", {"route": "LIS-OSL", "days": 7})
        assert answer["fare_cents"] > 0
        yield Call("fare_lookup", {"route": "LIS-OSL", "fare_code": "SKI"})

    while not world.record.of("blocked"):
        world.desk.work([Task("a quote", "Wen Li", plan())])

    assert [one.call for one in world.record.happened[-3:]] == [
        YEAR,
        Call("fare_search", {"route": "LIS-OSL", "days": 7}),
        Call("fare_lookup", {"route": "LIS-OSL", "fare_code": "SKI"}),
    ]
    figures = world.record.figures()
    assert (figures["blocked_mistakes"], figures["blocked_good"], figures["unfinished"]) == (
        1,
        0,
        0,
    )


def test_a_blocked_good_call_is_appealed_and_left_to_a_person(world: World):
    call = Call("flight_status", {"flight_number": "AU204"})
    world.server.remember(call.tool, call.arguments)

    def plan():
        yield call

    while not world.record.figures()["blocked_good"]:
        world.desk.work([Task("a question", "Wen Li", plan())])

    assert world.server.appeals == [world.record.of("blocked")[-1].verdict.decision_id]
    assert ("flight_status", call.arguments) not in world.tools.ran
    assert world.record.figures()["unfinished"] == 1


def test_kill_ends_the_task(world: World):
    world.server.word_for_failed = "kill"
    world.work(30)

    killed = world.record.of("blocked")
    assert killed
    assert world.record.figures()["unfinished"] == len(killed)
    assert world.pauses.count(10.0) == len(killed)


def test_no_answer_means_stop(tmp_path: Path):
    with closing(World(tmp_path, deadline_s=1)) as world:
        world.server.silences.extend([(503, {})] * 1_000)

        with pytest.raises(Unavailable, match="503"):
            world.work(1)

        assert world.tools.ran == []
        assert world.waits


def test_nobody_there_means_stop(tmp_path: Path):
    with closing(World(tmp_path, deadline_s=1)) as world:
        world.server.close()

        with pytest.raises(Unavailable, match="ConnectError"):
            world.work(1)

        assert world.tools.ran == []


def test_a_late_answer_is_waited_for_and_the_question_stays_one(world: World):
    world.server.silences.extend([(429, {"Retry-After": "7"}), (503, {})])

    verdict = world.guard.check("sql_query", {"sql": "SELECT 1"}, run_id="desk-7-1", step=0)

    assert verdict.allowed
    assert world.waits[0] == 7.0
    assert len(world.waits) == 2
    assert len(world.server.keys) == 3
    assert len(set(world.server.keys)) == len(world.server.decisions) == 1


def test_every_question_has_a_key_of_its_own(world: World):
    world.work(5)

    posts = len(world.server.decisions) + len(world.server.outcomes)
    assert len(world.server.keys) == len(set(world.server.keys)) == posts


def test_a_wrong_token_is_refused_at_once(world: World):
    with (
        closing(Guard(world.server.api, "wrong", agent_id="travel-desk")) as guard,
        pytest.raises(Rejected, match="401"),
    ):
        guard.check("sql_query", {}, run_id="desk-7-1", step=0)

    assert world.waits == []


@pytest.mark.parametrize(
    ("word", "allowed"),
    [
        ("allow", True), ("warn", True), ("route_away", False), ("escalate", False),
        ("block", False), ("kill", False),
    ],
)  # fmt: skip
def test_only_allow_and_warn_are_a_yes(world: World, word: str, allowed: bool):
    world.server.word_for_failed = word
    arguments = {"sql": "SELECT 1"}
    world.server.remember("sql_query", arguments)

    assert world.guard.ask("sql_query", arguments, run_id="desk-7-1", step=0).allowed is allowed


def test_the_same_seed_makes_the_same_day(tmp_path: Path):
    days = []
    for folder, seed in (("a", 3), ("b", 3), ("c", 4)):
        (tmp_path / folder).mkdir()
        with closing(World(tmp_path / folder, seed=seed)) as world:
            world.work(12)
            days.append(list(world.server.decisions.values()))

    assert days[0] == days[1]
    assert days[0] != days[2]


def test_a_cap_makes_a_call_smaller_and_asks_again(world: World):
    world.server.directives = [CAP]
    while not any(one.habit == "year_long_search" for one in world.record.happened):
        world.work(20)

    capped = [one for one in world.record.happened if one.habit == "year_long_search"]
    assert [(one.state, one.call.arguments["days"]) for one in capped[:2]] == [
        ("changed", 365),
        ("done", 30),
    ]


@pytest.mark.parametrize(
    ("directive", "expected"),
    [
        (CAP, Call("fare_search", {"route": "LIS-OSL", "days": 30})),
        ({"kind": "parameter_cap", "params": {"parameter": "route", "max": 3}}, YEAR),
        (
            {"kind": "fallback", "params": {"tool": "fare_search", "to": "fare_lookup"}},
            Call("fare_lookup", YEAR.arguments),
        ),
        ({"kind": "fallback", "params": {"model": "large", "to": "small"}}, YEAR),
        ({"kind": "something new", "params": {}}, YEAR),
    ],
)
def test_caps_and_fallbacks_change_a_call(directive: dict[str, Any], expected: Call):
    assert revised(YEAR, [directive]) == expected


def test_other_directives_are_read_as_they_are_written():
    book = Call("book_flight", {"flight_number": "AU103", "seats": 1})

    policy = retry_policy(
        [{"kind": "retry_policy", "params": RETRY | {"retry_on": ["TimeoutError"]}}], TimeoutError()
    )
    assert policy is not None
    assert list(policy.pauses()) == [0.2, 0.4]
    assert retry_policy([{"kind": "retry_policy", "params": RETRY}], TimeoutError()) is None
    assert pre_checks(book, [{"kind": "pre_check", "params": PRE_CHECK}]) == [
        Call("flight_status", {"flight_number": "AU103"})
    ]
    assert pre_checks(book, [{"kind": "pre_check", "params": {"check": "Think."}}]) == []
    assert is_disabled(
        book, [{"kind": "tool_disabled", "params": {"tool": "book_flight", "minutes": 5}}]
    )
    assert not is_disabled(
        book, [{"kind": "tool_disabled", "params": {"tool": "sql_query", "minutes": 5}}]
    )


def test_the_command_prints_its_figures_as_the_last_line(world: World):
    done = _run(
        "--api", world.server.api, "--token", TOKEN, "--speed", "0", "--tasks", "4", "--json"
    )

    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["tasks"] == 4
    assert figures["calls"] == len(world.server.decisions)
    assert figures["by_day"][0]["calls"] == figures["calls"]


def test_calls_in_a_rush_are_made_before_the_pace_is_kept(world: World):
    slow = ("--api", world.server.api, "--token", TOKEN, "--speed", "0.001", "--tasks", "2")

    done = _run(*slow, "--rush", "100", "--json")

    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["tasks"] == 2  # at that pace the second call comes after a quarter of an hour


def test_the_command_fails_where_it_may_not_ask(world: World):
    done = _run("--api", world.server.api, "--token", "wrong", "--speed", "0", "--tasks", "1")

    assert done.returncode == 1
    assert "could not be asked (401" in done.stdout
    assert world.server.decisions == {}


def _run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "examples.travel_desk", *options]
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "sdk" / "src")}
    return subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_agent_is_an_outside_client():
    """It imports the standard library, httpx, the client package and itself."""
    imported = set()
    for path in (ROOT / "examples").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(str(node.module).split(".")[0])

    assert imported - sys.stdlib_module_names == {"antibody_guard", "httpx"}
