"""The suite runs as the product does: on a real PostgreSQL, logged in as the app, under row-level security."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.db.backends.postgresql.operations import DatabaseOperations
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from rest_framework.test import APIClient

from config import secrets
from config.database import administrator, as_owner, prepare
from governance import readiness
from governance.access import limits, patience
from governance.access.limits import allowances
from governance.actors import Actor
from governance.database.fields import AppendOnly
from governance.database.isolation import tenant_models
from governance.database.tenancy import enter_tenant, leave_tenant
from governance.models import Tenant, User

from . import factories

# Two shared cores: a slow example says nothing about the code.
hypothesis_settings.register_profile(
    "suite", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("suite")


def pytest_configure() -> None:
    """What is slow on purpose, or must be fast, is neither in a suite on a busy machine.

    A password's hash: tests make many people and guess no passwords.
    """
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    # Two shared cores, and a disk that others use: a slow answer says nothing about the code. Tests of the deadline set
    # their own.
    settings.SPINE_MILLISECONDS = 60_000
    patience.SECONDS = 60.0
    # Who gives up counting closes the connection, and a test's transaction goes with it.
    limits.WAIT_SECONDS = 10.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: one that begins last has a single worker at work for minutes."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Start the database before anybody asks for it."""
    prepare(os.environ, settings.DATA_DIR)


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest, django_db_modify_db_settings: None
) -> Iterator[None]:
    """Make and migrate the test database as its owner; everything after that runs as the app."""
    from django.test.utils import setup_databases, teardown_databases

    blocker = request.getfixturevalue("django_db_blocker")
    with blocker.unblock(), as_owner():
        made = setup_databases(verbosity=0, interactive=False)
    DatabaseOperations.execute_sql_flush = _emptied  # type: ignore[assignment,method-assign]
    yield
    with blocker.unblock(), as_owner():
        teardown_databases(made, verbosity=0)


def _emptied(self: DatabaseOperations, sql_list: list[str]) -> None:
    """Empty the tables that hold something, as the administrator: evidence refuses anybody else.

    Django would truncate them all, each with its indexes in new files: seconds after each test that
    commits, where deleting a few rows takes milliseconds.
    """
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    guarded = {model._meta.db_table for model in tenant_models() if issubclass(model, AppendOnly)}
    login = administrator(os.environ, settings.DATA_DIR)
    with psycopg.connect(**login.dsn(connection.settings_dict["NAME"])) as inside:
        # As truncating would: what the test before left running in a thread or a process ends first.
        inside.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
        # What refers to what does not matter where all of it goes.
        inside.execute("SET session_replication_role = replica")
        holding = " UNION ALL ".join(
            f"SELECT '{table}' WHERE EXISTS (SELECT FROM {table})" for table in tables
        )
        for (table,) in inside.execute(holding).fetchall():
            if table in guarded:
                inside.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
            inside.execute(f"DELETE FROM {table}")
            if table in guarded:
                inside.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only")


@pytest.fixture(autouse=True)
def _ready() -> None:
    """The product is ready, whatever the test before left behind; tests of the checks ask them."""
    readiness.remember({"suite": readiness.Finding(readiness.Mark.OK)})


@pytest.fixture(autouse=True)
def nobody_has_asked_yet() -> None:
    """What this process remembers of callers of another test is nobody's."""
    allowances.forget()


@pytest.fixture(scope="module", autouse=True)
def _secrets_of_no_other_module() -> Iterator[None]:
    """What was given out of a folder that is gone afterwards is no secret that the next module misses."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "_given", dict(secrets.given()))
        yield


@pytest.fixture
def acme(db: None) -> Iterator[Tenant]:
    """The tenant of the story, in scope for the whole test."""
    tenant = factories.tenant("acme")
    enter_tenant(tenant.id)
    yield tenant
    leave_tenant()


@pytest.fixture
def umbra(db: None) -> Tenant:
    """The outsider, who must see nothing."""
    return factories.tenant("umbra")


@pytest.fixture
def reviewer(acme: Tenant) -> User:
    """A person who may decide acme's checkpoints."""
    return factories.member(acme, "rita", "reviewer")


@pytest.fixture
def rita(reviewer: User) -> Actor:
    """The reviewer as an actor."""
    return Actor("user", str(reviewer.pk), "rita")


@pytest.fixture
def api() -> Callable[..., APIClient]:
    """``api(token)``: a client of the API that carries a token."""

    def client(token: str | None = None, **options: Any) -> APIClient:
        made = APIClient(**options)
        made.default_format = "json"
        if token:
            made.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        return made

    return client
