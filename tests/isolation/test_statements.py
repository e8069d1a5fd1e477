"""Every statement about a tenant's rows asks for the tenant itself, those that are written by hand too.

Seen on the way of whole stories, of a crawl and of every Celery task: whatever names a table with a tenant carries
``IN_SCOPE`` among its parameters, or is one of the few below. And whoever opens a cursor is known, so that new SQL is
looked at.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from config.celery import app
from config.isolation import OURS
from governance.database.isolation import tenant_models
from governance.database.scoped import IN_SCOPE
from governance.database.tenancy import current_tenant
from governance.loop import queue

from . import world
from .crawl import crawl
from .probes import QUICK
from .world import World

pytestmark = pytest.mark.slow

TABLES = "|".join(
    sorted((model._meta.db_table for model in tenant_models()), key=len, reverse=True)
)
READS = re.compile(rf'\b(?:FROM|JOIN|UPDATE|ONLY)\s+"?(?:{TABLES})\b')

# Statements that say whose rows they mean in another way.
OTHERWISE = {
    queue._FINISH: "each row is joined by the tenant that the claim named",
}
# Modules that write SQL by hand, and why it cannot cross tenants where it names no IN_SCOPE.
WRITTEN_BY_HAND = {
    "catalog/services/recognition.py": "IN_SCOPE",
    "catalog/services/renewal.py": "IN_SCOPE",
    "config/checks/asking.py": "the catalog and settings of the server",
    "config/learning/playing.py": "analyses the tables, as the owner",
    "governance/access/limits.py": "a table without a tenant",
    "governance/access/requests.py": "inserts a row of the tenant in scope",
    "governance/database/base.py": "says which tenant",
    "governance/database/compiled.py": "what the ORM wrote, IN_SCOPE among it",
    "governance/database/inserts.py": "inserts rows that say their tenant",
    "governance/database/isolation.py": "the catalog; DDL, as the owner",
    "governance/database/unwanted.py": "the catalog",
    "governance/heartbeats.py": "a table without a tenant",
    "governance/ledger/entries.py": "inserts rows of the tenant in scope",
    "governance/ledger/erasure.py": "a function that is listed",
    "governance/ledger/leaves.py": "IN_SCOPE",
    "governance/ledger/sequencer.py": "functions that are listed",
    "governance/ledger/snapshots.py": "the tenant that it enters",
    "governance/loop/queue.py": "IN_SCOPE, functions that are listed, and the two above",
    "governance/modes/bypassing.py": "a function that is listed",
    "governance/modes/product.py": "IN_SCOPE",
    "governance/signing_in.py": "a lock",
    "governance/story/stats.py": "IN_SCOPE",
    "governance/tokens.py": "a function that is listed",
    "incidents/services/repeats.py": "IN_SCOPE",
    "policies/services/drafting.py": "a lock of ids, which are nobody else's",
    "policies/services/history.py": "IN_SCOPE",
    "policies/services/policy_set.py": "IN_SCOPE",
    "policies/services/ruleset.py": "IN_SCOPE",
    "recovery/services/directives.py": "IN_SCOPE",
    "recovery/services/grounds.py": "IN_SCOPE",
    "routing/bridge.py": "IN_SCOPE",
    "routing/services/guardrails.py": "a lock of the tenant in scope",
}
BY_HAND = {"cursor", "raw", "extra", "RawSQL"}


@pytest.fixture
def unasked() -> Iterator[set[str]]:
    """Statements that named a tenant's table and not the tenant."""
    seen: set[str] = set()

    def watch(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        said = params.values() if isinstance(params, dict) else params or ()
        asks = any(each is IN_SCOPE for each in said) and current_tenant() is not None
        if READS.search(sql) and not asks and not sql.lstrip().startswith("INSERT"):
            seen.add(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        yield seen


def test_a_whole_story_and_a_crawl_ask_for_the_tenant(both: World, unasked: set[str]) -> None:
    world.side("thirdq")
    crawl(both, QUICK, every=5)
    assert unasked <= OTHERWISE.keys(), "\n\n".join(unasked - OTHERWISE.keys())


def tasks() -> list[str]:
    """The names of our Celery tasks; they are all there once the app has imported what its settings name."""
    app.loader.import_default_modules()
    return sorted(name for name in app.tasks if not name.startswith("celery."))


@pytest.mark.parametrize("name", tasks())
def test_a_task_enters_the_scope_of_whoever_it_works_for(
    both: World, unasked: set[str], name: str
) -> None:
    """Each is sent without arguments, as the clock sends it. One that needs some is tested where it is made."""
    app.tasks[name]()
    assert unasked <= OTHERWISE.keys(), "\n\n".join(unasked - OTHERWISE.keys())


def test_whoever_writes_sql_by_hand_is_known() -> None:
    root = Path(settings.BASE_DIR)
    found = {
        str(file.relative_to(root))
        for package in OURS
        for file in (root / package).rglob("*.py")
        if not {"migrations", "bench", "torture"} & set(file.relative_to(root).parts)
        and _writes_by_hand(file)
    }
    assert sorted(found) == sorted(WRITTEN_BY_HAND)


def _writes_by_hand(file: Path) -> bool:
    calls = (
        node.func for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)
    )
    return any(
        (isinstance(call, ast.Attribute) and call.attr in BY_HAND)
        or (isinstance(call, ast.Name) and call.id in BY_HAND)
        for call in calls
    )
