"""Tables, tenants, people and tokens in a fresh data directory; a program, because its settings are not ours.

world   people are asked, and a policy watches before it holds
scene   a known failure crosses all five bridges by itself
calls   asks a language model and calls a webhook, without asking people
"""

from __future__ import annotations

import json
import sys
from typing import Any

import django

REVIEWERS = 6
WEBHOOK_MILLISECONDS = 1_000
BROKEN_PRINTER: dict[str, Any] = {
    "error_type": "PrinterError",
    "message": "the printer of the desk is out of paper",
    "tool": "print_ticket",
    "arguments": {"copies": 1},
}


def main(outside: str) -> None:
    django.setup()
    from config.bench import scene
    from config.database import prepare_from_settings
    from config.management.commands.create_token import agent_token, person_token
    from config.serving import first
    from governance import tenants

    prepare_from_settings()
    first.migrate()
    world = tenants.make_tenant("world")
    made = {"world": world, "scene": scene.make("scene"), "calls": _calls(outside)}
    known = {
        name: value
        for name, value in scene.failure(0, "torture").items()
        if name not in {"source", "source_key"}
    }
    place: dict[str, Any] = {
        "tokens": {name: agent_token(tenant, "torture") for name, tenant in made.items()},
        "reviewers": [person_token(world, f"rita-{n}", "reviewer") for n in range(REVIEWERS)],
        "known": {"scene": known, "webhook": BROKEN_PRINTER},
    }
    sys.stdout.write(f"{json.dumps(place)}\n")


def _calls(outside: str) -> Any:
    """The tenant whose remedies are elsewhere."""
    from catalog.models import Pattern
    from governance import tenants
    from governance.actors import COMMAND
    from governance.database.tenancy import tenant_scope
    from governance.identity import register_agent
    from governance.loop.run import run_ready
    from governance.models import Checkpoint
    from incidents import services as incidents
    from recovery.actions import ActionKind
    from recovery.services import make_template

    asked_of_nobody = [
        Checkpoint.Type.APPROVE_RECOVERY.value,
        Checkpoint.Type.APPROVE_POLICY.value,
    ]
    tenant = tenants.make_tenant("calls", checkpoints_off=asked_of_nobody)
    with tenant_scope(tenant.id):
        agent = register_agent("torture", actor=COMMAND)
        incidents.report(agent=agent, actor=COMMAND, source="prepare", **BROKEN_PRINTER)
    run_ready()
    with tenant_scope(tenant.id):
        make_template(
            Pattern.objects.get(),
            name="Tell the janitor",
            kind=ActionKind.WEBHOOK,
            params={"url": f"{outside}/webhook", "timeout_ms": WEBHOOK_MILLISECONDS},
            declared_confidence=0.95,
            actor=COMMAND,
        )
        tenants.change_settings(actor=COMMAND, reason="A model may suggest.", llm_recoveries=True)
    return tenant


if __name__ == "__main__":
    main(sys.argv[1])
