#!/usr/bin/env python3
"""Fails when a locked package has a known vulnerability; says so when nobody could be asked.

pip-audit alone answers "none found" with exit 0 when its service does not know a single package,
as behind a mirror that carries files only. So what was really audited is counted here. OSV_URL names another
service to ask, which speaks OSV's protocol: a mirror of one's own network.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DEADLINE_SECONDS = 180


def ask(locked: str) -> list[dict[str, Any]]:
    """pip-audit's answer for each package of a lock file; empty when it gave none at all."""
    command = [
        sys.executable, "-m", "pip_audit", "--requirement", locked, "--require-hashes",
        "--disable-pip", "--progress-spinner", "off", "--format", "json",
    ]  # fmt: skip
    if url := os.environ.get("OSV_URL"):
        command += ["--vulnerability-service", "osv", "--osv-url", url]
    try:
        answer = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
        )
        packages: list[dict[str, Any]] = json.loads(answer.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        return []
    return packages


def report(locked: str) -> bool:
    """Prints what is known about one lock file; False when something in it is vulnerable."""
    packages = ask(locked)
    audited = [package for package in packages if "skip_reason" not in package]
    if not audited:
        print(f"{locked}: SKIPPED, the vulnerability service could not be reached")
        return True
    vulnerable = [package for package in audited if package["vulns"]]
    for package in vulnerable:
        ids = ", ".join(vulnerability["id"] for vulnerability in package["vulns"])
        print(f"{locked}: {package['name']} {package['version']}: {ids}")
    print(f"{locked}: {len(audited)} of {len(packages)} audited, {len(vulnerable)} vulnerable")
    return not vulnerable


if __name__ == "__main__":
    answers = [report(locked) for locked in sys.argv[1:] or ["requirements/dev.txt"]]
    sys.exit(0 if all(answers) else 1)
