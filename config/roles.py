"""The page about roles, made from the matrix and from what each right opens."""

from __future__ import annotations

from collections.abc import Iterator

from governance.access.matrix import MATRIX, Right
from governance.models import Role

from .doors import Door, doors

HEAD = """# Roles: who may do what

Made by `manage.py roles --write` from `governance/access/matrix.py`; a test fails when it is stale, and another one
tries every door below as each of these principals. Change the matrix, not this page.

A person has one role in each tenant, and each role may do what those before it may. An *agent* is a service account:
whatever it carries, it can never decide for people. *The server* is whoever runs it (Django's superusers): that alone
opens no tenant. Nobody raises their own rights, nobody decides what they asked for, and a tenant's last admin stays
one until there is another.
"""


def page() -> str:
    """The whole page in Markdown."""
    found = list(doors())
    return "\n".join([HEAD, *_table(), "", "## What each right opens", *_opened(found)]) + "\n"


def _table() -> Iterator[str]:
    yield "| may | agent | " + " | ".join(Role.values) + " | the server |"
    yield "|---|" + ":-:|" * (len(Role.values) + 2)
    for right in MATRIX:
        if right.public:
            continue
        cells = [right.agents, *(right.belongs_to(role) for role in Role), right.server]
        yield f"| {right.name} | " + " | ".join("yes" if cell else "" for cell in cells) + " |"


def _opened(found: list[Door]) -> Iterator[str]:
    for right in MATRIX:
        yield f"\n**{right.name[0].upper()}{right.name[1:]}** ({right.holders}). {right.covers}\n"
        yield from sorted(f"- {door.kind}: `{door}`" for door in found if door.right is right)


def unopened() -> list[Right]:
    """Rights of the matrix that open nothing: words without a door."""
    used = {door.right for door in doors()}
    return [right for right in MATRIX if right not in used]
