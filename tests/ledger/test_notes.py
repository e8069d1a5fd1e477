"""Notes are those of C2SP: what others signed is read, what we sign others can read."""

from __future__ import annotations

from base64 import b64decode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from governance.signing import notes
from governance.signing.notes import BadNote

TENANT = "ten_01jd3v0000000000000000000a"
ORIGIN = notes.origin_of(TENANT)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
ROOT = bytes(reversed(range(32)))


def test_a_note_is_signed_and_verified() -> None:
    made = notes.sign(ORIGIN, 7, ROOT, KEY)
    assert made.text.startswith(f"{ORIGIN}\n7\n")
    assert notes.verify(made.text, ORIGIN, PUBLIC) == made
    assert notes.tenant_of(made.origin) == TENANT


def test_a_note_of_the_specification_is_verified() -> None:
    # The example of c2sp.org/signed-note's Go implementation (golang.org/x/mod/sumdb/note).
    key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    text = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
        "\n"
        "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )
    name, _, rest = key.partition("+")
    public = b64decode(rest.partition("+")[2])[1:]
    assert notes.verifier_key(name, public) == key
    with pytest.raises(BadNote, match="second line"):  # it is about no tree
        notes.read(text)
    body, signatures = notes._parts(text)
    [(signer, signature)] = signatures
    assert (signer, signature[:4]) == (name, notes.key_id(name, public))
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    Ed25519PublicKey.from_public_bytes(public).verify(signature[4:], body.encode())


def test_other_signatures_are_ignored() -> None:
    made = notes.sign(ORIGIN, 7, ROOT, KEY).text
    witness = f"{made}\u2014 witness.example/w {'A' * 96}\n"
    assert notes.verify(witness, ORIGIN, PUBLIC).size == 7


def changed(text: str, before: str, after: str) -> str:
    assert before in text
    return text.replace(before, after, 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: changed(text, "\n7\n", "\n8\n"),
        lambda text: changed(text, "\n7\n", "\n07\n"),
        lambda text: changed(text, "\n7\n", "\n-7\n"),
        lambda text: changed(text, "\n7\n", "\n٧\n"),
        lambda text: changed(text, "\n7\n", f"\n{2**60}\n"),
        lambda text: changed(text, ORIGIN, f"{ORIGIN}x"),
        lambda text: changed(text, "\u2014 ", "- "),
        lambda text: changed(text, "\n\n", "\n"),
        lambda text: text[:-1],
        lambda text: changed(text, "=\n\n", "\n\n"),
        lambda text: text + text.splitlines()[-1][:-6] + "AAAAA=\n",
        lambda text: "",
        lambda text: "\n\n\n",
    ],
)
def test_a_changed_note_is_refused(change) -> None:
    with pytest.raises(BadNote):
        notes.verify(change(notes.sign(ORIGIN, 7, ROOT, KEY).text), ORIGIN, PUBLIC)


def test_another_key_and_another_tree_are_refused() -> None:
    made = notes.sign(ORIGIN, 7, ROOT, KEY).text
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    with pytest.raises(BadNote, match="not signed by this key"):
        notes.verify(made, ORIGIN, other)
    with pytest.raises(BadNote, match="is about"):
        notes.verify(made, notes.origin_of("ten_" + "0" * 26), PUBLIC)


@pytest.mark.parametrize(
    "origin",
    ["", "ten_" + "0" * 26, f"{notes.ORIGIN}../../etc", f"{notes.ORIGIN}ten_x", f"{ORIGIN}\n"],
)
def test_only_our_trees_have_a_place(origin: str) -> None:
    with pytest.raises(BadNote):
        notes.tenant_of(origin)
