"""API tokens: made, looked up, revoked."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from . import ledger
from .actors import COMMAND, Actor
from .models import Account, ApiToken, User

PREFIX = "abt_"
SHOWN = 10  # characters of the secret that are kept, to recognise it by
USED_EVERY = timedelta(minutes=1)  # how exact "last used" is


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whose token it is."""

    token_id: str
    tenant_id: str
    account_id: str | None
    user_id: int | None
    name: str
    last_used_at: datetime | None


def make_token(
    *,
    name: str,
    account: Account | None = None,
    user: User | None = None,
    expires_at: datetime | None = None,
    actor: Actor = COMMAND,
) -> str:
    """A new token of a service account or a person of the tenant in scope; the only time that it can be read."""
    # Digits and the letters a to f alone: it also stands in the DSN of Sentry's clients, some of which take no dash there.
    secret = PREFIX + secrets.token_hex(32)
    token = ApiToken.objects.create(
        account=account,
        user=user,
        name=name,
        prefix=secret[:SHOWN],
        hash=fingerprint(secret),
        expires_at=expires_at,
    )
    ledger.append(
        "token.made",
        token.id,
        actor=actor,
        name=name,
        owner=str(account.id if account else user and user.pk),
    )
    return secret


def look_up(secret: str) -> Bearer | None:
    """Whose token this is, of any tenant; None for an unknown, expired or revoked one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, tenant_id, account_id, user_id, name, last_used_at FROM antibody_token(%s)"
            " WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())",
            (fingerprint(secret),),
        )
        row = cursor.fetchone()
    return Bearer(*row) if row else None


def use_is_old(bearer: Bearer) -> bool:
    """Whether the use that is known is older than we promise to know it."""
    return bearer.last_used_at is None or timezone.now() - bearer.last_used_at > USED_EVERY


def note_use(bearer: Bearer) -> None:
    """Remember that a token was used; needs the token's tenant in scope.

    Written in the request's transaction, which may be long: another request at once leaves it to this one.
    """
    stale = Q(last_used_at=None) | Q(last_used_at__lt=timezone.now() - USED_EVERY)
    free = ApiToken.objects.select_for_update(skip_locked=True).filter(stale, pk=bearer.token_id)
    ApiToken.objects.filter(pk__in=free.values("pk")).update(last_used_at=Now())


def revoke(token: ApiToken, *, actor: Actor, reason: str) -> bool:
    """Make a token useless from the next request on; False when it was already."""
    changed = ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=Now())
    if changed:
        ledger.append("token.revoked", token.id, actor=actor, reason=reason)
    return bool(changed)


def fingerprint(secret: str) -> str:
    """What is kept of a token: 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
