"""What a torture breaks with: points, poison, moods, clocks. None of it is in the product."""

from __future__ import annotations

import random
import re
import resource
import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx
import pytest
from django.conf import settings
from rest_framework.exceptions import APIException

from config.torture import clocks, poison
from config.torture.client.bodies import hostile_bodies
from config.torture.kills import wave
from config.torture.outside import MODEL, WEBHOOK, Mood, Outside
from config.torture.points import BRIDGES, CALLED, EVERY_BRIDGE, Crash, Doom
from governance.access.parsers import parse
from governance.loop.bridges import Bridge, GoOn, Work
from governance.loop.deadline import TookTooLong, within
from governance.models import Tenant
from tests import factories

# --- Crash points


def python(program: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        env={"PYTHONPATH": str(settings.BASE_DIR), "ANTIBODY_DATA_DIR": "/nonexistent", **env},
        capture_output=True,
        text=True,
        timeout=60,
    )


LOADED = """
import sys, django
django.setup()
from governance.loop import run
from governance.loop.bridges import bridges
bridges()
print(run._land.__module__, any(name.startswith("config.torture") for name in sys.modules))
"""


def test_the_product_has_no_points_and_hears_no_variable_that_names_one(tmp_path: Path) -> None:
    ended = python(
        LOADED,
        ANTIBODY_DATA_DIR=str(tmp_path),
        DJANGO_SETTINGS_MODULE="config.settings",
        ANTIBODY_CRASH_AT="pattern_matched:landed",
    )
    assert ended.stdout.split() == ["governance.loop.run", "False"], ended.stderr


def test_the_tortures_settings_have_them_in_a_tortures_folder_and_nowhere_else(
    tmp_path: Path,
) -> None:
    env = {
        "ANTIBODY_DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "config.torture.settings",
    }
    refused = python(LOADED, **env)
    assert "is not a torture's" in refused.stderr
    (tmp_path / "torture").touch()
    ended = python(LOADED, **env)
    assert ended.stdout.split() == ["config.torture.points", "True"], ended.stderr


def test_nothing_of_the_product_knows_the_torture() -> None:
    rooms = ["governance", "incidents", "catalog", "recovery", "policies", "routing", "config"]
    own = settings.BASE_DIR / "config/torture"
    command = settings.BASE_DIR / "config/management/commands/torture.py"
    for room in rooms:
        for file in (settings.BASE_DIR / room).rglob("*.py"):
            if file != command and own not in file.parents:
                said = file.read_text(encoding="utf-8")
                assert not re.search(r"config\.torture|\.torture import|CRASH_AT", said), file


def test_a_wave_is_a_death_at_each_point_of_each_bridge_and_one_during_an_outside_call() -> None:
    crashes = wave(0, random.Random(1))
    places = Counter((crash.stage, crash.point) for crash in crashes)
    assert set(places) == {(stage, point) for stage in BRIDGES for point in EVERY_BRIDGE} | {
        ("recovery_suggested", CALLED)
    }
    assert set(places.values()) == {1}


def test_forty_waves_die_forty_times_at_each_point_half_of_them_stage_by_stage() -> None:
    apart = Counter(
        (crash.stage, crash.point)
        for number in range(40)
        for crash in wave(number, random.Random(number))
        if crash.apart
    )
    for stage in BRIDGES:
        for point in ("fenced", "landed", "recorded", "committed"):
            assert apart[stage, point] == 20
    assert apart["pattern_matched", "claimed"] == 20
    # Nobody claims a later stage of a loop that is new.
    assert apart["policy_generated", "claimed"] == 40


def test_a_point_says_itself_and_nothing_else_is_one() -> None:
    crash = Crash("policy_generated", "landed", apart=True)
    assert Crash.of(str(crash)) == crash
    for wrong in ("policy_generated:called:x:y", "policy_generated", "nothing:landed"):
        with pytest.raises(ValueError, match="no point"):
            Crash.of(wrong)


