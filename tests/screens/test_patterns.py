"""The console's pages of patterns: the list, one pattern, a catalogue as a file, and why a match is one."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.models import Pattern, PatternMatch
from catalog.services import match_incidents, rename
from governance.actors import COMMAND, Actor
from governance.database.tenancy import tenant_scope
from governance.loop.run import run_ready
from governance.models import LedgerEntry, Tenant
from incidents import services as incidents
from policies.models import Policy
from tests import factories
from tests.catalog.test_match import failure, failures
from tests.policies import living

from .conftest import Visit

PATTERNS = "/console/patterns"
HOSTILE = "<script>alert(1)</script> </svg><img src=x onerror=alert(2)>"


def html_of(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def known(*messages: str, **details: Any) -> Pattern:
    """The pattern of these failures, the first of which opens it."""
    matches = match_incidents(failures(list(messages), **details))
    return next(iter(matches.values())).pattern


def names(html: str) -> list[str]:
    return re.findall(r'<th scope="row"><a href="/console/patterns/\w+"><bdi>([^<]*)', html)


# --- The list


def test_an_empty_tenant_is_told_what_opens_a_pattern(visit: Visit) -> None:
    assert "No kind of failure is known yet." in html_of(visit(), PATTERNS)
    assert "import a catalogue" in html_of(visit("reviewer", "paul"), f"{PATTERNS}/")


def test_the_list_is_sorted_by_what_was_seen_last_or_most(acme: Tenant, visit: Visit) -> None:
    known("often_1 x", "often_2 x", "often_3 x", tool="a")
    known("the lamp is away", tool="b")
    match_incidents(failures(["the card is declined"], tool="c"))
    client = visit()
    last = names(html_of(client, PATTERNS))
    assert [name.split(" in ")[1][0] for name in last] == ["c", "b", "a"]
    most = names(html_of(client, f"{PATTERNS}?sort=occurrences"))
    assert [name.split(" in ")[1][0] for name in most] == ["a", "c", "b"]


@pytest.mark.parametrize("sort", ["seen", "occurrences"])
def test_pages_follow_each_other_and_leave_nobody_out(
    acme: Tenant, visit: Visit, sort: str
) -> None:
    for number in range(33):
        known(*[f"word of {chr(97 + number % 26)}{number // 26} x"] * (1 + number % 2), tool=f"t{number}")  # fmt: skip
    client = visit()
    first = html_of(client, f"{PATTERNS}?sort={sort}")
    more = re.search(r'href="([^"]*)" rel="next"', first)
    assert more is not None
    second = html_of(client, more[1].replace("&amp;", "&"))
    assert len(names(first)) == 30
    assert len(set(names(first) + names(second))) == 33
    assert 'rel="next"' not in second


@pytest.mark.parametrize("before", ["x", "~", "9~pat_x", "999999999999~x", "%00~%00", "1~", "é~é"])
@pytest.mark.parametrize("sort", ["seen", "occurrences", "nothing"])
def test_a_made_up_cursor_is_no_error(acme: Tenant, visit: Visit, before: str, sort: str) -> None:
    known("a lamp is away")
    answer = visit().get(f"{PATTERNS}?sort={sort}&before={before}")
    assert answer.status_code in (200, 400)


def test_filters_are_in_the_address(acme: Tenant, visit: Visit) -> None:
    known("the lamp is away", tool="shelf")
    known("the card is declined", tool="pay", error_type="Declined")
    client = visit()
    for query in ("tool=pay", "error_type=Declined", "q=CARD", "q=card&tool=pay"):
        assert len(names(html_of(client, f"{PATTERNS}?{query}"))) == 1, query
    assert "No pattern fits." in html_of(client, f"{PATTERNS}?tool=nothing")
    fragment = client.get(f"{PATTERNS}?q=card", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in fragment
    assert len(names(fragment)) == 1


def test_an_imported_pattern_is_listed_though_it_never_occurred(acme: Tenant, visit: Visit) -> None:
    living.pattern()
    known("the lamp is away")
    assert len(names(html_of(visit(), PATTERNS))) == 2


@pytest.mark.parametrize("page", ["", "/one"])
def test_the_number_of_queries_does_not_grow(acme: Tenant, visit: Visit, page: str) -> None:
    pattern = known("column custmer_id_1 is not there", tool="t0")
    client = visit()

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            html_of(client, f"{PATTERNS}/{pattern.id}" if page else PATTERNS)
        return len(captured)

    with tenant_scope(acme.id):
        known("column custmer_id_2 is not there", tool="t0")
        known("column custmer_id_2 is missing there", tool="t0")
    queries()
    few = queries()
    with tenant_scope(acme.id):
        for number in range(9):
            known(f"column custmer_id_{number} is not there", tool="t0")
            known(f"column custmer_id_2 is {'ab'[number % 2]}way there", tool=f"t{number}")
    assert queries() <= few


# --- One pattern


def test_a_pattern_is_on_one_page(acme: Tenant, rita: Actor, visit: Visit) -> None:
    pattern = known("no flight HAT101 for root", "no flight HAT122 for root", tool="book")
    known("no hotel HAT122 for root", tool="book")
    html = html_of(visit(), f"{PATTERNS}/{pattern.id}")
    assert '<mark class="slot" title="an identifier">&lt;id&gt;</mark>' in html
    assert html.count("<rect") == 1
    assert ": 2</title>" in html
    assert "scout" in html
    assert "opened it" in html
    assert "words that agree" in html
    assert re.search(r"Similar patterns.*no hotel &lt;id&gt;", html, re.DOTALL)
    assert "No recovery and no policy yet." in html
    assert "came back" not in html
    assert 'name="name"' not in html  # a viewer corrects nothing


def test_recoveries_and_policies_that_came_of_it_are_told(
    acme: Tenant, rita: Actor, visit: Visit
) -> None:
    pattern = living.pattern()
    living.step(pattern)
    policy = living.active(pattern, rita)
    html = html_of(visit(), f"{PATTERNS}/{pattern.id}")
    came = html.partition('id="came"')[2].partition("</section>")[0]
    assert f"/console/policies/{policy.id}" in came
    assert "policy: active" in came
    assert "recovery: applied" in came
    assert "Look at the schema first" in came


def test_that_it_came_back_is_said_with_how_long_it_was_away(
    acme: Tenant, rita: Actor, visit: Visit
) -> None:
    first = failure("the lamp 1234 is away")
    match_incidents([first])
    incidents.resolve(first, actor=rita, reason="It is here.")
    pattern = known("the lamp 4321 is away")
    client = visit()
    html = html_of(client, f"{PATTERNS}/{pattern.id}")
    assert "Was resolved, came back." in html
    assert 'class="back"' in html
    assert "after its latest incident had been resolved" in html


def test_a_known_signature_is_explained_with_the_nearest_other(acme: Tenant, visit: Visit) -> None:
    known("session opened for user root", tool="sshd")
    other = known("session closed for user root", tool="sshd")
    again = known("session closed for user root", tool="sshd")
    assert again == other
    html = html_of(visit(), f"{PATTERNS}/{other.id}")
    assert "Its signature is equal to one that was decided before." in html
    assert "nearest that was known" in html
    assert re.search(r"nearest that was known.*session opened for user", html, re.DOTALL)


def test_a_made_up_pattern_and_umbras_are_not_there(
    acme: Tenant, umbra: Tenant, visit: Visit
) -> None:
    pattern = known("the lamp of acme is away")
    client = visit("admin", "olaf", umbra)
    assert client.get(f"{PATTERNS}/{pattern.id}").status_code == 404
    assert client.get(f"{PATTERNS}/pat_nobody").status_code == 404
    assert client.post(f"{PATTERNS}/{pattern.id}/rename", {"name": "Mine"}).status_code == 404
    assert "lamp" not in html_of(client, PATTERNS)
    assert b"lamp" not in exported(client)


def test_hostile_text_is_shown_and_never_run(acme: Tenant, visit: Visit) -> None:
    pattern = known(HOSTILE, HOSTILE, tool=HOSTILE[:200], error_type=HOSTILE[:200])
    rename(pattern, HOSTILE, actor=COMMAND)
    known(f"{HOSTILE} and more", tool=HOSTILE[:200], error_type=HOSTILE[:200])
    client = visit("reviewer", "paul")
    for page in ("", "/import", f"/{pattern.id}", "?sort=occurrences&tool=<script>alert(1)"):
        html = html_of(client, f"{PATTERNS}{page}")
        assert "<script>alert" not in html, page
        assert "<img src=x" not in html


def test_pages_keep_to_a_strict_content_policy_and_work_without_htmx(
    acme: Tenant, visit: Visit
) -> None:
    pattern = known("the lamp 1234 is away", "the lamp 4321 is away")
    client = visit("reviewer", "paul")
    for page in ("", "/import", f"/{pattern.id}"):
        answer = client.get(f"{PATTERNS}{page}")
        html = answer.content.decode()
        assert "unsafe" not in answer["Content-Security-Policy"]
        assert not re.search(r"\son\w+=|\sstyle=|javascript:|<style", html)
        for tag in re.findall(r"<[^>]*hx-(?:get|post)=[^>]*>", html):
            assert re.search(r"\s(href|action)=", tag), tag


def test_secrets_in_what_agents_sent_are_masked(acme: Tenant, visit: Visit) -> None:
    secret = "sk-live-0123456789abcdef"
    pattern = known(f"key {secret} was refused", f"key {secret} was refused", tool="pay")
    Pattern.objects.update(template=f"key {secret} was refused", name=f"key {secret}")
    client = visit("reviewer", "paul")
    for page in ("", f"/{pattern.id}"):
        html = html_of(client, f"{PATTERNS}{page}")
        assert secret not in html
        assert "[secret]" in html


def test_a_reviewer_renames_it_and_a_viewer_may_not(acme: Tenant, visit: Visit) -> None:
    pattern = known("the lamp is away")
    paul = visit("reviewer", "paul")
    address = f"{PATTERNS}/{pattern.id}"
    assert paul.post(f"{address}/rename", {"name": "Lamps"})["Location"] == address
    assert "Lamps" in html_of(paul, address)
    for name in ("", "x" * 301, "a\nb\x07"):
        assert paul.post(f"{address}/rename", {"name": name}).status_code == 400
    assert visit("viewer", "vera").post(f"{address}/rename", {"name": "x"}).status_code == 403
    with tenant_scope(acme.id):
        assert LedgerEntry.objects.filter(kind="pattern.renamed").count() == 1


# --- A catalogue as a file


def file_of(content: bytes) -> dict[str, Any]:
    return {"file": SimpleUploadedFile("catalog.json", content, "application/json")}


def exported(client: Client) -> bytes:
    answer = client.get(f"{PATTERNS}/export")
    assert answer["Content-Disposition"] == 'attachment; filename="catalog.json"'
    body: bytes = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    return body


def test_a_file_is_looked_at_and_then_taken_over(acme: Tenant, umbra: Tenant, visit: Visit) -> None:
    known("the lamp is away")
    file = exported(visit())
    olaf = visit("reviewer", "olaf", umbra)
    seen = olaf.post(f"{PATTERNS}/import", file_of(file)).content.decode()
    assert "What it would bring" in seen
    [shown] = re.findall(r'name="shown" value="(\w{64})"', seen)
    with tenant_scope(umbra.id):
        assert not Pattern.objects.exists()
    without = olaf.post(f"{PATTERNS}/import", {**file_of(file), "shown": shown})
    assert without.status_code == 400
    assert "Say why." in without.content.decode()
    assert shown in without.content.decode()  # only the answer is missing
    said = {"shown": shown, "reason": "They failed before us."}
    fragment = olaf.post(
        f"{PATTERNS}/import", {**file_of(file), **said}, headers={"HX-Request": "true"}
    ).content.decode()
    assert "Taken over" in fragment
    assert "<html" not in fragment
    again = olaf.post(f"{PATTERNS}/import", file_of(file)).content.decode()
    assert "Nothing to do" in again
    with tenant_scope(umbra.id):
        assert Pattern.objects.get().signatures.get().incident is None
        entry = LedgerEntry.objects.get(kind="catalog.imported")
        assert entry.actor.startswith("user:")
    assert "None yet: the pattern was imported." in html_of(
        olaf, f"{PATTERNS}/{re.findall(r'pat_[0-9a-z]{26}', html_of(olaf, PATTERNS))[0]}"
    )


def test_another_file_than_the_one_shown_is_not_taken(acme: Tenant, visit: Visit) -> None:
    paul = visit("reviewer", "paul")
    empty = exported(paul)
    said = {"shown": "0" * 64, "reason": "why"}
    answer = paul.post(f"{PATTERNS}/import", {**file_of(empty), **said})
    assert answer.status_code == 409
    assert "not what was shown" in answer.content.decode()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[]", "catalog: must be an object"),
        (b"[" * 40, "nested deeper"),
        (json.dumps({"content": {}, "format": "x", "hash": "", "version": 1}).encode(), "format"),
        (b'{"a": NaN}', "NaN"),
    ],
)
def test_what_is_no_catalogue_is_refused_in_words(
    acme: Tenant, visit: Visit, content: bytes, says: str
) -> None:
    answer = visit("reviewer", "paul").post(f"{PATTERNS}/import", file_of(content))
    assert answer.status_code == 400
    assert says in answer.content.decode()


def test_without_a_file_it_is_asked_for_and_a_viewer_may_not(acme: Tenant, visit: Visit) -> None:
    answer = visit("reviewer", "paul").post(f"{PATTERNS}/import", {"reason": "x"})
    assert (answer.status_code, "choose the file" in answer.content.decode()) == (400, True)
    viewer = visit("viewer", "vera")
    assert viewer.get(f"{PATTERNS}/import").status_code == 403
    assert viewer.post(f"{PATTERNS}/import", file_of(b"{}")).status_code == 403
    assert "Import…" not in html_of(viewer, PATTERNS)


# --- In the story


@pytest.mark.django_db(transaction=True)
def test_the_story_tells_why_the_incident_is_of_its_kind(acme: Tenant, visit: Visit) -> None:
    waiting = visit()
    with tenant_scope(acme.id):
        trace = factories.report("no such column: custmer_id_7").trace
    assert '<section id="reasons" class="card" hidden>' in html_of(
        waiting, f"/console/stories/{trace.incident_id}"
    )
    run_ready()
    with tenant_scope(acme.id):
        second = factories.report("no such column: custmer_id_9").trace
    run_ready()
    html = html_of(waiting, f"/console/stories/{second.incident_id}")
    told = html.partition('id="reasons"')[2].partition("</section>")[0]
    assert "Why this kind of failure" in told
    assert "no such column" in told
    assert "equal to one that was decided before" in told
    with tenant_scope(acme.id):
        match = PatternMatch.objects.latest("id")
        assert not Policy.objects.filter(pattern=match.pattern, state="active").exists()
    assert f"{PATTERNS}/{match.pattern_id}" in told
