"""One POST to a server that is not ours: a hard deadline, no redirects, a bounded answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from .addresses import resolve

MAX_ANSWER = 262_144  # bytes: far more than any suggestion, far less than what would hurt


class Unreachable(Exception):
    """No answer came: it may help to try again."""


class Garbled(Exception):
    """An answer came that cannot be used."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the other side said."""

    status: int
    body: bytes

    @property
    def is_ok(self) -> bool:
        return 200 <= self.status < 300


def post(
    url: str,
    content: bytes,
    headers: Mapping[str, str],
    *,
    seconds: float,
    checked: bool = True,
    private_allowed: bool = False,
) -> Answer:
    """Send once. Raises Unreachable, Garbled, and AddressRefused where `checked` addresses are wanted.

    `seconds` bounds everything from the first look-up to the last byte: a server that sends one byte a second
    must not hold a worker. Call it outside any transaction and from a thread without an event loop.
    """
    return asyncio.run(
        _post(
            url, content, headers, seconds=seconds, checked=checked, private_allowed=private_allowed
        )
    )


async def _post(
    url: str,
    content: bytes,
    headers: Mapping[str, str],
    *,
    seconds: float,
    checked: bool,
    private_allowed: bool,
) -> Answer:
    try:
        async with asyncio.timeout(seconds):
            addresses = await resolve(url, private_allowed=private_allowed) if checked else []
            return await _first_that_connects(
                url, content, headers, [str(each) for each in addresses]
            )
    except TimeoutError as error:
        raise Unreachable(f"no answer within {seconds:g} s") from error
    except (httpx.InvalidURL, UnicodeError) as error:
        raise Garbled(str(error) or type(error).__name__) from error
    except (httpx.HTTPError, OSError) as error:
        raise Unreachable(f"{type(error).__name__}: {error}") from error


async def _first_that_connects(
    url: str, content: bytes, headers: Mapping[str, str], addresses: list[str]
) -> Answer:
    for address in addresses[:-1]:
        try:
            return await _send(url, content, headers, address)
        except httpx.ConnectError:
            continue
    return await _send(url, content, headers, addresses[-1] if addresses else None)


async def _send(
    url: str, content: bytes, headers: Mapping[str, str], address: str | None
) -> Answer:
    """One request; to a checked address, while the name stays in Host and in the certificate's check."""
    target = httpx.URL(url)
    named = {**headers, "host": target.netloc.decode("ascii"), "accept-encoding": "identity"}
    extensions = {"sni_hostname": target.host} if address else {}
    if address:
        target = target.copy_with(host=address)
    async with (
        # No proxies or passwords from the environment, and the deadline is the caller's.
        httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=None) as client,  # noqa: S113
        client.stream(
            "POST", target, content=content, headers=named, extensions=extensions
        ) as response,
    ):
        body = bytearray()
        # Raw: a small answer must not unpack itself into a large one.
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > MAX_ANSWER:
                raise Garbled(f"an answer of more than {MAX_ANSWER} bytes")
        return Answer(response.status_code, bytes(body))
