"""The line that every page of the console and of the admin carries: the product's state, and what is behind it."""

from __future__ import annotations

from typing import Any
from zlib import crc32

from ..database.tenancy import current_tenant, tenant_scope
from ..models import Membership
from ..modes.product import Product, product
from .people import names_of


def standing(membership: Membership | None) -> dict[str, Any]:
    """What ``_state.html`` shows: one statement, and one more for the names while a bypass is under way.

    Some pages are drawn when the tenant's scope has been left already: it is entered again, or they would say that
    all is well. Who belongs to no tenant is shown what holds for all.
    """
    if membership is None or current_tenant() == membership.tenant_id:
        return shown(product())
    with tenant_scope(membership.tenant_id):
        return shown(product())


def mark_of(found: Product) -> int:
    """A number that changes with what a page shows of the state."""
    return crc32(repr((found.state, found.reasons, found.stopped_count, found.bypass)).encode())


def shown(found: Product) -> dict[str, Any]:
    """The state with the names of those who ask for a bypass."""
    going = found.bypass
    # The banner says that one already.
    said = [reason for reason in found.reasons if reason.name != "bypass"]
    names = names_of([going.requested_by, going.confirmed_by]) if going else {}
    return {
        "product": found,
        "first": said[:1],
        "more": len(said) - 1,
        "asked_by": names.get(going.requested_by, "") if going else "",
        "agreed_by": names.get(going.confirmed_by, "") if going else "",
    }
