"""The ledger over the API: what is read there verifies without us, and is the tenant's own."""

from __future__ import annotations

import json
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from governance import ledger
from governance.actors import COMMAND
from governance.database.tenancy import tenant_scope
from governance.gestures import new_gesture
from governance.ledger import notary
from governance.ledger.sequencer import number_entries
from governance.models import Tenant
from governance.signing import notes, outside, tree
from governance.signing.signer import Server, Signer, make_key
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)
Api = Callable[..., APIClient]


@pytest.fixture
def acme(tmp_path: Path, settings: Any) -> Iterator[Tenant]:
    """A tenant with a signer at work."""
    settings.LEDGER_DIR = tmp_path / "ledger"
    server = Server(settings.LEDGER_DIR, Signer(settings.LEDGER_DIR, make_key(settings.LEDGER_DIR)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield factories.tenant("acme")
    server.shutdown()
    thread.join()
    server.server_close()


def person(api: Api, of: Tenant, role: str = "viewer") -> APIClient:
    return api(factories.person_token(of, factories.member(of, f"{role} of {of.slug}", role)))


def say(of: Tenant, reason: str = "") -> str:
    with tenant_scope(of.id):
        return ledger.append("test.said", "sub_1", actor=COMMAND, reason=reason, amount=3)


def sign() -> None:
    number_entries()
    notary.sign_all()


def test_a_receipt_verifies_with_the_public_key_alone(
    api: Api, acme: Tenant, settings: Any
) -> None:
    mine, client = say(acme), person(api, acme)
    early = client.get(f"/api/v1/ledger/entries/{mine}/receipt")
    assert (early.status_code, early.json()["code"]) == (404, "not_signed_yet")
    assert client.get("/api/v1/ledger/note").json()["code"] == "not_signed_yet"
    sign()

    entry = client.get(f"/api/v1/ledger/entries/{mine}").json()
    receipt = client.get(f"/api/v1/ledger/entries/{mine}/receipt").json()
    public = outside.public_key(settings.LEDGER_DIR)
    assert public is not None
    note = notes.verify(receipt["note"], notes.origin_of(acme.id), public)
    assert (receipt["seq"], receipt["size"]) == (entry["seq"], note.size)
    tree.verify_inclusion(
        receipt["seq"],
        note.size,
        [b64decode(each) for each in receipt["proof"]],
        tree.leaf_hash(entry["body"].encode()),
        note.root,
    )
    latest = client.get("/api/v1/ledger/note").json()
    assert latest["note"] == receipt["note"]
    assert latest["verifier_key"] == notes.verifier_key(note.origin, public)


def test_growth_is_proven_between_any_two_sizes(api: Api, acme: Tenant) -> None:
    for _ in range(4):
        say(acme)
    client = person(api, acme)
    sign()
    size = client.get("/api/v1/ledger/note").json()["size"]
    assert size > 4
    for old in range(1, size + 1):
        said = client.get(f"/api/v1/ledger/consistency?old={old}").json()
        proof = [b64decode(each) for each in said["proof"]]
        roots = b64decode(said["old_root_hash"]), b64decode(said["root_hash"])
        tree.verify_consistency(old, size, proof, *roots)
    assert client.get("/api/v1/ledger/consistency?old=2&size=3").json()["size"] == 3
    for wrong in ("", "?old=0", f"?old={size + 1}", "?old=3&size=2", "?old=x", "?old=1&size=9999"):
        answer = client.get(f"/api/v1/ledger/consistency{wrong}")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid"), wrong


def test_entries_are_listed_by_gesture_and_subject(api: Api, acme: Tenant) -> None:
    with new_gesture() as made:
        mine = say(acme, "because")
    say(acme)
    client = person(api, acme)
    found = client.get(f"/api/v1/ledger/entries?gesture={made}").json()["results"]
    assert [entry["id"] for entry in found] == [mine]
    assert found[0].keys() == {"id", "kind", "subject", "actor", "gesture", "at"}
    assert len(client.get("/api/v1/ledger/entries?subject=sub_1").json()["results"]) == 2
    detail = client.get(f"/api/v1/ledger/entries/{mine}").json()
    assert detail["private"] == {"reason": "because"}
    assert json.loads(detail["body"])["gesture"] == made


def test_only_an_admin_erases(api: Api, acme: Tenant) -> None:
    mine = say(acme, "Rosa wants it")
    where = f"/api/v1/ledger/entries/{mine}/erase"
    for role in ("viewer", "reviewer", "operator"):
        assert person(api, acme, role).post(where, {"reason": "no"}).status_code == 403
    admin = person(api, acme, "admin")
    assert admin.post(where, {}).status_code == 400
    answer = admin.post(where, {"reason": "she asked"})
    assert (answer.status_code, answer.json()["private"]) == (200, None)
    assert admin.post(where, {"reason": "again"}).status_code == 409
    told = admin.get(f"/api/v1/ledger/entries?subject={mine}").json()["results"]
    assert [entry["kind"] for entry in told] == ["ledger.erased"]


def test_another_tenants_ledger_is_not_there(api: Api, acme: Tenant) -> None:
    mine, umbra = say(acme), factories.tenant("umbra")
    client = person(api, umbra, "admin")
    sign()
    for address in ("", "/receipt"):
        assert client.get(f"/api/v1/ledger/entries/{mine}{address}").status_code == 404
    assert client.post(f"/api/v1/ledger/entries/{mine}/erase", {"reason": "x"}).status_code == 404
    assert mine not in client.get("/api/v1/ledger/entries").content.decode()
    assert acme.id not in client.get("/api/v1/ledger/note").content.decode()


def test_agents_do_not_read_it(api: Api, acme: Tenant) -> None:
    client = api(factories.agent_token(acme))
    for address in ("entries", "note", "consistency?old=1"):
        assert client.get(f"/api/v1/ledger/{address}").status_code == 403


def test_a_timeline_tells_which_gesture_caused_what(api: Api, acme: Tenant) -> None:
    reported = api(factories.agent_token(acme)).post(
        "/api/v1/incidents", {"error_type": "E", "message": "m", "agent_id": "scout", "tool": "t"}
    )
    client = person(api, acme)
    where = f"/api/v1/integration/timeline/{reported.json()['id']}"
    everything = client.get(where).json()["timeline"]
    assert {event["gesture"] for event in everything} == {reported["Gesture-Id"]}
    mine = client.get(f"{where}?gesture={reported['Gesture-Id']}").json()["timeline"]
    assert mine == everything
    assert client.get(f"{where}?gesture=ges_other").json()["timeline"] == []
