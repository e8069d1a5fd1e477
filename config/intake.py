"""What is refused before Django makes a request of it, around both servers' application.

Django reads a request's charset and query while it makes the request, where an error is nobody's: a plain 500, for
``charset=zlib`` or for a thousand and one fields. Under ASGI it writes a whole body to disk before it looks at anything,
under WSGI it takes a chunked body for an empty one.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from governance.access.wire import CONTENT_TYPE, HEADERS, TITLES, members_of, most_bytes

MOST_FIELDS = 1_000  # in a query; Django's own limit
LETTERS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is given without Django."""

    status: int
    body: bytes

    @property
    def headers(self) -> list[tuple[str, str]]:
        # Closed, because nobody reads what is still to come.
        return [
            ("Content-Type", CONTENT_TYPE),
            ("Content-Length", str(len(self.body))),
            ("Connection", "close"),
            *HEADERS.items(),
        ]


def _refusal(status: int, code: str, detail: str, **members: Any) -> Refusal:
    return Refusal(status, json.dumps(members_of(status, code, detail, **members)).encode())


def _too_large(most: int) -> Refusal:
    return _refusal(413, "too_large", f"The body is larger than {most} bytes.", limit=most)


TOO_MANY = _refusal(
    400, "invalid", f"The query has more than {MOST_FIELDS} fields.", limit=MOST_FIELDS
)
OTHER_LETTERS = _refusal(
    415,
    "unsupported_encoding",
    "Content-Type: only charset=utf-8 is taken.",
    errors=[{"field": "Content-Type", "message": "Only charset=utf-8 is taken."}],
)
GARBLED = _refusal(400, "invalid", "The body cannot be read: its chunks are not as HTTP has them.")


def strict_wsgi(application: Any) -> Any:
    """The application behind these refusals; a chunked body is read up to the limit and handed on with its length."""

    def strict(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        most = most_bytes(environ.get("PATH_INFO") or "")
        refusal = _refused(
            environ.get("CONTENT_LENGTH") or "",
            environ.get("CONTENT_TYPE") or "",
            (environ.get("QUERY_STRING") or "").count("&"),
            most,
        )
        if not environ.get("CONTENT_LENGTH") and environ.get("HTTP_TRANSFER_ENCODING"):
            refusal = refusal or _unchunk(environ, most)
        if refusal is not None:
            start_response(f"{refusal.status} {TITLES[refusal.status]}", refusal.headers)
            return [refusal.body]
        answer: Iterable[bytes] = application(environ, start_response)
        return answer

    return strict


def strict_asgi(application: Any) -> Any:
    """The same for an ASGI server."""

    async def strict(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        length, kind, framing = (
            _said(scope, name)
            for name in (b"content-length", b"content-type", b"transfer-encoding")
        )
        most = most_bytes(scope["path"])
        refusal = _refused(length, kind, scope["query_string"].count(b"&"), most)
        if not refusal and framing and not length:
            body = await _unchunked(receive, most)
            if body is None:
                refusal = _too_large(most)
            else:
                scope = {
                    **scope,
                    "headers": [*scope["headers"], (b"content-length", b"%d" % len(body))],
                }
                receive = _once(body, receive)
        if refusal:
            await _answer(send, refusal)
        else:
            await application(scope, receive, send)

    return strict


def _said(scope: Message, wanted: bytes) -> str:
    """All that the headers of this name say."""
    return ";".join(value.decode("latin-1") for name, value in scope["headers"] if name == wanted)


def _refused(length: str, kind: str, separators: int, most: int) -> Refusal | None:
    if length.isdigit() and int(length[:20]) > most:
        return _too_large(most)
    if separators >= MOST_FIELDS:
        return TOO_MANY
    return None if ";" not in kind or _is_utf8(kind) else OTHER_LETTERS


def _is_utf8(kind: str) -> bool:
    """Whether every charset that a Content-Type names is one in which JSON and forms are written."""
    for parameter in kind.split(";")[1:]:
        name, _, value = parameter.partition("=")
        # charset* is another way to say it.
        is_charset = name.strip().lower().startswith("charset")
        if is_charset and ("*" in name or value.strip(" \t\"'").lower() not in LETTERS):
            return False
    return True


def _unchunk(environ: Environ, most: int) -> Refusal | None:
    try:
        body = environ["wsgi.input"].read(most + 1)
    except OSError:  # what the server calls a chunk that is none
        return GARBLED
    if len(body) > most:
        return _too_large(most)
    environ |= {"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    return None


async def _unchunked(receive: Receive, most: int) -> bytes | None:
    """A body without a length, as far as it came; None as soon as it is too large."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > most:
            return None
        if message["type"] != "http.request" or not message.get("more_body"):
            return bytes(body)


def _once(body: bytes, receive: Receive) -> Receive:
    """What the application receives: the body in one piece, then whatever comes after it."""
    left = [body]

    async def once() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return once


async def _answer(send: Send, refusal: Refusal) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in refusal.headers]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": refusal.body})
