"""What the table of fail modes says is what happens: each fault is made for real, and everything tried meanwhile."""

from __future__ import annotations

import signal
from collections.abc import Mapping

import pytest
from django.conf import settings
from django.test import Client
from django.utils.html import escape

from config.failmodes import page
from governance import readiness
from governance.failmodes import AT_ONCE, FAULTS, TABLE, Fault, Kind, Op, Outcome
from governance.models import Tenant
from tests import factories

from .breaking import BREAKS
from .product import Product, until
from .trying import LOOPS_WITHIN, Follower, Seen, Story, Try, Trying, seen

# What a busy machine may add to an answer.
SLACK = 0.7
RECOVERS_WITHIN = 20.0
REQUESTS = [op for op in Op if op.kind is not Kind.BACKGROUND]
WEBHOOK_TOOL = "courier"


@pytest.mark.faults
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_what_the_table_says_is_what_happens(product: Product, fault: Fault) -> None:
    if fault.name.startswith("redis") and "redis" not in product.ports:
        pytest.skip("there is no redis-server on this machine")
    said = TABLE[fault.name]
    with Trying(product) as outside:
        until(lambda: outside.ready().status_code == 200, RECOVERS_WITHIN)
        story = outside.story(outside.report())
        follower = Follower(product, story.incident)
        held = _held_loop(product, outside) if _is_kept_from_working(fault) else ""
        known = outside.decided("search"), outside.decided("forbidden")
        with BREAKS[fault.name](product), _asking(product, fault) as trying:
            tries, later = trying.tries(story, *known), outside.tries(story, *known)
            if held:
                product.send("sweeper", signal.SIGCONT)
            _is_noticed(trying, fault, tries)
            found = {op: seen(op, tries[op], later[op]) for op in REQUESTS}
            _readyz(trying, fault, said[Op.READYZ])
            _stream(follower, story, said, found)
            _loop(product, outside, said, held or story.key)
        until(lambda: outside.ready().status_code == 200, RECOVERS_WITHIN)
        _is_as_the_table_says(found, said)
        _nothing_is_left_of(product, found)
        _nothing_is_lost(product, outside, found, story, follower, said)
        if held:
            outside.story(held)


def _asking(product: Product, fault: Fault) -> Trying:
    return Trying(product, "ahead" if fault.name == "clocks_apart" else "web")


def _is_kept_from_working(fault: Fault) -> bool:
    """Whether no failure can be reported meanwhile, so that one from before must show what becomes of a loop."""
    return TABLE[fault.name][Op.LOOP] is Outcome.LATER and fault.name != "sweeper_down"


def _held_loop(product: Product, outside: Trying) -> str:
    """A failure that was reported while the sweeper stood still: it begins to work on it under the fault."""
    product.send("sweeper", signal.SIGSTOP)
    return outside.report()


def _is_noticed(trying: Trying, fault: Fault, tries: dict[Op, Try]) -> None:
    """Whoever asks first finds out, and is told no; what only a check can find is looked for."""
    if not fault.check:
        return
    if fault.noticed == AT_ONCE:
        assert seen(Op.DECIDE, tries[Op.DECIDE], tries[Op.DECIDE]).outcome is Outcome.NO
        until(lambda: trying.ready().json()["failing"] == fault.check, 5)
    else:
        until(lambda: trying.ready(fresh=True).json()["failing"] == fault.check, 10)


def _readyz(trying: Trying, fault: Fault, said: Outcome) -> None:
    answer = trying.ready(fresh=said is not Outcome.TOLD)
    told = answer.json()
    if said is Outcome.TOLD:
        assert (answer.status_code, told["failing"]) == (503, fault.check)
    else:
        assert (answer.status_code, told["failing"]) == (200, None)
    # Asking for a fresh look brings one every other second. Beat and its worker run only where beat is taken away.
    others = {each.warning for each in FAULTS} - {"", "beat"}
    wanted = {fault.warning} - {""}
    until(lambda: (others | wanted) & set(trying.ready(fresh=True).json()["warnings"]) == wanted, 5)


def _stream(
    follower: Follower, story: Story, said: Mapping[Op, Outcome], found: dict[Op, Seen]
) -> None:
    """The follower is sent away, or hears of what the person has just decided; what cannot happen he hears of later."""
    if said[Op.STREAM] is Outcome.BROKEN_OFF:
        assert follower.has_ended.wait(15)
    elif found[Op.CHECKPOINT].outcome is Outcome.USUAL:
        until(lambda: follower.heard("checkpoint_approved"), 5)
        assert not follower.has_ended.is_set()


def _loop(product: Product, outside: Trying, said: Mapping[Op, Outcome], known: str) -> None:
    """``known`` is a failure from before, where none can be reported now."""
    can_report = said[Op.INCIDENT] is Outcome.USUAL
    match said[Op.LOOP]:
        case Outcome.LATER if can_report:
            assert not outside.asked(outside.report())
        case Outcome.USUAL if can_report:
            outside.story(outside.report())
        case Outcome.USUAL:
            until(lambda: outside.told(known, "recovery_applied"), LOOPS_WITHIN)
        case Outcome.WITHOUT:
            key = outside.report()
            outside.story(key)
            assert outside.told(key, "model_unusable")
        case Outcome.RETRIED:
            _a_webhook_is_tried_again(product, outside)


