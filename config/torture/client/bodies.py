"""Bodies that hurt: what is wrong with the request itself, and poison for those who take it."""

from __future__ import annotations

import json

from .api import GaveUp
from .attack import Attack

# What a hostile body may be answered with: it is refused, not half taken.
REFUSED = {400, 413}


def feed_poison(attack: Attack) -> str:
    """An incident of the known kind that makes a bridge ill."""
    office, said = attack.office, attack.office.task.known["scene"]
    poison, stage = attack.details["poison"], attack.details["stage"]
    key = f"{poison}/{stage}/{attack.unique('n')}"
    return office.report(
        office.agent("scene"),
        {**said, "agent_id": "poisoner", "source": "poison", "source_key": key},
    )


def send_hostile_bodies(attack: Attack) -> dict[str, int]:
    """Bodies that hurt whoever reads them carelessly: each is refused by name, and leaves nothing behind."""
    api, seen = attack.office.agent("world"), {}
    for path in ("incidents", "guard/decisions"):
        for name, body in hostile_bodies(attack.unique("hostile")).items():
            answer = api.post_bytes(path, body)
            seen[f"{path} {name}"] = answer.status_code
            if answer.status_code not in REFUSED:
                raise GaveUp(f"{name} was answered by {path} with {answer.status_code}")
    return seen


def hostile_bodies(key: str) -> dict[str, bytes]:
    """Each would be a fine report but for the one thing that it is named for."""
    said = {
        "agent_id": "h",
        "error_type": "E",
        "message": "@",
        "source": "hostile",
        "source_key": key,
    }
    fine = json.dumps(said)
    return {
        "NUL": fine.replace("@", "a\\u0000b").encode(),
        "a raw NUL": fine.replace("@", "a\x00b").encode(),
        "depth 5000": fine.replace('"@"', f'"x", "context": {"[" * 5_000}{"]" * 5_000}').encode(),
        "10 MB": fine.replace("@", "x" * 10 * 2**20).encode(),
        "half a character": fine.replace("@", "\\ud800").encode(),
        "a key twice": fine.replace('"@"', '"x", "message": "y"').encode(),
        "no UTF-8": fine.replace("@", "\xff").encode("latin-1"),
        "half a body": fine[: len(fine) // 2].encode(),
        "an endless number": fine.replace(
            '"@"', f'"x", "context": {{"n": {"9" * 5_000}}}'
        ).encode(),
    }
