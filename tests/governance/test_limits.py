"""How often somebody may ask: the truth is PostgreSQL's, whatever a process remembers, and fair between tenants."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection, connections
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from governance import tenants
from governance.access import limits
from governance.access.addresses import address_of, grouped, is_trusted
from governance.access.limits import Allowances, Caller, Limit
from governance.access.wire import networks
from governance.actors import COMMAND
from governance.database.tenancy import tenant_scope
from governance.models import Allowance, LedgerEntry, Tenant
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)
Api = Callable[..., APIClient]
FEW = Limit("address", 20)


def passes(allowances: Allowances, caller: Caller, times: int) -> int:
    """How many of so many requests were let through."""
    return sum(not allowances.spend([caller])[0].wait for _ in range(times))


def test_a_quota_holds_for_all_processes_together() -> None:
    caller = Caller(FEW, "10.0.0.1")
    assert sum(passes(Allowances(), caller, 1) for _ in range(30)) == 20


def test_threads_of_many_processes_spend_exactly_what_was_granted() -> None:
    caller, quota = Caller(Limit("address", 1_000), "10.0.0.2"), 1_000
    processes = [Allowances() for _ in range(4)]

    def ask(number: int) -> int:
        try:
            return passes(processes[number % 4], caller, 150)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        let_through = sum(pool.map(ask, range(8)))
    # Never more; what may be missing is one portion, a hundredth, of each process. Some flowed back meanwhile.
    assert quota - 4 * 10 <= let_through <= quota + 100


def test_what_redis_forgets_and_a_restart_forgets_is_remembered() -> None:
    caller = Caller(FEW, "10.0.0.3")
    assert passes(Allowances(), caller, 20) == 20
    # A new process remembers nothing, and there is no Redis here at all.
    assert passes(Allowances(), caller, 5) == 0
    assert Allowance.objects.filter(key="address:10.0.0.3").exists()


def test_who_is_refused_is_told_how_long_and_gets_in_again_then() -> None:
    caller = Caller(FEW, "10.0.0.4")
    allowances = Allowances()
    passes(allowances, caller, 20)
    [account] = allowances.spend([caller])
    assert 0 < account.wait <= 3.0  # twenty a minute is one in three seconds
    with connection.cursor() as cursor:  # four seconds go by
        cursor.execute("UPDATE governance_allowance SET due = due - interval '4 seconds'")
    assert passes(Allowances(), caller, 5) == 1


def test_a_refusal_is_remembered_without_asking_again() -> None:
    caller, allowances = Caller(FEW, "10.0.0.5"), Allowances()
    passes(allowances, caller, 21)
    with CaptureQueriesContext(connection) as asked:
        assert passes(allowances, caller, 100) == 0
    assert len(asked) == 0


def test_a_portion_is_spent_without_a_query() -> None:
    caller, allowances = Caller(Limit("token", 30_000), "x"), Allowances()
    with CaptureQueriesContext(connection) as asked:
        assert passes(allowances, caller, 200) == 200
    assert len(asked) == 1


def test_several_buckets_are_one_trip() -> None:
    callers = [Caller(limits.ADDRESS, "a"), Caller(limits.TOKEN, "b"), Caller(limits.TENANT, "c")]
    with CaptureQueriesContext(connection) as asked:
        Allowances().spend(callers)
    assert len(asked) == 1


def test_where_the_database_is_away_nobody_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "PORT", "1")
    connection.close()
    allowances = Allowances()
    assert passes(allowances, Caller(FEW, "10.0.0.6"), 30) == 30


def test_the_lock_of_a_bucket_is_waited_for_no_longer_than_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "WAIT_SECONDS", 0.1)
    caller = Caller(FEW, "10.0.0.7")
    passes(Allowances(), caller, 1)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        from django.db import transaction

        with transaction.atomic():
            Allowance.objects.select_for_update().get(pk="address:10.0.0.7")
            held.set()
            done.wait(20)
        connections.close_all()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(20)
    [account] = Allowances().spend([caller])
    done.set()
    holder.join()
    assert account.wait == 0


# --- Over HTTP


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few requests a minute, by every limit but the one that a test is about."""
    from governance.access import counting

    monkeypatch.setattr(counting, "FAILED", Limit("failed", 5))


def few(tenant: Tenant, **quotas: int) -> None:
    tenants.change_limits(tenant, actor=COMMAND, reason="a test", **quotas)


def test_a_hot_tenant_is_refused_and_another_is_not(api: Api) -> None:
    acme, umbra = factories.tenant("acme"), factories.tenant("umbra")
    few(acme, requests_per_minute=10)
    hot = [api(factories.agent_token(acme, name)) for name in ("scout", "beagle")]
    calm = api(factories.agent_token(umbra))
    statuses = [hot[n % 2].get("/api/v1/agents").status_code for n in range(30)]
    assert 9 <= statuses.count(200) <= 13
    assert statuses[-1] == 429
    assert calm.get("/api/v1/agents").status_code == 200


def test_a_token_is_refused_and_another_of_its_tenant_is_not(api: Api) -> None:
    acme = factories.tenant("acme")
    few(acme, token_requests_per_minute=5)
    scout, beagle = (api(factories.agent_token(acme, name)) for name in ("scout", "beagle"))
    statuses = [scout.get("/api/v1/agents").status_code for _ in range(12)]
    assert statuses[-1] == 429
    assert beagle.get("/api/v1/agents").status_code == 200


