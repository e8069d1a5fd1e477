"""The console's pages: who may open them, what they show, what they cost."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from governance.database.tenancy import tenant_scope
from governance.models import LoopTrace, Tenant, User

from .conftest import Visit, client_of
from .stories import loop, question

PAGES = ["", "incidents", "timeline", "checkpoints", "coverage", "operations", "switches"]
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)> \u202e مرحبا 🧪 " + "A" * 90


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_viewer_may_open_every_page_with_and_without_a_slash(visit: Visit, page: str, slash: str):
    loop(done=2)
    address = f"/console/{page}{slash if page else ''}"
    assert visit().get(address).status_code == 200


@pytest.mark.parametrize("page", [*PAGES, "stories/inc_x"])
def test_a_stranger_is_sent_to_sign_in(db: None, page: str):
    response = Client().get(f"/console/{page}")
    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login/?next=/console/")


def test_who_belongs_to_no_tenant_is_told_so(db: None):
    nobody = User.objects.create_user("nobody", password="nobody" * 3)
    response = client_of(nobody).get("/console/")
    assert response.status_code == 403
    assert "You belong to no tenant" in response.content.decode()


@pytest.mark.parametrize(
    ("door", "room"), [("/", "/console/"), ("/console", "/console/"), ("/admin", "/admin/")]
)
def test_every_door_leads_inside(db: None, door: str, room: str):
    assert Client().get(door)["Location"] == room


def test_an_empty_tenant_is_told_how_to_connect_an_agent(visit: Visit):
    client = visit()
    for page in ("", "incidents"):
        assert "create_token --tenant acme" in client.get(f"/console/{page}").content.decode()


def test_an_outsider_sees_nothing_on_any_page(visit: Visit, umbra: Tenant):
    trace = loop("the secret of acme", done=1)
    asked = question(trace, "the question of acme")
    client = visit("admin", "olaf", umbra)
    for page in PAGES:
        assert "of acme" not in client.get(f"/console/{page}").content.decode()
    assert client.get(f"/console/stories/{trace.incident_id}").status_code == 404
    assert client.get(f"/console/checkpoints/{asked.id}").status_code == 404
    assert (
        client.post(
            f"/console/checkpoints/{asked.id}/approve", {"digest": asked.digest}
        ).status_code
        == 404
    )
    assert (
        client.post(f"/console/stories/{trace.incident_id}/revert", {"reason": "x"}).status_code
        == 404
    )


def test_hostile_text_is_shown_and_never_run(visit: Visit):
    trace = loop(HOSTILE, done=1, step="dead", state="dead", error=HOSTILE)
    question(trace, HOSTILE[:300], text=HOSTILE, nested={HOSTILE: [HOSTILE]})
    client = visit("reviewer")
    for page in (*PAGES, f"stories/{trace.incident_id}"):
        html = client.get(f"/console/{page}").content.decode()
        assert "<script>alert" not in html
        assert "<img src=x" not in html


@pytest.mark.parametrize("page", PAGES)
def test_pages_keep_to_a_strict_content_policy(visit: Visit, page: str):
    loop(done=3)
    response = visit("admin").get(f"/console/{page}")
    policy, html = response["Content-Security-Policy"], response.content.decode()
    assert "unsafe" not in policy
    assert re.search(r"script-src 'self' 'nonce-[\w-]{20,}'", policy)
    assert not re.search(r"\son\w+=|\sstyle=|javascript:|<style", html)
    assert all("nonce=" in script for script in re.findall(r"<script[^>]*>", html))


def test_every_hx_get_also_has_an_address(visit: Visit):
    loop(done=3)
    client = visit("admin")
    for page in PAGES:
        for tag in re.findall(
            r"<[^>]*hx-get=[^>]*>", client.get(f"/console/{page}").content.decode()
        ):
            assert re.search(r"\s(href|action)=", tag), tag


@pytest.mark.parametrize("page", PAGES)
def test_the_number_of_queries_does_not_grow_with_the_rows(visit: Visit, acme: Tenant, page: str):
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(f"/console/{page}").status_code == 200
        return len(captured)

    def more(count: int) -> None:
        with tenant_scope(acme.id):
            for number in range(count):
                question(loop(f"failure {count} {number}", done=2), f"question {count} {number}")

    client = visit("admin")
    more(2)
    few = queries()
    more(8)
    assert queries() <= few


def test_the_list_of_incidents_is_filtered_by_its_address(visit: Visit):
    loop("the dead one", done=1, step="dead", state="dead")
    loop(
        "the waiting one",
        done=2,
        step="waiting",
        state="waiting",
        failure_state="policy_shadow_mode",
    )
    client = visit()

    def shown(query: str) -> set[str]:
        return set(
            re.findall(r"the \w+ one", client.get(f"/console/incidents?{query}").content.decode())
        )

    assert shown("") == {"the dead one", "the waiting one"}
    assert shown("state=dead") == {"the dead one"}
    assert shown("failure_state=policy_shadow_mode") == {"the waiting one"}
    assert shown("stage=pattern_matched") == {"the dead one"}
    assert shown("q=WAITING") == {"the waiting one"}
    assert shown("q=WAITING&state=dead") == set()
    assert shown("state=no-such-state") == {"the dead one", "the waiting one"}


def test_a_long_list_goes_on_where_the_page_ended(visit: Visit):
    for number in range(35):
        loop(f"failure number {number:02}")
    client = visit()
    first = client.get("/console/incidents").content.decode()
    following = re.search(r'href="(\?before=[^"]+)" rel="next"', first)
    assert following
    second = client.get(f"/console/incidents{following[1]}").content.decode()
    numbers = [set(re.findall(r"failure number (\d\d)", html)) for html in (first, second)]
    assert len(numbers[0]) == 30
    assert len(numbers[1]) == 5
    assert not numbers[0] & numbers[1]


@pytest.mark.parametrize(
    "query", ["before=%ff", "q=%ff", "before=x&type=%ED%A0%80", "stage=%F0%9F%92%A5"]
)
@pytest.mark.parametrize("page", ["incidents", "timeline", "checkpoints"])
def test_nonsense_in_an_address_is_no_error(visit: Visit, page: str, query: str):
    assert visit().get(f"/console/{page}?{query}").status_code == 200


def test_the_dashboard_says_what_is_off_and_why(visit: Visit, acme: Tenant):
    client = visit("operator")
    client.post("/console/switches/policy_generated/off", {"reason": "a bad draft"})
    html = client.get("/console/").content.decode()
    assert "DEGRADED" in html
    assert "a bad draft" in html


def test_the_timeline_can_be_narrowed_to_milestones(visit: Visit):
    loop(done=2)
    html = visit().get("/console/timeline?milestones=1").content.decode()
    assert "OperationalError" in html
    assert "pattern_matched has come true" not in html


def test_a_loop_of_every_state_has_a_rail(visit: Visit):
    for state in LoopTrace.State.values:
        for done in range(6):
            loop(done=done, state=state)
    assert visit().get("/console/incidents").status_code == 200
