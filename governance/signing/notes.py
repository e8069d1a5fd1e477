"""Signed notes about a tree: the text of C2SP tlog-checkpoint, signed as C2SP signed-note with Ed25519.

antibody.invalid/ledger/ten_…          the origin: which tree
1234                                   how many leaves
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2…      the root, base64
                                       (an empty line)
— antibody.invalid/ledger/ten_… Az3g…  who signs (the name is the origin), base64 of key id and signature
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .tree import HASH_LENGTH

ORIGIN = "antibody.invalid/ledger/"
ED25519 = b"\x01"
KEY_ID_LENGTH = 4
LONGEST_NOTE = 100_000
# As many as a Python and a JavaScript reader agree about.
MOST_LEAVES = 2**53
_TENANT = re.compile(r"ten_[0-9a-z]{26}")


class BadNote(ValueError):
    """A text is no note of ours, or is not signed by the key that should have; the message says why."""


@dataclass(frozen=True, slots=True)
class Note:
    """What a note says of a tree, and its text with the signature."""

    origin: str
    size: int
    root: bytes
    text: str


def origin_of(tenant_id: str) -> str:
    """The name of a tenant's tree, and of the key when it signs that tree."""
    return f"{ORIGIN}{tenant_id}"


def tenant_of(origin: str) -> str:
    """The tenant whose tree it is. Raises BadNote."""
    tenant_id = origin.removeprefix(ORIGIN)
    if not origin.startswith(ORIGIN) or not _TENANT.fullmatch(tenant_id):
        raise BadNote(f"{origin[:100]!r} is not the name of a tree of ours.")
    return tenant_id


def key_id(name: str, public: bytes) -> bytes:
    """What a signature calls its key by."""
    return hashlib.sha256(name.encode() + b"\n" + ED25519 + public).digest()[:KEY_ID_LENGTH]


def verifier_key(name: str, public: bytes) -> str:
    """The public key as tools for signed notes take it: ``<name>+<key id>+<base64>``."""
    return f"{name}+{key_id(name, public).hex()}+{b64encode(ED25519 + public).decode()}"


def sign(origin: str, size: int, root: bytes, key: Ed25519PrivateKey) -> Note:
    """A signed note."""
    body = f"{origin}\n{size}\n{b64encode(root).decode()}\n"
    signature = key_id(origin, key.public_key().public_bytes_raw()) + key.sign(body.encode())
    return Note(origin, size, root, f"{body}\n\u2014 {origin} {b64encode(signature).decode()}\n")


def read(text: str) -> Note:
    """What a note says; whether it is signed is not asked. Raises BadNote."""
    body, _ = _parts(text)
    origin, size, root, *_ = [*body.split("\n"), "", "", ""]
    if not size.isascii() or not size.isdigit() or size != str(int(size)):
        raise BadNote("The second line of a note must be the size of the tree.")
    hashed = _decoded(root)
    if not origin or len(hashed) != HASH_LENGTH or int(size) > MOST_LEAVES:
        raise BadNote("A note begins with its origin, the size of the tree and its root.")
    return Note(origin, int(size), hashed, text)


def verify(text: str, origin: str, public: bytes) -> Note:
    """The note, if it is about this tree and signed by this key. Raises BadNote.

    Other signatures are ignored; one that claims to be this key's and is not spoils the note.
    """
    note = read(text)
    if note.origin != origin:
        raise BadNote(f"The note is about {note.origin}, not about {origin}.")
    body, signatures = _parts(text)
    wanted, key = key_id(origin, public), Ed25519PublicKey.from_public_bytes(public)
    mine = [
        signature[KEY_ID_LENGTH:]
        for name, signature in signatures
        if name == origin and signature[:KEY_ID_LENGTH] == wanted
    ]
    if not mine:
        raise BadNote("The note is not signed by this key.")
    try:
        for signature in mine:
            key.verify(signature, body.encode())
    except InvalidSignature:
        raise BadNote("The note's signature is not right.") from None
    return note


def _parts(text: str) -> tuple[str, list[tuple[str, bytes]]]:
    """The signed text with its last newline, and (name, key id and signature) of each signature."""
    body, gap, below = text.rpartition("\n\n")
    if not gap or not below.endswith("\n") or len(text) > LONGEST_NOTE:
        raise BadNote("A note is a text, an empty line and signatures.")
    signatures = []
    for line in below[:-1].split("\n"):
        dash, _, rest = line.partition(" ")
        name, _, signature = rest.partition(" ")
        if dash != "\u2014" or not name or not signature:
            raise BadNote("A line of the signatures is no signature.")
        signatures.append((name, _decoded(signature)))
    return f"{body}\n", signatures


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (NotBase64, ValueError):
        raise BadNote("A part of the note is not base64.") from None