def _a_webhook_is_tried_again(product: Product, outside: Trying) -> None:
    first = outside.story(outside.report(WEBHOOK_TOOL))
    [[pattern]] = product.ask("SELECT id FROM catalog_pattern WHERE tool = %s", WEBHOOK_TOOL)
    url = f"http://127.0.0.1:{product.receiver.port}/hook"
    template = {"pattern_id": pattern, "name": "Call", "kind": "webhook", "params": {"url": url}}
    made = outside.post(outside.person, "recovery-templates", template)
    assert made.status_code == 201, made.text
    rejected = {"digest": first.digest, "reason": "The keeper must be told."}
    outside.post(outside.person, f"checkpoints/{first.checkpoint}/reject", rejected)
    key = outside.report(WEBHOOK_TOOL)
    assert outside.approve(outside.story(key)).status_code == 200
    tried = "SELECT key FROM recovery_outsidecall WHERE purpose = 'webhook' AND attempts > 1"
    [[webhook_id]] = until(lambda: product.ask(tried), LOOPS_WITHIN)
    assert outside.told(key, "failed")
    product.receiver.well()
    until(lambda: outside.told(key, "recovery_applied"), LOOPS_WITHIN)
    assert [call["webhook-id"] for call in product.receiver.got] == [webhook_id]


def _is_as_the_table_says(found: dict[Op, Seen], said: Mapping[Op, Outcome]) -> None:
    assert {op.name: each.outcome.word for op, each in found.items()} == {
        op.name: said[op].word for op in REQUESTS
    }
    for op, each in found.items():
        limit = each.outcome.seconds
        assert limit is None or each.seconds < limit + SLACK, f"{op.name}: {each.seconds:.2f} s"


def _nothing_is_left_of(product: Product, found: dict[Op, Seen]) -> None:
    """What was refused has left nothing: no decision, no run, no incident."""
    refused = [each.key for each in found.values() if each.outcome is not Outcome.USUAL]
    [[count]] = product.ask(
        "SELECT (SELECT count(*) FROM policies_decision WHERE arguments ->> 'said' = ANY(%(keys)s))"
        " + (SELECT count(*) FROM governance_run WHERE name = ANY(%(keys)s))"
        " + (SELECT count(*) FROM incidents_incident WHERE source_key = ANY(%(keys)s))",
        keys=refused,
    )
    assert count == 0


def _nothing_is_lost(
    product: Product,
    outside: Trying,
    found: dict[Op, Seen],
    story: Story,
    follower: Follower,
    said: Mapping[Op, Outcome],
) -> None:
    """What was not taken is taken when it is sent again, and counts once; who followed misses nothing."""
    for op, each in found.items():
        if each.outcome is not Outcome.USUAL:
            assert each.again().status_code < 300, op
    if found[Op.INCIDENT].outcome is Outcome.AGAIN:
        found[Op.INCIDENT].again()
        key = found[Op.INCIDENT].key
        counted = product.ask("SELECT 1 FROM incidents_incident WHERE source_key = %s", key)
        assert len(counted) == 1
    if said[Op.STREAM] is Outcome.BROKEN_OFF:
        follower = Follower(product, story.incident)
    until(lambda: follower.heard("checkpoint_approved"), 30)
    start = {"agent_id": "idle", "on": False, "reason": "It was a try."}
    assert outside.post(outside.person, "ops/agent-stop", start).status_code == 200


# --- The table itself


def test_every_fault_can_be_made_and_has_an_answer_for_everything() -> None:
    names = [fault.name for fault in FAULTS]
    assert names == list(TABLE) == list(BREAKS)
    for line in TABLE.values():
        assert list(line) == list(Op)


def test_the_spine_says_yes_or_no_and_never_later() -> None:
    for line in TABLE.values():
        for op, outcome in line.items():
            if op.kind is Kind.SPINE:
                assert outcome in (Outcome.USUAL, Outcome.NO)
            if op.kind is Kind.EVENT:
                assert outcome in (Outcome.USUAL, Outcome.AGAIN)


def test_losing_redis_changes_nothing_but_what_is_followed_live() -> None:
    for name in ("redis_down", "redis_silent", "redis_flushed"):
        changed = {op for op, outcome in TABLE[name].items() if outcome is not Outcome.USUAL}
        assert changed <= {Op.STREAM, Op.READYZ}


def test_the_document_is_current() -> None:
    written = (settings.BASE_DIR / "docs" / "failmodes.md").read_text()
    assert written == page(), "manage.py failmodes --write"


def test_every_member_may_read_it_and_is_told_what_fails(client: Client, acme: Tenant) -> None:
    client.force_login(factories.member(acme, "vera", "viewer"))
    html = client.get("/console/fail-modes").content.decode()
    for each in (*FAULTS, *Op):
        assert escape(each.title) in html
    wrong = readiness.Finding(readiness.Mark.FAILING, "start it")
    readiness.remember({"sweeper": wrong})
    told = client.get("/console/fail-modes/").content.decode()
    assert "the check sweeper fails. start it" in told
