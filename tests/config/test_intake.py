"""What is refused before Django sees it, by the servers that production has: sizes, chunks, charsets, too many fields."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from config.intake import MOST_FIELDS
from governance.access.wire import MOST_BYTES
from governance.database.tenancy import tenant_scope
from governance.models import Tenant
from incidents.models import Incident
from tests import factories, serving
from tests.serving import Place, sent

pytestmark = pytest.mark.django_db(transaction=True)
REPORT = json.dumps(
    {"agent_id": "scout", "error_type": "TimeoutError", "message": "no answer"}
).encode()


@pytest.fixture
def tenant() -> Tenant:
    return factories.tenant("acme")


@pytest.fixture(params=["gunicorn", "uvicorn"])
def place(request: pytest.FixtureRequest, tenant: Tenant) -> Iterator[Place]:
    server = serving.gunicorn() if request.param == "gunicorn" else serving.serving_asgi()
    with server as found:
        yield found


def post(
    place: Place, token: str, body: bytes, *headers: str, path: str = "/api/v1/incidents"
) -> tuple[int, dict[str, Any], str]:
    """(status, problem or answer, headers) of a POST with these header lines and bytes, whatever they say."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {token}",
        "Connection: close",
        *headers,
    ]
    answer = sent(place, "\r\n".join([*lines, "", ""]).encode() + body)
    head, _, rest = answer.partition(b"\r\n\r\n")
    status = int(head.split(b" ")[1]) if head else 0
    start = rest.find(b"{")
    said = json.loads(rest[start : rest.rfind(b"}") + 1]) if start >= 0 else {}
    return status, said, head.decode("latin-1")


def chunked(body: bytes, size: int = 100_000) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def test_servers_keep_out_what_django_would_stumble_over(place: Place, tenant: Tenant) -> None:
    token = factories.agent_token(tenant)
    of_json = "Content-Type: application/json"

    # A body without a length is a body.
    status, said, _ = post(place, token, chunked(REPORT, 10), of_json, "Transfer-Encoding: chunked")
    assert status == 202, said
    # With one that is too short, what is read is no JSON; what follows is nobody's request.
    status, said, _ = post(place, token, REPORT, of_json, "Content-Length: 10")
    assert (status, said["code"]) == (400, "parse_error")

    # Too large is said as soon as it is known, declared or not; with every header.
    for framing, body in (
        (f"Content-Length: {MOST_BYTES + 1}", b""),
        (f"Content-Length: {'9' * 19}", b"{}"),
        ("Transfer-Encoding: chunked", chunked(b"[" + b" " * (MOST_BYTES + 1) + b"]")),
    ):
        status, said, head = post(place, token, body, of_json, framing)
        assert (status, said["limit"]) == (413, MOST_BYTES), framing
        assert "application/problem+json" in head
        assert "default-src 'none'" in head

    # Any codec of Python's can be named as a charset.
    for charset in (
        "zlib",
        "hex",
        "rot13",
        "unicode_escape",
        "utf-16",
        "idna",
        "nothing",
        "x;charset=zlib",
    ):
        kind = f"Content-Type: application/json; charset={charset}"
        status, said, _ = post(
            place,
            token,
            REPORT,
            kind,
            f"Content-Length: {len(REPORT)}",
            path="/api/v1/incidents?a=b",
        )
        assert (status, said["code"]) == (415, "unsupported_encoding"), charset
    for charset in ("utf-8", "UTF-8", '"utf-8"', "us-ascii"):
        kind = f"Content-Type: application/json; charset={charset}"
        status, _, _ = post(place, token, REPORT, kind, f"Content-Length: {len(REPORT)}")
        assert status == 202, charset

    query = "/api/v1/incidents?" + "&".join("a=1" for _ in range(MOST_FIELDS + 1))
    kind = "Content-Type: application/json; charset=utf-8"
    status, said, _ = post(place, token, REPORT, kind, f"Content-Length: {len(REPORT)}", path=query)
    assert (status, said["limit"]) == (400, MOST_FIELDS) or status == 400

    # Chunks that are none, and two ways to say where a body ends: never taken, never an error of ours.
    for lines, body in (
        (["Transfer-Encoding: chunked"], b"zz\r\n{}\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked", f"Content-Length: {len(REPORT)}"], REPORT + b"\r\n\r\n"),
        (["Transfer-Encoding: gzip"], REPORT),
        (["Content-Length: -1"], REPORT),
        (["Content-Length: 1e3"], REPORT),
    ):
        status, _, _ = post(place, token, body, of_json, *lines)
        assert status in (0, 400, 411, 501), lines

    with tenant_scope(tenant.id):
        assert Incident.objects.count() == 5
