"""The console in a real Chromium, from a real ASGI server: what is live is live, and nothing breaks the page."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which
from typing import Any

import pytest
import uvicorn
from django.core.handlers.asgi import ASGIHandler
from django.db import connections
from django.test import Client
from playwright.sync_api import Browser, Page, expect, sync_playwright
from servestatic import ServeStaticASGI

from catalog import services as catalog
from catalog.services import match_incidents
from config.statics import with_static
from governance.actors import LOOP, Actor
from governance.database.tenancy import tenant_scope
from governance.models import Checkpoint, LoopTrace, Settings, Tenant
from governance.modes import bypassing
from governance.story import live
from governance.story.events import tell

from .. import factories
from ..catalog.test_match import failures
from .stories import loop, question

CHROMIUM = which("chromium") or which("chromium-browser")
VISIBLE_MS = 300
HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)> \u202eevil\u202c مرحبا بالعالم 🧪🦠 "
    + "W" * 160
)
PAGES = ["", "incidents", "timeline", "checkpoints", "coverage", "operations", "switches"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright keeps a loop running in this thread, which Django takes for asynchronous code.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@pytest.fixture
def site(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The site's address, served by uvicorn in a thread, with the live channel on its loop as ``serve`` has it."""
    # Each request has a thread of its own here, and there is no pool to give its connection back to.
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            with_static(ServeStaticASGI, ASGIHandler()),
            lifespan="off",
            log_level="warning",
            timeout_graceful_shutdown=1,
        )
    )

    async def serve() -> None:
        live.use_loop(asyncio.get_running_loop())
        await server.serve(sockets=[listener])

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    live.use_loop(None)
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def tenant(transactional_db: None) -> Tenant:
    return factories.tenant("acme")


