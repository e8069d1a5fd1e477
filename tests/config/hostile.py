"""Five hundred hostile bodies, by families; the same ones each time."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

WANTED = 500
FIELDS = (
    "agent_id", "run_id", "step", "action", "context", "decision_id", "ok", "error", "latency_ms", "cost_usd",
    "error_type", "message", "tool", "arguments", "severity", "category", "occurred_at", "source_key", "reason",
    "digest", "name", "on", "kind", "params", "pattern_id", "policy_id", "confidence", "minutes", "condition",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 2**63 - 1, -(2**63), 1.5, 1e308, -0.0, "", " ", "x" * 3_000, [], [[]], {}, {"a": {}}, ["x"] * 50,
    "\u202e\u0000"[0], "𝔘𝔫𝔦", "é" * 300, "' OR 1=1 --", "<script>", "${jndi:x}", "../../etc/passwd", "%00", "9" * 400,
    "2026-13-45T99:99:99Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "NaN", "1e999",
)  # fmt: skip
RAW: tuple[bytes, ...] = (
    b"", b" ", b"{", b"}", b"[", b"nul", b"null", b"true", b"1", b'""', b"[]", b"{}", b"{}{}", b"{,}", b'{"a":}', b"\x00",
    b"\xff\xfe{}", b"\xef\xbb\xbf{}", b"{}\x00", b"NaN", b"-Infinity", b'{"a": 01}', b"{'a': 1}", b'{"a": 1,}', b"// x\n{}",
    b'{"a": "\t"}', b'"\\ud800"', b'{"a": "\\u0000"}', b'{"\\u0000": 1}', b'{"a": "\\udfff\\ud800"}', b'{"a": 1e400}',
    b'{"a": ' + b"9" * 5_000 + b"}", b"[" * 33 + b"]" * 33, b"[" * 100_000, b'{"a":' * 50_000, b'"' * 100_000,
    b'{"a": 1, "a": 2}', "{}".encode("utf-16"), "{}".encode("utf-32"), b"\xed\xa0\x80", b"\xc0\xaf", b"<xml/>", b"a=1&b=2",
)  # fmt: skip


def bodies() -> Iterator[bytes]:
    """Raw nonsense; each field with each wrong value; whole bodies of them; huge keys; truncations."""
    rng = random.Random(7)
    found: list[bytes] = list(RAW)
    pairs = [(field, value) for field in FIELDS for value in VALUES]
    rng.shuffle(pairs)
    found += [json.dumps({field: value}).encode() for field, value in pairs[:200]]
    for _ in range(150):
        found.append(json.dumps({field: rng.choice(VALUES) for field in FIELDS}).encode())
    found += [json.dumps({"k" * size: 1}).encode() for size in (300, 5_000, 200_000)]
    found.append(json.dumps({f"k{n}": n for n in range(20_000)}).encode())
    whole = json.dumps(dict.fromkeys(FIELDS, "x")).encode()
    found += [
        whole[:size] for size in range(1, len(whole), max(1, len(whole) // (WANTED - len(found))))
    ]
    yield from found[:WANTED]
