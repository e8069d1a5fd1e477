"""A token for an agent or for a person, with everything that it needs made on the way."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any
from urllib.parse import urlsplit

from django.core.management.base import BaseCommand, CommandError

from governance import tenants, tokens
from governance.database.tenancy import tenant_scope
from governance.models import Account, Role, Tenant, User


class Command(BaseCommand):
    help = "Make an API token: of a service account (--name) or of a person (--user with --role)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--tenant", required=True, help="the tenant's slug; made when it is new"
        )
        parser.add_argument("--name", help="the service account's name; made when it is new")
        parser.add_argument(
            "--user", help="the person's user name; made, without a password, when it is new"
        )
        parser.add_argument("--role", choices=Role.values, help="the person's role in the tenant")
        parser.add_argument(
            "--dsn",
            metavar="URL",
            help="with --name: print the DSN for Sentry's clients too, for the site at this address",
        )
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["name"]) == bool(options["user"]):
            raise CommandError(
                "Give either --name, for an agent, or --user with --role, for a person."
            )
        if options["user"] and not options["role"]:
            raise CommandError(f"--user needs --role: {', '.join(Role.values)}.")
        address = urlsplit(options["dsn"] or "http://unsaid")
        if address.scheme not in ("http", "https") or not address.hostname:
            raise CommandError(
                "--dsn must be an address of this site, as in http://localhost:8000."
            )
        tenant = tenants.make_tenant(options["tenant"])
        if options["name"]:
            token = agent_token(tenant, options["name"])
        else:
            token = person_token(tenant, options["user"], options["role"])
        said = {"token": token}
        if options["dsn"]:
            said["dsn"] = f"{address.scheme}://{token}@{address.netloc}/1"
        self.stdout.write(json.dumps(said) if options["json"] else "\n".join(said.values()))


def agent_token(tenant: Tenant, name: str) -> str:
    """A new token of the tenant's service account of this name."""
    with tenant_scope(tenant.id):
        account, _ = Account.objects.get_or_create(name=name)
        return tokens.make_token(name=name, account=account)


def person_token(tenant: Tenant, name: str, role: str) -> str:
    """A new token of the person of this name, who gets the role."""
    user = User.objects.filter(username=name).first() or User.objects.create_user(
        name, is_staff=True
    )
    tenants.add_member(tenant, user, role)
    with tenant_scope(tenant.id):
        return tokens.make_token(name=name, user=user)
