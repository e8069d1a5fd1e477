"""The crawl: seven look around in acme, and nothing of umbra may come back, be changed or be guessed.

Each request is taken back, so that none depends on those before it. It is looked at for

* umbra's canaries and ids, in every byte of headers and body, addresses and cursors decoded;
* rows of umbra that it wrote, which triggers of the crawl's own tell;
* an error of 500;
* and, where it named something of umbra's, any difference to the same request naming what nobody has.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from itertools import islice
from typing import Any

from django.contrib import admin
from django.db import connection, transaction
from django.http import HttpResponseBase
from django.test import Client
from django.urls import reverse

from config.isolation import GLOBAL_MODELS
from governance import readiness
from governance.database.isolation import tenant_models
from governance.models import Membership, Role, Tenant
from governance.screens.admin_base import GlobalAdmin

from .api import api_requests
from .pages import admin_requests, console_requests, followed
from .probes import Form, Probe, Request, Sent
from .words import ids_in, made_up_like, unwrapped, without
from .world import AGENT, ANONYMOUS, SERVER, Side, World

PRINCIPALS = (ANONYMOUS, AGENT, *(role.value for role in Role), SERVER)
"""Nobody; an agent; each role, since each opens more; and who runs the server, whom Django's permissions do not hold."""


@dataclass(frozen=True)
class Finding:
    """Something of umbra's that came through."""

    kind: str
    principal: str
    request: str
    detail: str

    def __str__(self) -> str:
        return f"{self.kind} ({self.principal}): {self.request}\n    {self.detail}"


@dataclass
class Result:
    """What a crawl saw."""

    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    own: set[str] = field(default_factory=set)
    """Canaries of acme that were shown: a crawl that is shown nothing proves nothing."""
    findings: list[Finding] = field(default_factory=list)

    def told(self) -> str:
        kinds = Counter(finding.kind for finding in self.findings)
        return f"{self.requests} requests, {dict(self.statuses)}, {dict(kinds)}\n" + "\n".join(
            map(str, self.findings[:30])
        )


@dataclass(frozen=True)
class Answer:
    """An answer as it is compared."""

    status: int
    text: str
    wrote: str


class Crawl:
    """One crawl of a world by one principal."""

    def __init__(self, world: World, principal: str, result: Result) -> None:
        self.world, self.principal, self.result = world, principal, result
        self.client = _client(world.acme, principal)
        self._cookies = self.client.cookies.output(header="")
        self._of_nobody: dict[tuple[str, str], Answer] = {}
        self._followed = set[str]()
        """Kinds of address that a page led to: most lead to most others, and each is looked at once."""

    def send(self, sent: Iterable[Sent]) -> None:
        """Send all of it and look at the answers."""
        for each in sent:
            self._send(each)

    def follow(self, sent: Iterable[Sent], form: Form) -> None:
        """The same, and then whatever the pages that come back lead to."""
        waiting = deque(sent)
        while waiting:
            answer = self._send(waiting.popleft())
            if (
                answer is not None
                and answer.status == 200
                and "Content-Type: text/html" in answer.text
            ):
                waiting.extend(followed(answer.text, self.world, form, self._followed))

    def _send(self, each: Sent) -> Answer | None:
        if isinstance(each, Probe):
            self._probe(each)
            return None
        answer = self._ask(each)
        self._look(each, answer, sent="")
        return answer

    def _probe(self, probe: Probe) -> None:
        request = probe.make(probe.foreign)
        answer = self._ask(request)
        self._look(request, answer, sent=probe.foreign)
        made_up = made_up_like(probe.foreign)
        key = (request.about, made_up)
        if key not in self._of_nobody:
            self._of_nobody[key] = self._ask(probe.make(made_up))
        nobodys = self._of_nobody[key]
        ours, theirs = _skeleton(answer, probe.foreign), _skeleton(nobodys, made_up)
        if ours != theirs and not self._runs_the_server(request):
            self._find(
                "differs", request, f"{made_up} is answered otherwise: {_difference(ours, theirs)}"
            )

    def _ask(self, request: Request) -> Answer:
        body, kind = request.payload
        stay_ready()
        # Only the sign-in is kept: Django's messages would carry what was asked before into this answer.
        self.client.cookies = SimpleCookie(self._cookies)
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT set_config('crawl.foreign', %s, true)", [self.world.umbra.tenant.id]
                )
            response = self.client.generic(
                request.method, request.address, body, kind, headers=dict(request.headers)
            )
            text = _whole(response)
            with connection.cursor() as cursor:
                cursor.execute("SELECT current_setting('crawl.touched', true)")
                wrote = cursor.fetchone()[0] or ""
            transaction.set_rollback(True)
        self.result.requests += 1
        self.result.statuses[response.status_code] += 1
        return Answer(response.status_code, text, wrote)

    def _look(self, request: Request, answer: Answer, *, sent: str) -> None:
        umbra = self.world.umbra
        text = unwrapped(answer.text)
        if leaked := umbra.words.found_in(text) - {sent} - self._may_see(request):
            self._find("canary", request, ", ".join(sorted(leaked)))
        if leaked := (ids_in(text) & umbra.every_id) - {sent} - self._may_see(request):
            self._find("id", request, ", ".join(sorted(leaked)))
        if answer.wrote and not self._runs_the_server(request):
            self._find("write", request, answer.wrote)
        if answer.status >= 500:
            self._find("error", request, answer.text[-400:])
        self.result.own |= self.world.acme.words.found_in(text)

    def _may_see(self, request: Request) -> set[str]:
        """Names of tenants and people, which who runs the server sees and may change."""
        if self._runs_the_server(request):
            return self.world.umbra.known_outside | {self.world.umbra.tenant.id}
        return set()

    def _runs_the_server(self, request: Request) -> bool:
        """Whether who runs the server asks on a page that is theirs: of a table without a tenant, or its choices."""
        pages = (*(_list_of(page) for page in admin.site._registry.values()), AUTOCOMPLETE)
        theirs = tuple(page for page in pages if page)
        return self.principal == SERVER and request.path.startswith(theirs)

    def _find(self, kind: str, request: Request, detail: str) -> None:
        self.result.findings.append(Finding(kind, self.principal, str(request), detail))