@pytest.fixture
def open_page(chromium: Browser, site: str, tenant: Tenant) -> Iterator[Open]:
    """``open_page(path)``: a page of a signed-in reviewer; what the browser complains about fails the test."""
    complaints: list[str] = []
    client = Client()
    client.force_login(factories.member(tenant, "rita", "operator"))
    contexts = []

    def open_it(path: str = "", **looks: Any) -> Page:
        context = chromium.new_context(**looks)
        contexts.append(context)
        context.add_cookies(
            [{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": site}]
        )
        page = context.new_page()
        page.on(
            "console", lambda said: complaints.append(said.text) if said.type == "error" else None
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"a dialog: {dialog.message}"))
        page.goto(f"{site}/console/{path}")
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert complaints == []


def is_live(page: Page) -> None:
    expect(page.locator("#live")).to_have_text("live")


def test_what_is_committed_is_visible_within_300_ms(open_page: Open, tenant: Tenant):
    with tenant_scope(tenant.id):
        trace = loop(done=1)
    page = open_page(f"stories/{trace.incident_id}")
    is_live(page)
    page.evaluate(
        """() => { window.seen = {}; new MutationObserver(() => {
             for (const each of document.querySelectorAll('#events .event p:first-child'))
               window.seen[each.textContent] ??= performance.timeOrigin + performance.now();
           }).observe(document.getElementById('events'), {childList: true}); }"""
    )
    took = []
    for number in range(20):
        headline = f"event {number}"
        with tenant_scope(tenant.id):
            tell(trace.id, "prevention", headline, actor=LOOP)
        committed = time.time() * 1000
        expect(page.get_by_text(headline, exact=True)).to_be_visible()
        took.append(page.evaluate("name => window.seen[name]", headline) - committed)
    assert sorted(took)[18] < VISIBLE_MS, took


def test_a_new_loop_appears_on_the_dashboard_and_moves_along(open_page: Open, tenant: Tenant):
    page = open_page()
    is_live(page)
    with tenant_scope(tenant.id):
        trace = loop("a failure seen live")
    page.wait_for_selector("text=a failure seen live")
    with tenant_scope(tenant.id):
        LoopTrace.objects.filter(pk=trace.pk).update(stage="pattern_matched", state="waiting")
        tell(trace.id, "pattern_matched", "Recognised", actor=LOOP, stage="pattern_matched")
    page.wait_for_selector(f"#{trace.id} .badge:text('waiting')")
    assert page.locator(f"#{trace.id}").count() == 1
    assert page.locator(f"#{trace.id} .s-done").count() == 2


def test_a_tab_that_was_hidden_catches_up(open_page: Open, tenant: Tenant):
    with tenant_scope(tenant.id):
        trace = loop(done=1)
    page = open_page("timeline")
    is_live(page)
    turn = "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true}); document.dispatchEvent(new Event('visibilitychange')); }"
    page.evaluate(turn, True)
    with tenant_scope(tenant.id):
        tell(trace.id, "prevention", "while nobody looked", actor=LOOP)
    page.evaluate(turn, False)
    page.wait_for_selector("text=while nobody looked")
    assert page.locator("text=while nobody looked").count() == 1


def test_a_checkpoint_is_approved_and_another_rejected_by_keyboard(open_page: Open, tenant: Tenant):
    with tenant_scope(tenant.id):
        first = question(loop("one", done=1), "the first", tool="a")
        second = question(loop("two", done=1), "the second", tool="b")
    page = open_page("checkpoints")
    page.keyboard.press("j")
    page.keyboard.press("a")
    page.wait_for_selector(f"#{first.id}.decided")
    page.keyboard.press("j")
    page.keyboard.press("r")
    page.keyboard.type("because")
    page.locator(f"#{second.id} [data-reject]").click()
    page.wait_for_selector(f"#{second.id}.decided")
    assert page.locator(".decided").count() == 2
    with tenant_scope(tenant.id):
        states = dict(Checkpoint.objects.values_list("title", "state"))
        reason = Checkpoint.objects.get(pk=second.id).reason
    assert states == {"the first": "approved", "the second": "rejected"}
    assert reason == "because"


def test_what_somebody_types_survives_a_live_update(open_page: Open, tenant: Tenant):
    with tenant_scope(tenant.id):
        asked = question(loop("one", done=1), "the first")
    page = open_page("checkpoints")
    is_live(page)
    page.locator(f"#{asked.id} input[name=reason]").fill("half a sen")
    with tenant_scope(tenant.id):
        other = question(loop("two", done=1), "the second", tool="another")
        tell(other.trace_id, "waiting", "waits", actor=LOOP)
    expect(page.locator("#badge")).to_have_text("2")
    assert page.locator(f"#{asked.id} input[name=reason]").input_value() == "half a sen"
    page.locator("h1").click()
    expect(page.locator("[data-question]")).to_have_count(2)
    assert page.locator(f"#{asked.id} input[name=reason]").input_value() == "half a sen"


@pytest.mark.parametrize("looks", ["light", "dark", "phone"])
def test_hostile_text_neither_runs_nor_breaks_the_page(
    open_page: Open, tenant: Tenant, tmp_path: Path, looks: str
):
    with tenant_scope(tenant.id):
        trace = loop(
            HOSTILE, done=1, step="dead", state="dead", error=HOSTILE, incident={"tool": "T" * 120}
        )
        question(trace, HOSTILE[:300], text=HOSTILE * 3, nested={HOSTILE: [HOSTILE]})
        tell(trace.id, "prevention", HOSTILE, actor=LOOP, details={"reason": HOSTILE})
    sizes = {"viewport": {"width": 390, "height": 844}} if looks == "phone" else {}
    page = open_page(color_scheme="dark" if looks == "dark" else "light", **sizes)
    for path in (*PAGES, f"stories/{trace.incident_id}"):
        page.goto(page.url.split("/console/")[0] + f"/console/{path}")
        page.screenshot(path=tmp_path / f"{looks}-{path.replace('/', '-') or 'dashboard'}.png")
        wide, window = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= window, path


def test_the_chosen_theme_is_kept(open_page: Open):
    page = open_page(color_scheme="light")
    page.click("[data-theme-toggle]")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark


def test_filters_work_without_a_reload_and_stay_in_the_address(open_page: Open, tenant: Tenant):
    with tenant_scope(tenant.id):
        loop("the dead one", done=1, step="dead", state="dead")
        loop("the running one", done=1)
    page = open_page("incidents")
    page.evaluate("window.stayed = true")
    page.select_option("[name=state]", "dead")
    expect(page.get_by_text("the running one")).to_have_count(0)
    assert "state=dead" in page.url
    assert page.evaluate("window.stayed")


@pytest.mark.parametrize("path", ["", "timeline", "operations", "switches"])
def test_a_bypass_is_loud_on_every_open_page_until_it_ends(
    open_page: Open, tenant: Tenant, path: str
):
    page = open_page(path)
    is_live(page)
    banner = page.get_by_role("alert").filter(has_text="Not governed")
    expect(banner).to_have_count(0)
    with tenant_scope(tenant.id):
        asked = bypassing.ask(minutes=5, actor=Actor("user", "1"), reason="wrong about all")
        bypassing.confirm(asked, actor=Actor("user", "2"))
    bypassing.tend()
    expect(banner).to_be_visible()
    expect(banner).to_be_in_viewport()
    expect(page.locator("#state .word")).to_have_text("DEGRADED")
    with tenant_scope(tenant.id):
        bypassing.finish(asked, actor=Actor("user", "1"), reason="over")
    expect(banner).to_have_count(0)
    expect(page.locator("#state .word")).to_have_text("READY")


def test_all_agents_are_stopped_by_keyboard_and_every_page_says_so(open_page: Open, tenant: Tenant):
    page, other = open_page("operations"), open_page("incidents")
    is_live(other)
    page.locator("#agent-stop input[name=reason]").first.focus()
    page.keyboard.type("A leak")
    page.keyboard.press("Enter")
    expect(page.get_by_text("all stopped")).to_be_visible()
    expect(other.locator("#state")).to_contain_text("All agents are stopped")
    with tenant_scope(tenant.id):
        assert Settings.objects.get().stopped_reason == "A leak"


def test_a_catalogue_is_looked_at_and_taken_over_with_the_file_chosen_once(
    open_page: Open, tenant: Tenant, tmp_path: Path
) -> None:
    other = factories.tenant("umbra")
    with tenant_scope(other.id):
        match_incidents(failures(["the lamp 1234 is away", "the card is declined"]))
        with (tmp_path / "catalog.json").open("wb") as file:
            catalog.export(file.write)
    page = open_page("patterns/import")
    page.set_input_files("#file", tmp_path / "catalog.json")
    page.get_by_role("button", name="Look at it").click()
    expect(page.get_by_role("heading", name="What it would bring")).to_be_visible()
    page.fill("#reason", "They failed before us.")
    page.get_by_role("button", name="Take it over").click()
    expect(page.get_by_role("heading", name="Taken over")).to_be_visible()
    page.get_by_role("link", name="To the patterns").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_role("link", name="the lamp").click()
    expect(page.locator("mark.slot")).to_have_text("<num>")
