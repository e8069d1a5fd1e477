"""A real server in front of acme, for real clients; what they caused is read back from the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from governance.database.tenancy import leave_tenant, tenant_scope
from governance.models import Tenant
from incidents.models import Incident
from tests import factories
from tests.serving import gunicorn


@dataclass
class Served:
    """Where the product is, and a token of one of its agents."""

    host: str
    tenant: Tenant
    token: str
    base: str = field(init=False)

    def __post_init__(self) -> None:
        self.base = f"http://{self.host}/api/v1/intake"

    @property
    def dsn(self) -> str:
        return f"http://{self.token}@{self.host}/1"

    def incidents(self) -> list[Incident]:
        """Acme's, oldest first, with how often each was reported."""
        with tenant_scope(self.tenant.id):
            return list(Incident.objects.counted().select_related("agent").order_by("id"))


@pytest.fixture
def served(transactional_db: None) -> Iterator[Served]:
    tenant = factories.tenant("acme")
    token = factories.agent_token(tenant, "shop")
    leave_tenant()
    with gunicorn() as (host, port):
        yield Served(f"{host}:{port}", tenant, token)


@pytest.fixture
def only(served: Served) -> Callable[[], Incident]:
    """The one incident that there is."""

    def one() -> Incident:
        [incident] = served.incidents()
        return incident

    return one