def test_a_process_dies_at_its_point_of_its_stage_and_in_its_kind_of_transaction() -> None:
    together = Doom(Crash("policy_generated", "landed"), is_through=True)
    assert together.has_come("landed", ["pattern_matched", "policy_generated"])
    assert not together.has_come("landed", ["pattern_matched"])
    assert not together.has_come("fenced", ["policy_generated"])
    assert not together.spoils()
    apart = Doom(Crash("policy_generated", "landed", apart=True), is_through=True)
    assert not apart.has_come("landed", ["policy_generated"])
    assert apart.spoils()
    apart.is_through = False
    assert apart.has_come("landed", ["policy_generated"])
    assert not apart.spoils()


# --- Poison


def work_of(source: str, source_key: str) -> Work:
    opened = factories.report(source=source, source_key=source_key)
    return Work("stp", "", opened.trace.id, opened.incident.id, "policy_generated", {})


def test_poison_is_for_the_bridge_that_it_names_and_for_no_other(acme: Tenant) -> None:
    key = poison.source_key("error", "policy_generated", "1")
    fed, clean = work_of("poison", key), work_of("api", key)
    ill, well = (
        poison.around(Bridge(stage, stage, lambda works: {"stp": GoOn("fine")}))
        for stage in ("policy_generated", "loop_complete")
    )
    assert well.land([fed, clean])
    assert ill.land([clean])
    with pytest.raises(poison.Poisoned):
        ill.land([fed])


def test_who_eats_all_memory_gets_an_error_and_the_process_its_limit_back() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(MemoryError):
        poison.eat_memory()
    assert resource.getrlimit(resource.RLIMIT_AS) == before


def test_what_never_ends_is_ended_by_the_deadline() -> None:
    with pytest.raises(TookTooLong):
        within(0.05, lambda nothing: poison.never_end(), None)


@pytest.mark.parametrize("name", hostile_bodies("k"))
def test_every_hostile_body_is_hostile(name: str) -> None:
    body = hostile_bodies("k")[name]
    if name == "10 MB":
        assert len(body) > 10 * 2**20
    else:
        with pytest.raises(APIException):
            parse(body)


# --- Servers outside, and clocks


def test_the_servers_outside_count_what_comes_by_its_key_and_answer_as_their_mood_is() -> None:
    with Outside() as outside, httpx.Client(base_url=outside.address, timeout=1.0) as http:
        assert http.post(WEBHOOK, content="a", headers={"webhook-id": "w"}).status_code == 200
        outside.mood = Mood.FAILS
        assert http.post(WEBHOOK, content="b", headers={"webhook-id": "w"}).status_code == 500
        outside.mood = Mood.JUNK
        assert http.post(MODEL, headers={"idempotency-key": "m"}).content.startswith(b"\x00")
        for mood in (Mood.HANGS, Mood.DRIPS):
            outside.mood = mood
            with (
                pytest.raises(httpx.ReadTimeout),
                http.stream("POST", MODEL, headers={"idempotency-key": "m"}, timeout=0.15) as said,
            ):
                list(said.iter_raw())
        arrived = outside.counted()
    assert [(each.purpose, each.key) for each in arrived] == [
        ("webhook", "w"),
        ("webhook", "w"),
        ("suggestion", "m"),
        ("suggestion", "m"),
        ("suggestion", "m"),
    ]
    assert len({each.body for each in arrived[:2]}) == 2
    assert {each.body for each in arrived[2:]} == {""}
    assert outside.figures()["keys"] == 2


@pytest.mark.skipif(not clocks.is_installed(), reason="no faketime on this machine")
def test_a_clock_turns_what_a_process_believes(tmp_path: Path) -> None:
    clock = clocks.Clock(tmp_path / "clock")
    for jump in (86_400, -86_400):
        clock.show(jump)
        clock.check(jump)
    clock.show(0)
    with pytest.raises(Exception, match="off by"):
        clock.check(86_400)
