"""Which addresses a webhook may go to: a tenant's wish must not become our request to our own network."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

Address = IPv4Address | IPv6Address

# Forms of IPv6 that carry an IPv4 address inside. Python 3.11 calls those of 169.254.169.254 global, and what
# stands inside may be translated anywhere, so none of them is called.
_TRANSLATED = [
    ip_network(network)
    for network in (
        "::/96",  # IPv4-compatible (RFC 4291)
        "64:ff9b::/96",  # NAT64 (RFC 6052)
        "64:ff9b:1::/48",  # NAT64 of a local network (RFC 8215)
        "2001::/32",  # Teredo (RFC 4380)
        "2002::/16",  # 6to4 (RFC 3056)
        "fec0::/10",  # site-local, given up (RFC 3879)
        "192.88.99.0/24",  # the way to 6to4 (RFC 7526)
    )
]


class AddressRefused(ValueError):
    """An address that a webhook may not go to."""


def is_public(address: Address) -> bool:
    """Whether an address is a plain one of the public Internet."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not any(address in network for network in _TRANSLATED)
    )


def check_url(url: str) -> SplitResult:
    """The parts of an address that can be called. Raises AddressRefused for what cannot be, whatever it resolves to."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressRefused("is not a valid address.") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise AddressRefused("must be an http or https address.")
    if parts.username is not None or parts.password is not None:
        raise AddressRefused("must not carry a user or password: the signature says who calls.")
    return parts


async def resolve(url: str, *, private_allowed: bool) -> list[Address]:
    """The addresses of a URL's host, all of them checked. Raises AddressRefused, and OSError when there is none.

    Connect to one of these and not to the name: it could resolve to something else a moment later.
    """
    parts = check_url(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            str(parts.hostname), port, type=socket.SOCK_STREAM
        )
    except UnicodeError as error:
        raise AddressRefused("has a host that is no name.") from error
    addresses = [ip_address(str(entry[4][0])) for entry in found]
    if not private_allowed and not all(is_public(address) for address in addresses):
        raise AddressRefused("leads to an address that is not public.")
    return list(dict.fromkeys(addresses))
