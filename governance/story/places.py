"""How far somebody has followed a story: the number of an event, in the form in which it leaves the server.

The events of all tenants share one sequence: a counter of each tenant's own would be a row that all of its loops wait for.
Shown as it is, its gaps would tell one tenant how much happens in the others. So outside it is one block of AES under a
key of the tenant: the number and eight zero bytes, which nobody else can make, compare or count.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from django.conf import settings

LENGTH = 32  # characters, hexadecimal
_BYTES = 8


def shown(tenant_id: str, number: int) -> str:
    """The number (0 to 2**63 - 1) as this tenant is told it."""
    block = bytes(_BYTES) + number.to_bytes(_BYTES)
    return _cipher(settings.SECRET_KEY, tenant_id).encryptor().update(block).hex()


def number_of(tenant_id: str, place: str) -> int:
    """The number that this tenant was told so; 0, the beginning, for whatever it was not."""
    if len(place) != LENGTH or not place.isascii() or not place.isalnum():
        return 0
    try:
        block = bytes.fromhex(place)
    except ValueError:
        return 0
    zeros, number = _split(_cipher(settings.SECRET_KEY, tenant_id).decryptor().update(block))
    return number if not zeros and number < 1 << 63 else 0


def _split(block: bytes) -> tuple[int, int]:
    return int.from_bytes(block[:_BYTES]), int.from_bytes(block[_BYTES:])


@lru_cache(maxsize=1_000)
def _cipher(secret: str, tenant_id: str) -> Cipher[modes.ECB]:
    """One block is all that is ever encrypted, so that there is nothing to chain."""
    key = hmac.new(secret.encode(), f"place:{tenant_id}".encode(), hashlib.sha256).digest()
    return Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - see above
