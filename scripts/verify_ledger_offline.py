#!/usr/bin/env python3
"""Verifies an exported ledger with nothing but Python: no product, no database, no network.

    python verify_ledger_offline.py ledger.jsonl --key 'antibody.invalid/ledger/ten_…+1a2b3c4d+AQ…'

Every entry is hashed into an RFC 6962 tree; at each size that was signed the root must be the signed one, and the
signature (C2SP signed-note, Ed25519) must verify. Take the key from whoever runs the signer, or from an earlier export:
without --key the file's own is used, which only shows that the file agrees with itself.

Prints {"entries", "signed", "valid", "first_bad", …} and exits 1 when anything is wrong. Uses the package "cryptography"
where it is installed, else the arithmetic of RFC 8032 in this file: the same, only slower.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

EXPORT_VERSION = 1
MOST_TOLD = 20

# --- Ed25519 (RFC 8032, section 5.1), verification only; points in extended coordinates ------------------------

Point = tuple[int, int, int, int]
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def point_from(encoded: bytes) -> Point:
    """The point of 32 bytes; ValueError for bytes that are none."""
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number & ((1 << 255) - 1)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        raise ValueError("not a point of the curve")
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def add(one: Point, other: Point) -> Point:
    """The sum of two points."""
    a = (one[1] - one[0]) * (other[1] - other[0]) % P
    b = (one[1] + one[0]) * (other[1] + other[0]) % P
    c = 2 * one[3] * other[3] * D % P
    d = 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(number: int, point: Point) -> Point:
    """A point added to itself so many times."""
    total: Point = (0, 1, 1, 0)
    while number:
        if number & 1:
            total = add(total, point)
        point = add(point, point)
        number >>= 1
    return total


BASE = point_from((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the signature is this key's, by the arithmetic above."""
    if len(public) != 32 or len(signature) != 64:
        return False
    try:
        key, commitment = point_from(public), point_from(signature[:32])
    except ValueError:
        return False
    scalar = int.from_bytes(signature[32:], "little")
    if scalar >= ORDER:
        return False
    challenge = hashlib.sha512(signature[:32] + public + message).digest()
    one = times(scalar, BASE)
    other = add(commitment, times(int.from_bytes(challenge, "little") % ORDER, key))
    return not any((one[n] * other[2] - other[n] * one[2]) % P for n in (0, 1))


