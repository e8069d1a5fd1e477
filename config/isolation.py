"""The isolation registry: everything that could show one tenant another's rows is known, and known to be held.

Nearly all of it is derived: a model from ``TenantModel``, an API route from ``ApiView`` (the token says which tenant),
a page from ``@page`` (the session does), an admin page from ``RecordAdmin``. What is none of these is an exception, and
listed here with its reason; ``manage.py check`` fails for what is neither. What the database holds of its own
(functions that look across tenants) is listed in ``governance/database/unwanted.py`` and asked for there.

``tests/isolation`` crawls what this module derives, so that what is new is crawled without anybody adding it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.core.checks import CheckMessage, Error
from django.core.management import get_commands
from django.urls import URLPattern, URLResolver, get_resolver
from django.views.generic import RedirectView

from governance.access.views import ApiView
from governance.database.fields import TenantModel
from governance.screens.admin_base import GlobalAdmin, RecordAdmin

OURS = ("governance", "incidents", "catalog", "recovery", "policies", "routing", "config")

# Tables without a tenant: why, and who may see what of them.
GLOBAL_MODELS = {
    "governance.User": "A person may belong to several tenants. Members see the names of whoever acted in their"
    " tenant; only who runs the server sees all.",
    "governance.User_groups": "Django's; roles are memberships, so it stays empty.",
    "governance.User_user_permissions": "Django's; roles are memberships, so it stays empty.",
    "governance.Tenant": "It is what the others belong to. Members see their own names; who runs the server, all.",
    "governance.Membership": "It says which tenant a person may enter, so it is read before one is entered. An admin"
    " of a tenant sees that tenant's; who runs the server and belongs to no tenant, all.",
    "governance.Heartbeat": "That a process of the server lives; nothing of a tenant is in it.",
    "governance.LedgerMark": "Where who numbers every tenant's entries goes on: one number. Nobody is shown it.",
    "governance.GlobalSwitch": "Set by who runs the server, for every tenant; everybody sees its state and reason.",
    "governance.ServerMode": "Set by who runs the server, for every tenant; everybody sees its state and reason.",
    "governance.Allowance": "Counted before it is known whose a request is; only digests, ids and addresses, shown to who runs the server.",
    "governance.SignIn": "People sign in before a tenant is entered; only who runs the server sees the attempts.",
    "admin.LogEntry": "Django's; written only where global records are edited, read back only by who wrote it.",
    "auth.Group": "Django's; not in the admin, and stays empty.",
    "auth.Group_permissions": "Django's; stays empty.",
    "auth.Permission": "Django's names of permissions: the same everywhere.",
    "contenttypes.ContentType": "Django's names of models: the same everywhere.",
    "sessions.Session": "Found by its random key alone, before it is known whose it is; nobody lists them.",
    "django_celery_beat.ClockedSchedule": "The server's clock; only who runs the server sees it.",
    "django_celery_beat.CrontabSchedule": "The server's clock; only who runs the server sees it.",
    "django_celery_beat.IntervalSchedule": "The server's clock; only who runs the server sees it.",
    "django_celery_beat.PeriodicTask": "The server's clock; only who runs the server sees it.",
    "django_celery_beat.PeriodicTasks": "When the clock was last changed.",
    "django_celery_beat.SolarSchedule": "The server's clock; only who runs the server sees it.",
}
# Admin pages of tables without a tenant that do not come from GlobalAdmin.
GLOBAL_ADMINS = {
    "governance.Membership": "Filters to the tenant in scope by itself; who belongs to none and runs the server sees all.",
    "django_celery_beat.ClockedSchedule": "Django's permissions: nobody but a superuser has any.",
    "django_celery_beat.CrontabSchedule": "Django's permissions: nobody but a superuser has any.",
    "django_celery_beat.IntervalSchedule": "Django's permissions: nobody but a superuser has any.",
    "django_celery_beat.PeriodicTask": "Django's permissions: nobody but a superuser has any.",
    "django_celery_beat.SolarSchedule": "Django's permissions: nobody but a superuser has any.",
}
# Routes that are neither of the API nor pages, by name (or address, where they have none).
OTHER_ROUTES = {
    "schema": "describes the API; reads no row",
    "docs": "describes the API; reads no row",
    "livez": "says that the process answers; reads no row",
    "readyz": "says which checks fail; asks the catalog, and no tenant's table",
    "metrics": "figures of the process",
    "admin:index": "lists pages; Django's recent actions are the person's own",
    "admin:app_list": "lists pages",
    "admin:search": "searches the names of pages",
    "sign-in": "before anybody is known",
    "admin:login": "before anybody is known; hidden behind sign-in",
    "admin:logout": "ends a session",
    "admin:password_change": "the person's own",
    "admin:password_change_done": "a text",
    "admin:autocomplete": "asks the admin page of the model, and its permissions",
    "admin:jsi18n": "translations",
    "admin:view_on_site": "finds a record by its scoped manager",
    "admin/(?P<url>.*)$": "nothing is there",
}
# Views that answer for longer than their request's transaction, and so enter the tenant themselves.
STREAMS = {
    "loop-stream": "the token's tenant, entered anew for every look; the token is asked again while it is open",
    "console:story_stream": "the tenant of the membership that the page was opened with; asked again while it is open",
    "console:stream": "the tenant of the membership that the page was opened with; asked again while it is open",
}
# Management commands, and whose rows they touch.
COMMANDS = {
    "backup": "an administrator's: the whole database",
    "bench": "a database of its own",
    "conditions": "reads no row: what conditions may ask, from the code",
    "catalog": "the tenant that --tenant names",
    "create_token": "the tenant that --tenant names",
    "learn": "a database of its own",
    "match": "a tenant of its own making",
    "graduation": "the tenant that --tenant names, or the only one",
    "failmodes": "reads no row: what becomes of what when something fails, from the table",
    "policy": "the tenant that --tenant names; lint and test read files and no row",
    "preflight": "compiles the policies of every tenant, each in its own scope; tells how many are broken",
    "score": "reads no row: a file through a catalogue in memory",
    "roles": "reads no row: who may do what, from the matrix",
    "replay": "an outside client: what its token may",
    "restore": "an administrator's: the whole database",
    "serve": "makes a tenant; then the web, worker and sweeper",
    "sign_ledger": "no rows: it signs what it is given",
    "export_ledger": "the tenant that --tenant names",
    "rewind_ledger": "the tenant that --tenant names",
    "verify_ledger": "every tenant in its own scope, or the one that --tenant names",
    "sweep": "every step in its own tenant's scope",
    "torture": "a database of its own",
}


@dataclass(frozen=True, slots=True)
class Route:
    """One address that Django's resolver knows."""

    address: str
    name: str
    view: Any

    @property
    def is_stream(self) -> bool:
        return inspect.iscoroutinefunction(self.view)

    @property
    def cls(self) -> Any:
        """The class of a class-based view, None for a function."""
        return getattr(self.view, "cls", None) or getattr(self.view, "view_class", None)

    @property
    def model_admin(self) -> Any:
        """The admin page that the route belongs to, None where it belongs to none."""
        return _bound_to(self.view)


