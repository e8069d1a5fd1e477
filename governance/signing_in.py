"""Signing in: every attempt is a row before the password is looked at, and whoever fails waits longer and longer.

Three things are counted over the last hour. Failures of this account from this address make it wait up to a quarter of
an hour; failures at this address, whatever the account, the same. Failures of this account from anywhere make it wait
half a minute at most, and do not count where the account was signed in to before: a stranger who guesses can slow down
somebody new, and never lock anybody out. Whether an account exists makes no difference to any of it.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, DurationField, ExpressionWrapper, Max, QuerySet
from django.db.models.functions import Now

from .models import SignIn, User
from .refusals import Refusal

REMEMBERED = timedelta(hours=1)
KNOWN_FOR = timedelta(days=30)
KEPT = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Patience:
    """So many failures are free; then the wait doubles from a second up to ``most_seconds``."""

    free: int
    most_seconds: int

    def wait(self, failures: int) -> int:
        """Seconds to wait after so many failures."""
        over = failures - self.free
        return 0 if over < 0 else min(self.most_seconds, 1 << min(over, 20))


HERE = Patience(free=5, most_seconds=900)  # this account from this address
ADDRESS = Patience(free=20, most_seconds=900)
ACCOUNT = Patience(free=20, most_seconds=30)  # from anywhere


class TooSoon(Refusal):
    """Too many failures: ``retry_after`` seconds are left to wait."""

    status = 429
    code = "too_many_attempts"

    def __init__(self, seconds: int) -> None:
        self.retry_after = seconds
        super().__init__(f"Too many attempts. Wait {seconds} s, then try again.")


def attempt(name: str, address: str) -> SignIn:
    """The record of an attempt, not successful yet. Raises TooSoon; nothing is recorded then.

    Attempts of one account are taken one after the other, so that many at once are not one to the count.
    """
    account = digest_of(name)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [int(account[:15], 16)])
        if seconds := _seconds_left(account, address):
            raise TooSoon(seconds)
        return SignIn.objects.create(
            account=account, address=address, user=User.objects.filter(username=name).first()
        )


def succeed(made: SignIn) -> None:
    """The password was right."""
    SignIn.objects.filter(pk=made.pk).update(succeeded=True)


def forget_old() -> int:
    """Forget attempts that are older than three months; how many."""
    return SignIn.objects.filter(at__lt=Now() - KEPT).delete()[0]


def digest_of(name: str) -> str:
    """What an account's name is counted under. Keyed: a password typed in its place cannot be looked for."""
    typed = name.strip().casefold().encode("utf-8", "surrogatepass")
    return hmac.new(settings.SECRET_KEY.encode(), b"sign-in:" + typed, hashlib.sha256).hexdigest()


def _seconds_left(account: str, address: str) -> int:
    """How long this account must still wait at this address."""
    recent = SignIn.objects.filter(at__gt=Now() - REMEMBERED)
    here = recent.filter(account=account, address=address)
    waits = [
        _left(HERE, _since_success(here)),
        # A success does not clear an address: whoever has an account of his own there could guess on.
        _left(ADDRESS, recent.filter(address=address)),
    ]
    known = SignIn.objects.filter(account=account, address=address, succeeded=True)
    if not known.filter(at__gt=Now() - KNOWN_FOR).exists():
        waits.append(_left(ACCOUNT, _since_success(recent.filter(account=account))))
    return max(waits)


def _since_success(attempts: QuerySet[SignIn]) -> QuerySet[SignIn]:
    last = attempts.filter(succeeded=True).aggregate(last=Max("id"))["last"]
    return attempts.filter(id__gt=last or 0)


def _left(patience: Patience, attempts: QuerySet[SignIn]) -> int:
    """Seconds that are left of the wait which these attempts' failures ask for, by the database's clock."""
    age = ExpressionWrapper(Now() - Max("at"), output_field=DurationField())
    failed = attempts.filter(succeeded=False).aggregate(count=Count("id"), age=age)
    if not failed["count"]:
        return 0
    seconds: float = patience.wait(failed["count"]) - failed["age"].total_seconds()
    return max(0, math.ceil(seconds))
