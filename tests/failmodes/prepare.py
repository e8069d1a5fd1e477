"""Tables, a tenant, two tokens, a session, and a policy that denies, in a fresh data directory; a program of its own."""

from __future__ import annotations

import json
import sys

import django


def main() -> None:
    django.setup()
    from django.contrib.sessions.backends.db import SessionStore

    from config.database import prepare_from_settings
    from config.management.commands.create_token import agent_token, person_token
    from config.serving import first
    from governance import tenants
    from governance.database.tenancy import tenant_scope
    from governance.models import User
    from policies.models import Policy
    from policies.services import policy_set

    prepare_from_settings()
    first.migrate()
    tenant = tenants.make_tenant("acme", llm_recoveries=True)
    agent, person = agent_token(tenant, "scout"), person_token(tenant, "rita", "operator")
    with tenant_scope(tenant.id):
        refusing = Policy.objects.create(
            name="no", state="active", tool="forbidden", condition='action.tool == "forbidden"'
        )
        policy_set.bump([refusing])
    rita = User.objects.get(username="rita")
    session = SessionStore()
    session["_auth_user_id"] = str(rita.pk)
    session["_auth_user_backend"] = "django.contrib.auth.backends.ModelBackend"
    session["_auth_user_hash"] = rita.get_session_auth_hash()
    session.save()
    made = {
        "tenant": tenant.id,
        "agent": agent,
        "person": person,
        "session": session.session_key or "",
    }
    sys.stdout.write(json.dumps(made))


if __name__ == "__main__":
    main()
