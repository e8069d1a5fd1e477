"""A worker process that asks the guard in its own memory: a line on stdin, a verdict with its moment on stdout."""

from __future__ import annotations

import json
import sys
import time

import tests.site  # noqa: F401 - the test's database
from governance.actors import LOOP
from governance.database.tenancy import tenant_scope
from policies.services import guard


def main() -> None:
    """``argv[1]`` is the tenant."""
    for line in sys.stdin:
        began = time.monotonic()
        with tenant_scope(sys.argv[1]):
            answer = guard.decide(**json.loads(line), actor=LOOP)
        told = {
            "began": began,
            "verdict": answer.verdict,
            "policies": [one["id"] for one in answer.policies],
        }
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