AUTOCOMPLETE = "/admin/autocomplete/"


def _list_of(page: Any) -> str:
    """The address of a page that is for who runs the server, empty for any other."""
    opts = page.model._meta
    is_theirs = isinstance(page, GlobalAdmin) and opts.label in GLOBAL_MODELS
    return reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist") if is_theirs else ""


def _client(side: Side, principal: str) -> Client:
    token = side.tokens.get(principal)
    client = Client(
        raise_request_exception=False, headers={"Authorization": f"Bearer {token}"} if token else {}
    )
    if user := side.people.get(principal):
        client.force_login(user)
    return client


def _whole(response: HttpResponseBase) -> str:
    """Every byte of an answer."""
    body = b"".join(response) if response.streaming else response.content  # type: ignore[attr-defined]
    cookies = [f"Set-Cookie: {morsel.OutputString()}" for morsel in response.cookies.values()]
    head = [f"{name}: {value}" for name, value in response.items()]
    return "\n".join([*head, *cookies, "", body.decode("utf-8", "replace")])


VOLATILE = re.compile(
    r'Set-Cookie: csrftoken=[^\n]*|nonce[-=]["\']?[\w-]+|csrf(?:middleware)?token[^>]{0,30}value="\w+"|csrftoken=\w+|"X-CSRFToken": "\w+"'
    r"|<time [^>]*>[^<]*</time>|\b[a-z]{3,4}_[0-9a-z]{26}\b|\b[0-9a-f]{16,}\b|sessionid=\w+|messages=[^;]*|\d+"
)


def _skeleton(answer: Answer, sent: str) -> tuple[int, str]:
    """What of an answer does not change from one time to the next."""
    text = without(answer.text, sorted({sent, sent.lower()}, key=len))
    return answer.status, VOLATILE.sub("*", text)


def _difference(ours: tuple[int, str], theirs: tuple[int, str]) -> str:
    if ours[0] != theirs[0]:
        return f"{ours[0]} and {theirs[0]}"
    lines = zip(ours[1].splitlines(), theirs[1].splitlines(), strict=False)
    return next(
        (f"{one[:200]!r} and {other[:200]!r}" for one, other in lines if one != other), "length"
    )


# --- Telling writes


@contextmanager
def writes_told(admin: Any) -> Iterator[None]:
    """Triggers on every table with a tenant that note, for the transaction, what was written of the foreign one."""
    tables = [(model._meta.db_table, "tenant_id") for model in tenant_models()]
    tables += [(Membership._meta.db_table, "tenant_id"), (Tenant._meta.db_table, "id")]
    admin.execute(_NOTE)
    for table, column in tables:
        admin.execute(
            f"CREATE TRIGGER crawl_note AFTER INSERT OR UPDATE OR DELETE ON {table}"
            f" FOR EACH ROW EXECUTE FUNCTION crawl_note('{column}')"
        )
    try:
        yield
    finally:
        admin.execute("DROP FUNCTION crawl_note() CASCADE")


_NOTE = """
CREATE FUNCTION crawl_note() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    foreign_tenant text := current_setting('crawl.foreign', true);
BEGIN
    IF foreign_tenant IN (to_jsonb(OLD)->>TG_ARGV[0], to_jsonb(NEW)->>TG_ARGV[0]) THEN
        PERFORM set_config('crawl.touched', concat_ws(', ', nullif(current_setting('crawl.touched', true), ''),
                                                      TG_OP || ' ' || TG_TABLE_NAME), true);
    END IF;
    RETURN NULL;
END $$
"""


# --- The whole


def crawl(
    world: World,
    form: Form,
    surfaces: Iterable[str] = ("api", "admin", "console"),
    *,
    every: int = 1,
) -> Result:
    """Send everything by everybody; in the quick form by the two who get furthest, in turn.

    The others, who get no further than these, then send the first question of each route and page. ``every`` leaves
    out all routes and pages but every so manieth.
    """
    result = Result()
    seven = {name: Crawl(world, name, result) for name in PRINCIPALS}
    for surface in surfaces:
        for number, sent in enumerate(islice(SURFACES[surface](world, form), None, None, every)):
            for name, one in seven.items():
                if not form.is_full and name != FURTHEST[number % len(FURTHEST)]:
                    one.send(sent[:1])
                elif surface == "console":
                    one.follow(sent, form)
                else:
                    one.send(sent)
    return result


def stay_ready() -> None:
    """What was looked at a minute ago is not known any more, and whoever is not ready serves nobody."""
    readiness.remember({"crawl": readiness.Finding(readiness.Mark.OK)})


FURTHEST = (Role.ADMIN.value, SERVER)
SURFACES = {"api": api_requests, "admin": admin_requests, "console": console_requests}
