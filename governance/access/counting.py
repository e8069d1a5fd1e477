"""Every request is counted, by its address before anything is looked up, by its token and tenant once they are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.http import HttpRequest, HttpResponseBase
from rest_framework.exceptions import Throttled

from .. import tokens
from . import carried, problems
from .addresses import address_of
from .limits import ADDRESS, FAILED, TENANT, TOKEN, Account, Caller, allowances, known

# What a supervisor asks every second says nothing about anybody.
UNCOUNTED = frozenset({"/livez", "/readyz", "/metrics"})
SHOWN = 32  # characters of a token's fingerprint: enough to tell 10 billion apart

GetResponse = Callable[[HttpRequest], HttpResponseBase]


def limits_middleware(get_response: GetResponse) -> GetResponse:
    """Answer 429 to whoever asks too often, and tell the API's callers how they stand."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.path in UNCOUNTED:
            return get_response(request)
        address, fingerprint = address_of(request), _fingerprint(request)
        tenant_id = known.tenant_of(fingerprint) if fingerprint else None
        accounts = _count([Caller(ADDRESS, address)], fingerprint, tenant_id)
        if late := _latest(accounts):
            return _told(too_many(request, late), accounts)
        response = get_response(request)
        if (fingerprint or carried.in_body(request)) and response.status_code == 401:
            return _failed(request, response, address)
        if fingerprint and tenant_id is None and (found := known.tenant_of(fingerprint)):
            accounts += _count([], fingerprint, found)
        accounts += getattr(request, "accounts", [])
        return _told(response, accounts) if problems.is_api(request) else response

    return middleware


class TooMany(Throttled):
    """One request too many, found out after its body was read."""

    default_code = "too_many_requests"

    def __init__(self, account: Account) -> None:
        super().__init__(account.wait, f"Too many requests of this {account.limit.kind}.")
        self.members = {"limit": account.quota, "violated-policies": [account.limit.kind]}


def count_late(request: HttpRequest, tenant_id: str) -> None:
    """Count a token that stood in the body, once it is known whose it is. Raises TooMany."""
    accounts = _count([], tokens.fingerprint(carried.in_body(request)), tenant_id)
    request.accounts = accounts  # type: ignore[attr-defined]
    if late := _latest(accounts):
        raise TooMany(late)


def too_many(request: HttpRequest, account: Account) -> HttpResponseBase:
    """The refusal of one request too many: whose limit, how high, and when to come back."""
    seconds = int(account.wait) + 1
    kind, quota = account.limit.kind, account.quota
    response = problems.refuse(
        request,
        429,
        "too_many_requests",
        f"Too many requests of this {kind}: at most {quota} a minute. Try again in {seconds} s.",
        limit=quota,
        **{"violated-policies": [kind]},
    )
    response["Retry-After"] = str(seconds)
    return response


def _count(callers: list[Caller], fingerprint: str, tenant_id: str | None) -> list[Account]:
    if tenant_id is not None:
        callers = [*callers, Caller(TOKEN, fingerprint[:SHOWN]), Caller(TENANT, tenant_id)]
    return allowances.spend(callers, tenant_id)


def _failed(request: HttpRequest, response: HttpResponseBase, address: str) -> HttpResponseBase:
    """A token that was none: few of these are answered, whoever else is at the same address."""
    [account] = allowances.spend([Caller(FAILED, address)])
    return too_many(request, account) if account.wait else response


def _latest(accounts: Sequence[Account]) -> Account | None:
    """Who must wait longest, None where nobody must."""
    return max((each for each in accounts if each.wait), key=lambda each: each.wait, default=None)


def _told(response: HttpResponseBase, accounts: Sequence[Account]) -> HttpResponseBase:
    response["RateLimit-Policy"] = ", ".join(account.policy for account in accounts)
    response["RateLimit"] = ", ".join(account.state for account in accounts)
    return response


def _fingerprint(request: HttpRequest) -> str:
    """The fingerprint of the token that a request's head carries, empty where there is none."""
    secret = carried.in_head(request.META)
    return tokens.fingerprint(secret) if secret else ""
