"""Signing in: longer waits for whoever fails, never a lock-out for whoever belongs here, and one answer for all."""

from __future__ import annotations

import re
import threading
from datetime import timedelta

import pytest
from django.db import connections
from django.db.models import F
from django.test import Client

from governance.access import sessions
from governance.models import SignIn, User
from governance.signing_in import ACCOUNT, ADDRESS, HERE, Patience
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)
GOOD, BAD = "vera" * 10, "wrong"


@pytest.fixture(autouse=True)
def vera(transactional_db: None) -> User:
    return factories.member(factories.tenant("acme"), "vera", "viewer")


def sign_in(name: str = "vera", password: str = BAD, *, at: str = "10.0.0.1"):
    return Client().post("/admin/login/", {"username": name, "password": password}, REMOTE_ADDR=at)


def fail(times: int, name: str = "vera", *, at: str = "10.0.0.1") -> None:
    """Attempts that failed just now, as the page records them, however long one would have had to wait for them."""
    from governance.signing_in import digest_of

    SignIn.objects.bulk_create(
        SignIn(account=digest_of(name), address=at, user=User.objects.filter(username=name).first())
        for _ in range(times)
    )


def later(**span: int) -> None:
    SignIn.objects.update(at=F("at") - timedelta(**span))


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 0), (4, 0), (5, 1), (6, 2), (9, 16), (14, 512), (15, 900), (99, 900)],
)
def test_the_wait_doubles_up_to_a_limit(failures: int, seconds: int) -> None:
    assert Patience(free=5, most_seconds=900).wait(failures) == seconds


def test_who_signs_in_gets_in_under_a_new_session() -> None:
    client = Client()
    client.get("/admin/login/")
    answer = client.post("/admin/login/?next=/console/", {"username": "vera", "password": GOOD})
    assert answer.status_code == 302
    assert answer.cookies["sessionid"]["httponly"]
    assert SignIn.objects.get().succeeded


def test_after_five_failures_one_waits_and_is_told_how_long() -> None:
    for _ in range(HERE.free):
        assert sign_in().status_code == 200
    held = sign_in(password=GOOD)
    assert held.status_code == 429
    assert int(held["Retry-After"]) >= 1
    assert re.search(r"Too many attempts\. Wait \d+ s", held.content.decode())
    later(seconds=2)
    assert sign_in(password=GOOD).status_code == 302


def test_whoever_is_held_back_is_not_recorded_so_the_wait_ends() -> None:
    fail(10)
    before = SignIn.objects.count()
    for _ in range(5):
        assert sign_in().status_code == 429
    assert SignIn.objects.count() == before


def test_a_stranger_cannot_lock_anybody_out() -> None:
    sign_in(password=GOOD, at="10.0.0.1")
    for number in range(200):
        fail(1, at=f"203.0.113.{number % 100}")
    # At home, where she has signed in before, nothing of it matters.
    assert sign_in(password=GOOD, at="10.0.0.1").status_code == 302
    fail(200, at="203.0.113.7")
    # Elsewhere she waits for half a minute at most, however long the stranger goes on.
    held = sign_in(password=GOOD, at="10.9.9.9")
    assert held.status_code == 429
    assert int(held["Retry-After"]) <= ACCOUNT.most_seconds
    later(seconds=ACCOUNT.most_seconds + 1)
    assert sign_in(password=GOOD, at="10.9.9.9").status_code == 302


def test_an_address_that_tries_many_accounts_waits_whichever_it_tries() -> None:
    for number in range(ADDRESS.free):
        fail(1, name=f"somebody{number}", at="203.0.113.9")
    assert sign_in("vera", GOOD, at="203.0.113.9").status_code == 429
    assert sign_in("vera", GOOD, at="10.0.0.1").status_code == 302


def test_an_account_of_ones_own_does_not_clear_ones_address() -> None:
    factories.member(factories.tenant("acme"), "mallory", "viewer")
    for number in range(ADDRESS.free - 1):
        fail(1, name=f"somebody{number}", at="203.0.113.9")
    assert sign_in("mallory", "mallory" * 10, at="203.0.113.9").status_code == 302
    fail(1, name="one more", at="203.0.113.9")
    assert sign_in("vera", at="203.0.113.9").status_code == 429


@pytest.mark.parametrize("kind", ["unknown", "closed", "no staff", "wrong"])
def test_the_answer_does_not_tell_whether_the_account_exists(vera: User, kind: str) -> None:
    def without_secrets(page: str) -> str:
        plain = re.sub(r'(value|nonce)="[^"]*"', "", page)
        return re.sub(r'name="username"[^>]*', "", plain)

    reference = without_secrets(sign_in("nobody-at-all", at="10.0.0.8").content.decode())
    name, password = "vera", GOOD
    if kind == "closed":
        User.objects.filter(pk=vera.pk).update(is_active=False)
    elif kind == "no staff":
        User.objects.filter(pk=vera.pk).update(is_staff=False)
    elif kind == "unknown":
        name = "somebody-else"
    else:
        password = BAD
    assert without_secrets(sign_in(name, password, at="10.0.0.9").content.decode()) == reference
    fail(20, name, at="10.0.0.9")
    fail(20, "nobody-at-all", at="10.0.0.7")
    held = [
        sign_in(each, password, at=at)
        for each, at in ((name, "10.0.0.9"), ("nobody-at-all", "10.0.0.7"))
    ]
    assert [each.status_code for each in held] == [429, 429]


def test_many_at_once_are_as_many_to_the_count() -> None:
    statuses: list[int] = []

    def guess() -> None:
        statuses.append(sign_in().status_code)
        connections.close_all()

    guessers = [threading.Thread(target=guess) for _ in range(12)]
    for each in guessers:
        each.start()
    for each in guessers:
        each.join()
    assert statuses.count(200) == HERE.free
    assert statuses.count(429) == 12 - HERE.free


def test_what_was_typed_as_a_name_is_not_kept() -> None:
    sign_in("my secret password", BAD)
    kept = str(list(SignIn.objects.values()))
    assert "secret" not in kept
    assert SignIn.objects.get().user is None


# --- Sessions


@pytest.mark.parametrize(
    ("mark", "seconds"), [(sessions.SEEN, sessions.IDLE_SECONDS), (sessions.BEGAN, 43_200)]
)
def test_a_session_ends_when_it_is_left_alone_or_too_old(
    vera: User, mark: str, seconds: int
) -> None:
    client = Client()
    client.force_login(vera)
    assert client.get("/console/").status_code == 200
    session = client.session
    session[mark] = session[mark] - seconds + 60
    session.save()
    assert client.get("/console/").status_code == 200
    session = client.session
    session[sessions.BEGAN if mark == sessions.BEGAN else sessions.SEEN] -= seconds
    session.save()
    assert client.get("/console/").status_code == 302


def test_an_open_stream_keeps_nobody_signed_in(vera: User) -> None:
    client = Client()
    client.force_login(vera)
    client.get("/console/")
    session = client.session
    session[sessions.SEEN] -= 1_000
    session.save()
    client.get("/console/streams/loops")
    assert client.session[sessions.SEEN] == session[sessions.SEEN]
    client.get("/console/")
    assert client.session[sessions.SEEN] > session[sessions.SEEN]
