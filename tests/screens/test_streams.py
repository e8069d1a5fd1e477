"""Who may follow what, and for how long."""

from __future__ import annotations

import pytest
from django.contrib.auth import logout
from django.http import HttpRequest
from django.test import Client

from governance.access.middleware import SESSION_KEY
from governance.database.tenancy import tenant_scope
from governance.models import Membership, Tenant, User
from governance.screens.streams import still_in

from .. import factories
from .stories import loop

STREAMS = ["streams/dashboard", "streams/timeline", "stories/inc_x/stream"]
# A stream reads in threads of its own, so nothing of these tests may hang in an open transaction.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def tenant(transactional_db: None) -> Tenant:
    return factories.tenant("acme")


@pytest.fixture
def vera(tenant: Tenant) -> User:
    return factories.member(tenant, "vera", "viewer")


@pytest.fixture
def visitor(vera: User) -> HttpRequest:
    """A request of a page that vera has open."""
    client = Client()
    client.force_login(vera)
    request = HttpRequest()
    request.session, request.user = client.session, vera
    return request


@pytest.mark.parametrize("stream", STREAMS)
def test_a_stranger_may_follow_nothing(transactional_db: None, stream: str):
    assert Client().get(f"/console/{stream}").status_code == 403


def test_another_tenants_story_cannot_be_followed(vera: User):
    with tenant_scope(factories.tenant("umbra").id):
        trace = loop("the secret of umbra")
    client = Client()
    client.force_login(vera)
    assert client.get(f"/console/stories/{trace.incident_id}/stream").status_code == 404


def test_an_open_page_is_followed_while_its_session_lives(visitor: HttpRequest, vera: User):
    membership = Membership.objects.get(user=vera)
    assert still_in(visitor, membership)
    logout(visitor)
    assert not still_in(visitor, membership)


def test_who_left_the_tenant_or_was_closed_follows_no_longer(visitor: HttpRequest, vera: User):
    membership = Membership.objects.get(user=vera)
    User.objects.filter(pk=vera.pk).update(is_active=False)
    assert not still_in(visitor, membership)
    User.objects.filter(pk=vera.pk).update(is_active=True)
    assert still_in(visitor, membership)
    Membership.objects.filter(user=vera).delete()
    assert not still_in(visitor, membership)


def test_who_went_on_to_another_tenant_does_not_follow_the_first(visitor: HttpRequest, vera: User):
    membership = Membership.objects.get(user=vera)
    visitor.session[SESSION_KEY] = "ten_another"
    visitor.session.save()
    assert not still_in(visitor, membership)
