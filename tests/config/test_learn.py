"""``manage.py learn``: a stream through the real guard and loop, beside who memorises."""

from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command

from config.learning.playing import Player, make_scene
from config.learning.stream import Recorded
from governance.database.tenancy import tenant_scope
from policies.models import Decision, Outcome, Prevention

pytestmark = pytest.mark.django_db(transaction=True)

GONE = "order 17 was not found"


def call(order: int, error: str = "", *, run: str = "r1") -> Recorded:
    return Recorded("scout", run, None, "ship_order", {"order": order}, not error, error)


def played(*calls: Recorded, confirmations: int = 0, passes: int = 1) -> Player:
    player = Player(make_scene(confirmations))
    player.play(calls, passes, say=lambda line: None)
    return player


def test_what_the_guard_blocked_is_prevented_and_nothing_else():
    player = played(call(17, GONE), call(3), call(17, GONE), call(17, GONE, run="r2"))
    report = player.report()

    assert report["prevented"] == 2
    assert report["false_rejections"] == 0
    assert report["verdicts"] == {"allow": 2, "block": 2}
    assert report["memoriser"]["prevented"] == 2
    assert report["policies"]["drafted"] == report["policies"]["activated"] == 1
    with tenant_scope(player.scene.tenant.id):
        assert Decision.objects.filter(verdict="block").count() == 2
        assert Outcome.objects.count() == 2  # a blocked call was not carried out
        assert Prevention.objects.count() == 2


def test_nothing_is_blocked_before_it_has_the_confirmations_asked_for():
    report = played(*[call(17, GONE)] * 4, confirmations=3).report()

    assert report["verdicts"] == {"allow": 3, "block": 1}
    assert report["calls_until_protected"]["median"] == 3
    assert report["memoriser"]["prevented"] == 3


def test_a_later_pass_is_played_in_runs_of_its_own_and_knows_what_an_earlier_one_learned():
    report = played(call(17, GONE), call(3), passes=2).report()

    assert [each["prevented"] for each in report["by_pass"]] == [0, 1]
    assert report["by_pass"][1]["prevented_across_runs"] == 1


@pytest.mark.slow
def test_the_command_plays_on_a_database_of_its_own_and_ends_in_one_json_object(tmp_path, capsys):
    file = tmp_path / "calls.jsonl"
    lines = [
        {"tool": "ship_order", "arguments": {"order": 17}, "outcome": {"ok": False, "error": GONE}}
    ] * 2
    file.write_text("\n".join(map(json.dumps, lines)))

    call_command("learn", str(file), "--confirmations", "0", "--shuffle", "1", "--json")

    found = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert (found["calls"], found["prevented"], found["prevented_share"]) == (2, 1, 1.0)
    assert found["memoriser"]["prevented"] == 1


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (["--confirmations", "-1"], "--confirmations"),
        (["--confirmations", "101"], "--confirmations"),
        (["--passes", "0"], "--passes"),
    ],
)
def test_numbers_that_cannot_be_played_are_refused(tmp_path, options, fault):
    with pytest.raises(CommandError, match=fault):
        call_command("learn", str(tmp_path / "any"), *options)


def test_a_file_that_is_no_stream_is_refused_by_name(tmp_path):
    file = tmp_path / "calls.jsonl"
    file.write_text('{"tool": "x"}')

    with pytest.raises(CommandError, match=r"calls\.jsonl:1: outcome\.ok"):
        call_command("learn", str(file))
