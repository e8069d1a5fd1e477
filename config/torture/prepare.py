"""Tables, a tenant and two tokens in a fresh data directory; a program, because its settings are not ours."""

from __future__ import annotations

import json
import sys

import django

TENANT = "torture"


def main() -> None:
    django.setup()
    from config.database import prepare_from_settings
    from config.management.commands.create_token import agent_token, person_token
    from config.serving import first
    from governance import tenants

    prepare_from_settings()
    first.migrate()
    tenant = tenants.make_tenant(TENANT)
    tokens = {
        "agent_token": agent_token(tenant, "torture"),
        "reviewer_token": person_token(tenant, "rita", "reviewer"),
    }
    sys.stdout.write(f"{json.dumps(tokens)}\n")


if __name__ == "__main__":
    main()
