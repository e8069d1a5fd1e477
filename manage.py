#!/usr/bin/env python
"""The command line: what owns tables runs as the owner, everything else as the app's own login."""

import os
import sys

OWNERS_COMMANDS = {"migrate", "sqlmigrate", "dbshell"}
# serve starts the database itself, because it also stops it.
WITHOUT_DATABASE = {
    "",
    "backup",  # as an administrator, and without our roles' passwords
    "check",
    "collectstatic",
    "failmodes",
    "help",
    "makemigrations",
    "policy lint",
    "policy test",
    "preflight",  # says itself what is wrong with it
    "replay",
    "restore",
    "serve",
    "sign_ledger",
    "spectacular",
    "torture",  # has a database of its own
}


def main() -> None:
    """Run one command, with the database started and prepared where it needs one."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    command = words[0] if words else ""
    if command in OWNERS_COMMANDS:
        os.environ.setdefault("ANTIBODY_LOGIN", "owner")
    if command == "serve":
        # Its server gives every request a thread of its own, and a thread alone would connect anew.
        os.environ.setdefault("ANTIBODY_POOL", "24")

    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    from config.database import DatabaseError, prepare_from_settings
    from governance.gestures import new_gesture

    try:
        if WITHOUT_DATABASE.isdisjoint({command, " ".join(words[:2])}):
            prepare_from_settings()
        with new_gesture():
            execute_from_command_line(sys.argv)
    except (DatabaseError, ImproperlyConfigured) as error:
        sys.exit(f"antibody: {error}")


if __name__ == "__main__":
    main()
