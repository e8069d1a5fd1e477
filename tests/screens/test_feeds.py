"""What an open page is sent: everything once, late ones too, and only what changed."""

from __future__ import annotations

import pytest

from governance.actors import LOOP
from governance.models import LoopEvent, Membership, Tenant, User
from governance.screens import feeds
from governance.screens.streams import message
from governance.story.events import tell

from .stories import loop, question


@pytest.fixture
def member(acme: Tenant, reviewer: User) -> Membership:
    return Membership.objects.select_related("tenant").get(user=reviewer, tenant=acme)


def test_a_story_is_followed_from_where_the_page_was_drawn(member: Membership):
    trace = loop(done=1)
    seen, read = feeds.Seen(feeds.newest_seq()), feeds.story(trace.incident_id)
    read(seen, member)
    tell(trace.id, "prevention", "Stopped it", actor=LOOP)
    fragments = read(seen, member)
    assert "Stopped it" in fragments[0]
    assert any('id="progress"' in each for each in fragments)
    assert read(seen, member) == []


def test_a_browser_that_comes_back_gets_what_it_missed(member: Membership):
    trace = loop(done=3)
    last = feeds.newest_seq()
    for number in range(5):
        tell(trace.id, "waiting", f"missed {number}", actor=LOOP)
    fragments = feeds.story(trace.incident_id)(feeds.Seen(last), member)
    assert all(any(f"missed {number}" in each for each in fragments) for number in range(5))


def test_a_number_that_appears_late_is_not_missed(member: Membership):
    trace = loop(done=1)
    seen, read = feeds.Seen(feeds.newest_seq()), feeds.story(trace.incident_id)
    read(seen, member)
    early = LoopEvent.objects.order_by("seq").first().seq - 1  # type: ignore[union-attr]
    seen.floor = early - 1
    tell(trace.id, "waiting", "came late", actor=LOOP)
    late = trace.events.latest("seq")
    # As a transaction leaves it that took its number first and committed last.
    assert late.seq > early
    seen.after = late.seq + 10
    assert any("came late" in each for each in read(seen, member))


def test_of_a_burst_only_the_newest_are_sent(member: Membership):
    trace = loop()
    seen = feeds.Seen(feeds.newest_seq())
    feeds.dashboard(seen, member)
    for number in range(feeds.MOST_TENANT + 20):
        tell(trace.id, "prevention", f"prevention number {number:03}", actor=LOOP)
    html = "".join(feeds.dashboard(seen, member))
    assert "number 019" not in html
    assert f"number {feeds.MOST_TENANT + 19:03}" in html
    assert "number 019" not in "".join(feeds.dashboard(seen, member))


def test_what_did_not_change_is_not_sent_again(member: Membership):
    trace = loop(done=1)
    question(trace)
    seen = feeds.Seen(0)
    assert any('id="queue"' in each for each in feeds.checkpoints(seen, member))
    tell(trace.id, "waiting", "nothing about the queue", actor=LOOP)
    assert feeds.checkpoints(seen, member) == []


def test_a_filtered_timeline_gets_only_its_type(member: Membership):
    trace = loop()
    seen, read = feeds.Seen(feeds.newest_seq()), feeds.timeline("regret", milestones=False)
    read(seen, member)
    tell(trace.id, "prevention", "not this", actor=LOOP)
    tell(trace.id, "regret", "but this", actor=LOOP)
    html = "".join(read(seen, member))
    assert "but this" in html
    assert "not this" not in html


def test_a_reader_only_gets_what_a_reader_may_do(member: Membership):
    trace = loop(done=1, step="dead", state="dead", error="x")
    question(trace)
    member.role = "viewer"
    html = "".join(
        feeds.checkpoints(feeds.Seen(0), member)
        + feeds.story(trace.incident_id)(feeds.Seen(0), member)
    )
    assert "<form" not in html


def test_fragments_make_one_event_with_the_number_to_go_on_from():
    sent = message(["<li>a\r\nb</li>", "<p>\u2028c</p>"], "7").decode()
    assert sent.startswith("id: 7\nevent: patch\ndata: <li>a\ndata: b</li>\n")
    assert sent.endswith("\n\n")
    assert all(line.startswith(("id: ", "event: ", "data: ")) for line in sent.strip().splitlines())
