"""Bypass: governing is off for a while, because two people said so and the ledger has their word.

    requested -> confirmed -> active -> ended            the clock of it starts when it is confirmed
             \\-> withdrawn | expired <-/                 (nobody confirmed it, or no receipt came in time)

It comes into force only once the entry of its confirmation is sealed (``receipts.py``), and is over by itself with the
first decision after ``ends_at``: what closes the record afterwards is a formality.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from .. import ledger
from ..actors import CLOCK, Actor
from ..database.tenancy import required_tenant, tenant_scope
from ..ledger.sequencer import number_entries
from ..models import Bypass
from ..models.modes import CONFIRM_WITHIN, LONGEST_BYPASS_MINUTES
from ..refusals import Conflict, Forbidden, Invalid
from ..states import Stale, move
from ..story import live
from .reasons import given
from .receipts import is_sealed

State = Bypass.State


class NotAPerson(Forbidden):
    """A service account, or the product itself."""


class SamePerson(Forbidden):
    """Who asked cannot be who confirms."""


class OneAtATime(Conflict):
    """The tenant has a bypass that was asked for, agreed, or is in force."""


class TooLate(Conflict):
    """The time to confirm is over, or the bypass is."""


def ask(*, minutes: int, actor: Actor, reason: str) -> Bypass:
    """Ask to govern nothing for 1 to 60 minutes. Nothing happens until a second person confirms it.

    Raises NotAPerson, Invalid for a wrong number of minutes or no reason, OneAtATime.
    """
    why = given(reason)
    _only_people(actor)
    if not 1 <= minutes <= LONGEST_BYPASS_MINUTES:
        raise Invalid(
            f"A bypass lasts 1 to {LONGEST_BYPASS_MINUTES} minutes, not {minutes}.", field="minutes"
        )
    close_due()
    wanted = Bypass(
        minutes=minutes, reason=why, requested_by=str(actor), expires_at=Now() + CONFIRM_WITHIN
    )
    try:
        with transaction.atomic():
            wanted.save(force_insert=True)
    except IntegrityError as error:
        if Bypass.objects.live().exists():
            raise OneAtATime(
                "A bypass was asked for or agreed already: withdraw or end it first."
            ) from error
        raise
    ledger.append(
        "bypass.requested", wanted.id, actor=actor, reason=why, minutes=minutes, by=str(actor)
    )
    _tell()
    wanted.refresh_from_db()  # the database's clock said when it expires
    return wanted


def confirm(bypass: Bypass, *, actor: Actor, reason: str = "") -> Bypass:
    """Agree to a bypass that somebody else asked for: it comes into force when the ledger has sealed that.

    Raises NotAPerson, SamePerson, TooLate once its time is over, IllegalMove and Stale where it was decided before.
    """
    _only_people(actor)
    if str(actor) == bypass.requested_by:
        raise SamePerson("You asked for it yourself: a second person must confirm it.")
    try:
        with transaction.atomic():
            move(
                bypass,
                State.CONFIRMED,
                actor=actor,
                reason=reason.strip() or bypass.reason,
                confirmed_by=str(actor),
                confirmed_at=Now(),
                ends_at=Now() + timedelta(minutes=bypass.minutes),
            )
    except IntegrityError as error:
        if "bypass_confirmed_in_time" not in str(error):
            raise
        raise TooLate("Nobody confirmed it in time. Ask again.") from error
    bypass.refresh_from_db()
    _tell()
    return bypass


def finish(bypass: Bypass, *, actor: Actor, reason: str) -> Bypass:
    """Govern again, or take back what is not in force yet. Who may operate may, whoever asked for it.

    Raises Invalid without a reason, TooLate where it was over already.
    """
    why = given(reason)
    bypass.refresh_from_db()
    if bypass.state not in Bypass.LIVE:
        raise TooLate(f"It is over: {bypass.state}.")
    _close(bypass, State.ENDED if bypass.state == State.ACTIVE else State.WITHDRAWN, actor, why)
    return bypass


def come_into_force() -> bool:
    """Let the confirmed bypass of the tenant in scope come into force if the ledger has sealed it; whether it did."""
    bypass = Bypass.objects.filter(state=State.CONFIRMED, ends_at__gt=Now()).first()
    if bypass is None or not is_sealed("bypass.confirmed", bypass.id):
        return False
    try:
        with transaction.atomic():
            move(
                bypass, State.ACTIVE, actor=CLOCK, reason="The ledger has sealed its confirmation."
            )
    except Stale:
        return False
    _tell()
    return True


def close_due() -> int:
    """Close, in the tenant in scope, what is over by the clock; how many."""
    closed = 0
    for bypass in Bypass.objects.due():
        state = State.ENDED if bypass.state == State.ACTIVE else State.EXPIRED
        try:
            with transaction.atomic():
                _close(bypass, state, CLOCK, _why_over(bypass))
            closed += 1
        except Stale:
            continue
    return closed


def tend() -> int:
    """Bring the bypasses of all tenants on their way: into force, or closed; how many. Outside any tenant's scope."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tenant_id FROM antibody_bypasses_to_tend()")
        tenants = [tenant_id for (tenant_id,) in cursor.fetchall()]
    if tenants:
        number_entries()  # also done elsewhere, and not later than here
    moved = 0
    for tenant_id in tenants:
        with tenant_scope(tenant_id):
            moved += close_due() + come_into_force()
    return moved


def _close(bypass: Bypass, state: str, actor: Actor, reason: str) -> None:
    move(
        bypass,
        state,
        actor=actor,
        reason=reason,
        closed_by=str(actor),
        closed_at=Now(),
        close_reason=reason,
    )
    bypass.refresh_from_db()
    _tell()


def _why_over(bypass: Bypass) -> str:
    match bypass.state:
        case State.ACTIVE:
            return "Its time is over."
        case State.CONFIRMED:
            return (
                "The ledger gave no receipt for its confirmation in time: it never came into force."
            )
        case _:
            return "Nobody confirmed it in time."


def _only_people(actor: Actor) -> None:
    if not actor.is_person:
        raise NotAPerson("Only a person can do this.")


def _tell() -> None:
    live.publish_after_commit(required_tenant(), [])