def test_a_refusal_is_a_problem_with_a_time_and_every_answer_tells_how_one_stands(api: Api) -> None:
    acme = factories.tenant("acme")
    few(acme, requests_per_minute=3)
    scout = api(factories.agent_token(acme))
    first = scout.get("/api/v1/agents")
    assert re.fullmatch(
        r'"address";q=60000;w=60, "token";q=30000;w=60, "tenant";q=3;w=60',
        first.headers["RateLimit-Policy"],
    )
    assert re.fullmatch(
        r'"address";r=\d+;t=\d+, "token";r=\d+;t=\d+, "tenant";r=2;t=20', first.headers["RateLimit"]
    )
    last = [scout.get("/api/v1/agents") for _ in range(3)][-1]
    assert last.status_code == 429
    assert last.headers["Content-Type"] == "application/problem+json"
    told = last.json()
    assert (told["code"], told["limit"], told["violated-policies"]) == (
        "too_many_requests",
        3,
        ["tenant"],
    )
    assert 1 <= int(last.headers["Retry-After"]) <= 60


def test_streams_are_counted_too(api: Api) -> None:
    acme = factories.tenant("acme")
    few(acme, requests_per_minute=2)
    token = factories.agent_token(acme)
    statuses = [
        api(token).get("/api/v1/integration/loop/inc_x/stream").status_code for _ in range(6)
    ]
    assert statuses[:2] == [404, 404]
    assert statuses[-1] == 429


def test_whoever_guesses_tokens_is_soon_refused_and_his_neighbour_is_not(
    api: Api, tight: None
) -> None:
    acme = factories.tenant("acme")
    good = api(factories.agent_token(acme))
    statuses = [api(f"abt_{n:043}").get("/api/v1/agents").status_code for n in range(20)]
    assert statuses[:5] == [401] * 5
    assert set(statuses[6:]) == {429}
    assert good.get("/api/v1/agents").status_code == 200
    # Of all these tokens only the good one has a bucket.
    assert Allowance.objects.filter(key__startswith="token:").count() == 1


def test_the_sign_in_page_is_counted_by_address(monkeypatch: pytest.MonkeyPatch) -> None:
    from governance.access import counting

    monkeypatch.setattr(counting, "ADDRESS", Limit("address", 5))
    statuses = [Client().get("/admin/login/").status_code for _ in range(8)]
    assert (statuses[0], statuses[-1]) == (200, 429)
    assert Client().get("/livez").status_code == 200


def test_a_quota_is_changed_by_a_verb_that_the_ledger_tells_of() -> None:
    acme = factories.tenant("acme")
    few(acme, requests_per_minute=7)
    acme.refresh_from_db()
    assert acme.requests_per_minute == 7
    with tenant_scope(acme.id):
        assert LedgerEntry.objects.filter(kind="limits.changed").count() == 1
    for wrong in (0, -1, 10_000_001):
        with pytest.raises(Exception, match="requests_per_minute"):
            few(acme, requests_per_minute=wrong)


# --- Addresses


@pytest.fixture
def proxies(settings: Any) -> Iterator[None]:
    settings.TRUSTED_PROXIES = networks(["10.0.0.0/8", "127.0.0.1"])
    is_trusted.cache_clear()
    yield
    is_trusted.cache_clear()


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("203.0.113.7", "1.2.3.4", "203.0.113.7"),  # a stranger says what he likes
        ("10.1.1.1", "1.2.3.4", "1.2.3.4"),
        (
            "10.1.1.1",
            "6.6.6.6, 1.2.3.4, 10.2.2.2",
            "1.2.3.4",
        ),  # what came before it was said by 1.2.3.4
        ("10.1.1.1", "", "10.1.1.1"),
        ("10.1.1.1", "nonsense", "10.1.1.1"),
        ("10.1.1.1", "1.2.3.4, " + "x" * 9_000, "10.1.1.1"),
        ("10.1.1.1", "10.9.9.9", "10.1.1.1"),
        ("127.0.0.1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("10.1.1.1", "::ffff:1.2.3.4", "1.2.3.4"),
    ],
)
def test_only_a_trusted_proxy_says_for_whom_it_asks(
    proxies: None, peer: str, forwarded: str, found: str
) -> None:
    request = RequestFactory().get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=forwarded)
    assert address_of(request) == found


def test_without_trusted_proxies_nobody_is_believed() -> None:
    request = RequestFactory().get("/", REMOTE_ADDR="127.0.0.1", HTTP_X_FORWARDED_FOR="1.2.3.4")
    assert address_of(request) == "127.0.0.1"
    assert grouped("") == "unknown"


@pytest.mark.parametrize("value", ["everybody", "10.0.0.0/33", "0.0.0.0/0", "::/0", "10.0.0.1/8"])
def test_a_proxy_that_cannot_be_one_stops_the_start(value: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import config.settings"],
        cwd=django_settings.BASE_DIR,
        env={"PATH": "/usr/bin:/bin", "TRUSTED_PROXIES": value, "SECRET_KEY": "x" * 50},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "TRUSTED_PROXIES" in done.stderr
