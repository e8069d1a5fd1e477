"""Bodies that come packed, as other protocols' clients send them. Our own API takes none (``parsers.py``).

Nothing is inflated beyond its limit: a body that would be larger is given up where it passes it, so that one of
a kilobyte which stands for a gigabyte costs no more than an honest one.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import IO, Any, ClassVar

import brotli
from rest_framework.parsers import BaseParser

from .parsers import OtherEncoding, TooLarge, Unreadable, parse
from .wire import MOST_BYTES

GZIP_OR_ZLIB = zlib.MAX_WBITS | 32  # whichever its first bytes say
RAW = -zlib.MAX_WBITS
CHUNK = 65_536
# Each costs a copy of what comes after it; clients send one, and programs that pack in parallel a few.
MOST_MEMBERS = 100


class PackedParser(BaseParser):
    """The bytes of a body, unpacked: gzip, deflate and br are taken, once each and not upon each other."""

    media_type = "*/*"
    most: ClassVar[int] = MOST_BYTES

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        headers = parser_context["request"].META if parser_context else {}
        packed = headers.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() or "identity"
        if packed not in UNPACK:
            raise OtherEncoding(f"Content-Encoding: only {', '.join(UNPACK)} are taken.")
        body = stream.read(self.most + 1)
        if len(body) > self.most:
            raise TooLarge(self.most)
        return UNPACK[packed](body, self.most)


class PackedJSONParser(PackedParser):
    """The same, read as the strict JSON of our own API."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return parse(super().parse(stream, media_type, parser_context))


def _as_it_is(body: bytes, most: int) -> bytes:
    return body


def _inflated(body: bytes, most: int) -> bytes:
    """gzip or zlib; several members after each other are one body, as gzip has it."""
    found, rest, members = bytearray(), body, 0
    while rest:
        members += 1
        if members > MOST_MEMBERS:
            raise Unreadable(
                f"The body is packed as more than {MOST_MEMBERS} members.",
                field="Content-Encoding",
                limit=MOST_MEMBERS,
            )
        unpacker = zlib.decompressobj(GZIP_OR_ZLIB)
        try:
            found += unpacker.decompress(rest, most + 1 - len(found))
        except zlib.error as error:
            raise _garbled() from error
        if len(found) > most:
            raise TooLarge(most)
        if not unpacker.eof:
            raise _garbled()
        rest = unpacker.unused_data
    return bytes(found)


def _deflated(body: bytes, most: int) -> bytes:
    """HTTP means zlib by deflate; some clients send it without zlib's frame."""
    unpacker = zlib.decompressobj(RAW)
    try:
        return _inflated(body, most)
    except Unreadable:
        try:
            found = unpacker.decompress(body, most + 1)
        except zlib.error as error:
            raise _garbled() from error
    if len(found) > most:
        raise TooLarge(most)
    if not unpacker.eof:
        raise _garbled()
    return found


def _brotli(body: bytes, most: int) -> bytes:
    unpacker, found = brotli.Decompressor(), bytearray()
    try:
        given = unpacker.process(body, output_buffer_limit=CHUNK)
        # What is left comes with the next calls, until there is nothing: it has ended, or was cut off.
        while given and len(found) <= most:
            found += given
            given = (
                b"" if unpacker.is_finished() else unpacker.process(b"", output_buffer_limit=CHUNK)
            )
    except brotli.error as error:
        raise _garbled() from error
    if len(found) > most:
        raise TooLarge(most)
    if not unpacker.is_finished():
        raise _garbled()
    return bytes(found)


def _garbled() -> Unreadable:
    return Unreadable(
        "The body is not packed as this header says, or ends too soon.", field="Content-Encoding"
    )


UNPACK: dict[str, Callable[[bytes, int], bytes]] = {
    "identity": _as_it_is,
    "gzip": _inflated,
    "x-gzip": _inflated,
    "deflate": _deflated,
    "br": _brotli,
}
