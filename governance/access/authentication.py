"""Bearer tokens: the tenant comes from the token, never from a header or the body.

Two protocols have a place of their own for it, which their clients cannot be told to change. They are the named
exceptions below, each for the routes that say so.
"""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from .. import tokens
from ..actors import Actor
from ..database.tenancy import enter_tenant, tenant_scope
from ..models import Membership, Role, User
from . import carried
from .limits import known
from .principals import Principal

LONGEST = 200


class TokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer abt_…``; enters the token's tenant for the rest of the request."""

    def authenticate(self, request: Request) -> tuple[Principal, tokens.Bearer] | None:
        secret = self.secret(request)
        if secret is None:
            return None
        found = identify(secret)
        if found is None:
            raise AuthenticationFailed("The token is unknown, expired or revoked.")
        principal, bearer = found
        enter_tenant(principal.tenant_id)
        return principal, bearer

    def secret(self, request: Request) -> str | None:
        """The token that the request carries, None where it carries none. Raises AuthenticationFailed."""
        header = request.META.get("HTTP_AUTHORIZATION", "")
        if header.partition(" ")[0].lower() != "bearer":
            return None
        secret = secret_in(header)
        if not secret:
            raise AuthenticationFailed("The Authorization header must be 'Bearer <token>'.")
        return secret

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="antibody"'


class SentryKeyAuthentication(TokenAuthentication):
    """Sentry's clients send the key of their DSN: ``X-Sentry-Auth: Sentry sentry_key=…``, or ``?sentry_key=…``."""

    def secret(self, request: Request) -> str | None:
        return super().secret(request) or carried.sentry_key(request.META) or None


class RoutingKeyAuthentication(TokenAuthentication):
    """PagerDuty's clients send a ``routing_key`` in the body."""

    def secret(self, request: Request) -> str | None:
        secret = super().secret(request)
        if secret is not None:
            return secret
        said = request.data.get("routing_key") if isinstance(request.data, dict) else None
        if not isinstance(said, str) or not said:
            return None
        carried.note_body(request._request, said)  # noqa: SLF001 - the one that whoever counts has
        return said


def secret_in(header: str) -> str:
    """The token that an Authorization header carries, empty where it is not exactly that.

    Only HTTP's own blanks are left out: others that Python knows would let one token be written in many ways.
    """
    scheme, _, rest = header.strip(" \t").partition(" ")
    secret = rest.strip(" \t")
    is_one = scheme.lower() == "bearer" and secret.isascii() and secret.isprintable()
    return secret if is_one and " " not in secret and len(secret) <= LONGEST else ""


def identify(secret: str) -> tuple[Principal, tokens.Bearer] | None:
    """Whose token this is; None for one that is worth nothing (also a person's who left the tenant)."""
    bearer = tokens.look_up(secret)
    if bearer is None:
        return None
    principal = _person(bearer) if bearer.user_id is not None else _service(bearer)
    if principal is not None and tokens.use_is_old(bearer):
        with tenant_scope(bearer.tenant_id):
            tokens.note_use(bearer)
    if principal is None:
        return None
    known.remember(tokens.fingerprint(secret), bearer.tenant_id)
    return principal, bearer


def _service(bearer: tokens.Bearer) -> Principal:
    return Principal(
        bearer.tenant_id, Actor("service", bearer.account_id or "", bearer.name), bearer.token_id
    )


def _person(bearer: tokens.Bearer) -> Principal | None:
    membership: Membership | None = (
        Membership.objects.select_related("user")
        .filter(user_id=bearer.user_id or 0, tenant_id=bearer.tenant_id, user__is_active=True)
        .first()
    )
    if membership is None:
        return None
    return Principal(
        bearer.tenant_id,
        person(membership.user),
        bearer.token_id,
        Role(membership.role),
        membership.user,
    )


def person(user: User | Any) -> Actor:
    """A signed-in person as an actor."""
    return Actor("user", str(user.pk), user.get_username())
