"""What a caller may safely send twice: a POST under an Idempotency-Key is carried out once, and answered alike."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.models.functions import Now
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from ..database.tenancy import required_tenant
from ..ids import new_id
from ..models import IdempotentRequest
from ..refusals import Conflict, Invalid, Refusal

REMEMBERED = timedelta(hours=24)
LONGEST_KEY = 200
RETRY_AFTER_SECONDS = 1  # what carries out a POST takes milliseconds


class OtherBody(Refusal):
    """An Idempotency-Key that came before with something else."""

    status = 422
    code = "idempotency_key_reused"


class InProgress(Conflict):
    """An Idempotency-Key whose first request is not answered yet."""

    code = "idempotency_key_in_progress"
    retry_after = RETRY_AFTER_SECONDS


class Replay(Exception):
    """This very request was answered before; ``response`` says how."""

    def __init__(self, response: Response) -> None:
        self.response = response


def begin(request: Request, principal: str) -> str | None:
    """Remember a POST in the transaction of its effect, and answer with the record's id; None without a key.

    Raises Replay for one that was answered, InProgress while the first is being carried out, OtherBody where the
    key stands for another request, Invalid for what is no key. Never waits.
    """
    key = request.headers.get("Idempotency-Key")
    if request.method != "POST" or key is None:
        return None
    if not 1 <= len(key) <= LONGEST_KEY or not key.isprintable():
        raise Invalid(
            f"Idempotency-Key must have 1 to {LONGEST_KEY} printable characters.",
            field="Idempotency-Key",
        )
    made, fingerprint = new_id("req"), _fingerprint(request)
    if _insert(made, principal, key, fingerprint):
        return made
    kept = IdempotentRequest.objects.filter(principal=principal, key=key).first()
    if kept is None:
        raise InProgress("The first request under this Idempotency-Key is being carried out.")
    if kept.fingerprint != fingerprint:
        raise OtherBody("This Idempotency-Key came before with another request.")
    raise Replay(Response(kept.answer, status=kept.status, headers={"Idempotent-Replayed": "true"}))


def finish(request_id: str, response: Response) -> None:
    """Keep the answer with the effect; what failed may be sent again under its key."""
    mine = IdempotentRequest.objects.filter(pk=request_id)
    if response.status_code < 400:
        mine.update(status=response.status_code, answer=_plain(response))
    elif not connection.needs_rollback:
        mine.delete()


def forget_old() -> int:
    """Forget requests of the tenant in scope that are older than a day; how many."""
    return IdempotentRequest.objects.filter(created_at__lt=Now() - REMEMBERED).delete()[0]


# The lock is given back with the transaction, after its row can be seen. So whoever does not get it finds the row or
# knows that the first is still at work; a plain insert would wait for the first one's transaction.
_INSERT = """
INSERT INTO governance_idempotentrequest (tenant_id, id, principal, key, fingerprint)
SELECT %s::text, %s::text, %s::text, %s::text, %s::text WHERE pg_try_advisory_xact_lock(%s)
    ON CONFLICT DO NOTHING
"""


def _insert(request_id: str, principal: str, key: str, fingerprint: str) -> bool:
    tenant_id = required_tenant()
    told_apart = hashlib.sha256(f"{tenant_id}\n{principal}\n{key}".encode()).digest()
    lock = int.from_bytes(told_apart[:8], signed=True)
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [tenant_id, request_id, principal, key, fingerprint, lock])
        return bool(cursor.rowcount)


def _fingerprint(request: Request) -> str:
    """SHA-256 of method, address and body; the order of an object's keys says nothing."""
    body = json.dumps(request.data, sort_keys=True, separators=(",", ":"), default=_digest)
    return hashlib.sha256(
        f"{request.method} {request.get_full_path()}\n{body}".encode()
    ).hexdigest()


def _digest(body: bytes) -> str:
    """Of a body that is no JSON."""
    return hashlib.sha256(body).hexdigest()


def _plain(response: Response) -> Any:
    """The answer as JSON values, as it will be sent."""
    return json.loads(JSONRenderer().render(response.data)) if response.data is not None else None
