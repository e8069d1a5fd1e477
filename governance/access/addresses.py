"""Whose request it is as far as the network says: an address, believed from proxies that are ours alone."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest

UNKNOWN = "unknown"
MOST_HOPS = 10
# One customer has a whole network of IPv6 addresses; one bucket for each would be none.
IPV6_PREFIX = 64


def address_of(request: HttpRequest) -> str:
    """The client's address (IPv6: its network): the peer's, or the last that a trusted proxy tells of."""
    peer = request.META.get("REMOTE_ADDR") or UNKNOWN
    if not settings.TRUSTED_PROXIES or not is_trusted(peer):
        return grouped(peer)
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "").rsplit(",", MOST_HOPS)[-MOST_HOPS:]
    for hop in reversed(hops):
        if not is_trusted(hop.strip()):
            return grouped(hop.strip()) if _parsed(hop.strip()) else grouped(peer)
    return grouped(peer)


@lru_cache(maxsize=4_096)
def is_trusted(address: str) -> bool:
    """Whether an address is one of our proxies'."""
    found = _parsed(address)
    return found is not None and any(found in network for network in settings.TRUSTED_PROXIES)


@lru_cache(maxsize=4_096)
def grouped(address: str) -> str:
    """The address as it is counted."""
    found = _parsed(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, IPV6_PREFIX), strict=False).network_address)
    return str(found) if found else UNKNOWN


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(address[:64])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
