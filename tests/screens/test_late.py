"""A page that the database does not answer in time says so: 503 and when to come again, and no error of ours."""

from __future__ import annotations

import pytest
from django.test import Client

from governance.access import patience
from tests import factories
from tests.holding import held


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("address", ["/console/policies", "/admin/policies/policy/"])
def test_a_page_that_is_late_says_so_and_can_be_asked_again(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    vera = Client()
    vera.force_login(factories.member(factories.tenant("acme"), "vera", "viewer"))
    with held("policies_policy"), monkeypatch.context() as place:
        place.setattr(patience, "SECONDS", 0.5)
        late = vera.get(address)
    assert (late.status_code, late["Retry-After"]) == (503, "1")
    assert "did not answer in time" in late.content.decode()
    assert vera.get(address).status_code == 200
