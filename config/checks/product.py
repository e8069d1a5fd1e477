"""Checks that what decides is all there: the loop, its hooks, the guard's routes, the language and the policies."""

from __future__ import annotations

import logging
import time
from functools import cache
from importlib import import_module
from typing import Any

from django.conf import settings
from django.urls import Resolver404, resolve

from governance.access.spine import is_spine
from governance.database.tenancy import outside_tenants, tenant_scope
from governance.loop.bridges import bridges as all_bridges
from governance.loop.bridges import decisions
from governance.models import Checkpoint, Stage
from policies.conditions import ConditionError, check_environment, compile_condition
from policies.services import policy_set, ruleset

from .asking import rows, some

log = logging.getLogger("antibody.readiness")

SPINE_ROUTES = ("/api/v1/guard/decisions", "/api/v1/guard/simulate")
RECORDS = {"match", "pattern", "recovery", "policy", "adjustment"}

COMPILING_SECONDS = 2.0
"""How long one look may compile; the rest has its turn in the next. About 17,000 conditions."""


def bridges() -> str | None:
    wanted = [stage.value for stage in Stage if stage != Stage.INCIDENT_CREATED]
    found = [str(stage) for stage in all_bridges()]
    if found != wanted:
        return f"The loop goes {' > '.join(found)}; it must go {' > '.join(wanted)}. See ANTIBODY_LOOP."
    return None


def hooks() -> str | None:
    """What the lower steps are handed by the loop's module is all there, and can be called."""
    loop = import_module(settings.ANTIBODY_LOOP)
    handed: dict[str, dict[Any, Any]] = {
        "DECISIONS": {kind.value: decisions().get(kind) for kind in Checkpoint.Type},
        "RECORDS": {kind: getattr(loop, "RECORDS", {}).get(kind) for kind in sorted(RECORDS)},
        "CAME_OF_PATTERN": dict(enumerate(getattr(loop, "CAME_OF_PATTERN", (None,)))),
        "GRADUATION": {"": getattr(loop, "GRADUATION", None)},
        "REASONS": {"": getattr(loop, "REASONS", None)},
        "TIMELINE_OPENED": {"": getattr(loop, "TIMELINE_OPENED", None)},
    }
    absent = [
        table if name == "" else f"{table}[{name}]"
        for table, found in handed.items()
        for name, hook in found.items()
        if not callable(hook)
    ]
    return f"{settings.ANTIBODY_LOOP} does not hand down {some(absent)}." if absent else None


def spine() -> str | None:
    """The routes that decide whether something may happen are there, and behind the gate that these checks hold."""
    for route in SPINE_ROUTES:
        try:
            view = resolve(route).func
        except Resolver404:
            return f"{route} is not routed. See ROOT_URLCONF."
        if not is_spine(view):
            return (
                f"{route} answers without asking whether the product is ready. See config/urls.py."
            )
    return None


@cache
def conditions() -> None:
    """The language of conditions refuses what it must. Raises; a process has the same engine all its life."""
    check_environment()


def policies() -> str | None:
    """Every policy in force of every tenant compiles; sets that did are not compiled again before they change."""
    latest = time.monotonic() + COMPILING_SECONDS
    current = dict(rows("SELECT tenant_id, revision FROM antibody_policy_sets()"))
    for tenant, revision in current.items():
        if _sound.get(tenant) == revision:
            continue
        if time.monotonic() > latest:
            break
        if broken := _broken(tenant):
            # Which ones is for the operator's log: this text is told to anybody.
            log.error("policies that cannot be compiled: %s", ", ".join(broken))
            return (
                f"{len(broken)} policies in force cannot be compiled; the log names them."
                " Suspend them, or correct their conditions."
            )
        _sound[tenant] = revision
    return None


_sound: dict[str, int] = {}
"""The revision of each tenant's set that compiled."""


def _broken(tenant_id: str) -> list[str]:
    """Policies in force that do not compile, of those that changed since the set was sound. Leaves the set in memory.

    A process that has just started so reads a large set here, and not while an agent waits.
    """
    since = _sound.get(tenant_id, -1)
    try:
        with outside_tenants(), tenant_scope(tenant_id):
            rules = ruleset.current(policy_set.standing()).rules()
    except ruleset.PoliciesUnavailable:
        # The guard denies everything to this tenant, and says so: that is no reason to close it to the others.
        log.exception("the policies of %s cannot be read", tenant_id)
        return []
    return [
        rule.id
        for rule in rules
        if rule.is_active and rule.changed_in > since and not _compiles(rule.source)
    ]


def _compiles(source: str) -> bool:
    try:
        compile_condition(source)
    except ConditionError:
        return False
    return True