def is_signed_fast(public: bytes, message: bytes, signature: bytes) -> bool:
    """The same, by the package "cryptography"; ImportError where there is none."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def best() -> Callable[[bytes, bytes, bytes], bool]:
    """The faster one that there is."""
    try:
        import cryptography  # noqa: F401 - whether it is there
    except ImportError:
        return is_signed
    return is_signed_fast


# --- Notes ----------------------------------------------------------------------------------------------------


def hash_of_key(name: str, public: bytes) -> bytes:
    """What signatures call a key by."""
    return hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4]


def parse_key(text: str) -> tuple[str, bytes]:
    """(name, public key) of ``<name>+<key id>+<base64>``; ValueError for anything else."""
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    raw = base64.b64decode(encoded, validate=True)
    if len(raw) != 33 or raw[:1] != b"\x01" or hash_of_key(name, raw[1:]).hex() != key_id:
        raise ValueError(f"{text[:200]!r} is no verifier key of Ed25519")
    return name, raw[1:]


def open_note(
    text: str, name: str, public: bytes, signed: Callable[[bytes, bytes, bytes], bool]
) -> tuple[int, bytes]:
    """(size, root) of a note that this key signed; ValueError for any other."""
    body, gap, signatures = text.rpartition("\n\n")
    if not gap or not signatures.endswith("\n"):
        raise ValueError("it is no signed note")
    body += "\n"
    mine = []
    for line in signatures[:-1].split("\n"):
        dash, _, rest = line.partition(" ")
        signer, _, encoded = rest.partition(" ")
        raw = base64.b64decode(encoded, validate=True)
        if dash == "\u2014" and signer == name and raw[:4] == hash_of_key(name, public):
            mine.append(raw[4:])
    if not mine or not all(signed(public, body.encode(), each) for each in mine):
        raise ValueError("the key did not sign it")
    origin, size, root = body.split("\n")[:3]
    if origin != name or size != str(int(size)):
        raise ValueError("it is about another tree")
    return int(size), base64.b64decode(root, validate=True)


# --- The tree -------------------------------------------------------------------------------------------------

Peaks = list[tuple[int, bytes]]
"""The complete subtrees at the right edge of a tree, (leaves, hash), the largest first."""


def grow(peaks: Peaks, leaf: bytes) -> None:
    """Add a leaf."""
    width = 1
    while peaks and peaks[-1][0] == width:
        leaf = hashlib.sha256(b"\x01" + peaks.pop()[1] + leaf).digest()
        width *= 2
    peaks.append((width, leaf))


def root_of(peaks: Peaks) -> bytes:
    """The root of the tree as it is now; it has at least one leaf."""
    root = peaks[-1][1]
    for _, peak in reversed(peaks[:-1]):
        root = hashlib.sha256(b"\x01" + peak + root).digest()
    return root


# --- The file -------------------------------------------------------------------------------------------------


class Verification:
    """What is found in one file, line by line."""

    def __init__(self, key: str | None, signed: Callable[[bytes, bytes, bytes], bool]) -> None:
        self.key, self.is_signed = key, signed
        self.problems: list[dict[str, Any]] = []
        self.first_bad: int | None = None
        self.tenant, self.size, self.good = "", 0, 0
        self.peaks: Peaks = []
        self.roots: dict[int, bytes] = {}
        self.ids: set[str] = set()

    def wrong(self, seq: int | None, what: str) -> None:
        """Keep a problem; the number is None where it is about no entry."""
        self.problems.append({"seq": seq, "what": what})
        if seq is not None and (self.first_bad is None or seq < self.first_bad):
            self.first_bad = seq

    def take(self, said: dict[str, Any]) -> None:
        """One line; ValueError, KeyError or TypeError where it is none of an export."""
        if "antibody_ledger" in said:
            self._header(said)
        elif "note" in said:
            self._note(said["note"])
        else:
            self._entry(said)

    def _header(self, said: dict[str, Any]) -> None:
        if said["antibody_ledger"] != EXPORT_VERSION or self.tenant:
            raise ValueError(f"it is no exported ledger of version {EXPORT_VERSION}")
        self.tenant, own = said["tenant"], said.get("verifier_key")
        if self.key and own and own != self.key:
            self.wrong(None, "The file names another key than the one that was given.")
        self.key = self.key or own

    def _note(self, text: str) -> None:
        if self.size:
            raise ValueError("a note stands among the entries")
        if not self.key:
            self.wrong(None, "There is a note, and no key.")
            return
        try:
            size, root = open_note(text, *parse_key(self.key), self.is_signed)
        except ValueError as error:
            self.wrong(None, f"A note cannot be verified: {error}.")
            return
        if self.roots.setdefault(size, root) != root:
            self.wrong(None, f"Two notes about {size} entries contradict each other.")

    def _entry(self, said: dict[str, Any]) -> None:
        seq, body = said["seq"], said["body"].encode()
        if seq != self.size:
            self.wrong(min(seq, self.size), f"Number {seq} stands where {self.size} belongs.")
        leaf = hashlib.sha256(b"\x00" + body).digest()
        if "leaf" in said and base64.b64decode(said["leaf"], validate=True) != leaf:
            self.wrong(seq, "Its bytes are not those that were signed.")
        self._words(seq, body, said)
        grow(self.peaks, leaf)
        self.size += 1
        if self.size in self.roots:
            self._compare(self.roots[self.size])

    def _compare(self, root: bytes) -> None:
        """The tree of this size was signed; of what is bad already, no more is said."""
        if root == root_of(self.peaks):
            self.good = self.size
        elif self.first_bad is None:
            self.wrong(self.good, f"Entries from {self.good} on are not those that were signed.")

    def _words(self, seq: int, body: bytes, said: dict[str, Any]) -> None:
        try:
            entry = json.loads(body)
            known, tenant, private = entry["id"], entry["tenant"], entry.get("private")
        except (ValueError, KeyError, TypeError):
            self.wrong(seq, "Its bytes are no entry.")
            return
        if tenant != self.tenant:
            self.wrong(seq, "It is another tenant's.")
        if known in self.ids:
            self.wrong(seq, f"{known} was there before.")
        self.ids.add(known)
        if "payload" in said:
            salted = bytes.fromhex(said["salt"]) + said["payload"].encode()
            if hashlib.sha256(salted).hexdigest() != private:
                self.wrong(seq, "Its bytes were made with something else said in private.")

    def end(self) -> None:
        """What can only be said when all has been read."""
        if not self.tenant:
            raise ValueError("it is no exported ledger")
        signed = max(self.roots, default=0)
        if signed > self.size:
            self.wrong(self.size, f"{signed} entries were signed; the file ends before.")


def verify(
    lines: Iterable[str],
    key: str | None = None,
    signed: Callable[[bytes, bytes, bytes], bool] = is_signed,
) -> dict[str, Any]:
    """What is found in the lines of an exported ledger; ValueError, KeyError or TypeError where they are none."""
    found = Verification(key, signed)
    for line in lines:
        found.take(json.loads(line))
    found.end()
    return {
        "tenant": found.tenant,
        "entries": found.size,
        "signed": max(found.roots, default=0),
        "notes": len(found.roots),
        "valid": not found.problems,
        "first_bad": found.first_bad,
        "problems": found.problems[:MOST_TOLD],
        "key": "given" if key else "the file's own",
    }


def main() -> None:
    """One file, verified."""
    parser = argparse.ArgumentParser(
        description="Verifies an exported ledger, without the product."
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--key", help="the verifier key: <name>+<key id>+<base64>")
    parser.add_argument("--pure", action="store_true", help="do without the package cryptography")
    said = parser.parse_args()
    try:
        if said.key:
            parse_key(said.key)
        with said.file.open(encoding="utf-8") as lines:
            found = verify(lines, said.key, is_signed if said.pure else best())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        sys.exit(f"{said.file} cannot be verified: {error}")
    print(json.dumps(found))
    sys.exit(0 if found["valid"] else 1)


if __name__ == "__main__":
    main()