def routes() -> list[Route]:
    """Every address of the site."""
    return list(_routes(get_resolver().url_patterns, "", ""))


def _routes(patterns: list[Any], address: str, namespace: str) -> Iterator[Route]:
    for entry in patterns:
        here = address + str(entry.pattern)
        if isinstance(entry, URLResolver):
            inner = f"{entry.namespace}:" if entry.namespace else namespace
            yield from _routes(entry.url_patterns, here, inner)
        elif isinstance(entry, URLPattern):
            yield Route(here, f"{namespace}{entry.name}" if entry.name else here, entry.callback)


def _bound_to(view: Any) -> Any:
    """The ModelAdmin among what a view was wrapped around."""
    while view is not None:
        owner = getattr(view, "model_admin", None) or getattr(view, "__self__", None)
        if isinstance(owner, admin.ModelAdmin):
            return owner
        view = view.func if isinstance(view, partial) else getattr(view, "__wrapped__", None)
    return None


def is_known(route: Route) -> bool:
    """Whether the route is held to a tenant by what it is made from, or listed."""
    if route.is_stream:
        return route.name in STREAMS
    if route.model_admin is not None:
        return True  # what its page may be made from is asked of the page
    if route.cls is not None and issubclass(route.cls, ApiView | RedirectView):
        return True
    return hasattr(route.view, "right") or route.name in OTHER_ROUTES


def everything_is_known(**_: Any) -> list[CheckMessage]:
    """antibody.E101 to E105: a model, an admin page, a route, a stream or a command that nobody vouched for."""
    return [*_models(), *_admins(), *_views(), *_commands()]


def _error(what: str, number: int, hint: str) -> CheckMessage:
    return Error(what, hint=f"{hint} See config/isolation.py.", id=f"antibody.E{number}")


def _models() -> Iterator[CheckMessage]:
    for model in apps.get_models(include_auto_created=True):
        label = model._meta.label
        if not issubclass(model, TenantModel) and label not in GLOBAL_MODELS:
            yield _error(
                f"{label} belongs to no tenant.",
                101,
                "Derive it from TenantModel, or say in GLOBAL_MODELS why, and who may see it.",
            )


def _admins() -> Iterator[CheckMessage]:
    for model, page in admin.site._registry.items():  # noqa: SLF001 - the site has no other list
        wanted = RecordAdmin if issubclass(model, TenantModel) else GlobalAdmin
        if not isinstance(page, wanted) and model._meta.label not in GLOBAL_ADMINS:
            yield _error(
                f"The admin page of {model._meta.label} is no {wanted.__name__}.",
                102,
                "Derive it, or say in GLOBAL_ADMINS what holds it.",
            )


def _views() -> Iterator[CheckMessage]:
    for route in routes():
        if not is_known(route):
            place = "STREAMS" if route.is_stream else "OTHER_ROUTES"
            yield _error(
                f"Nobody knows which tenant {route.name} ({route.address}) answers for.",
                104 if route.is_stream else 103,
                f"Make it an ApiView or a @page, or say in {place} what holds it.",
            )


def _commands() -> Iterator[CheckMessage]:
    for name, app in get_commands().items():
        if app in OURS and name not in COMMANDS:
            yield _error(
                f"Nobody knows whose rows the command {name} touches.", 105, "Say so in COMMANDS."
            )
