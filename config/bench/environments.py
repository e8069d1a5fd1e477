"""Environments of rivals: each in one of its own, made at first use, because the product does not need it."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path

from django.conf import settings


class CannotRun(RuntimeError):
    """This rival cannot run on this machine; the message says why."""


def is_installed(requirement: str) -> bool:
    """Whether the environment of a requirement (``name==version``) has been made."""
    return (_home(requirement) / "installed").exists()


def python_with(requirement: str) -> Path:
    """The Python of the environment that has this requirement. Raises CannotRun where pip cannot install it."""
    home = _home(requirement)
    python = home / "bin" / "python"
    if is_installed(requirement):
        return python
    venv.create(home, with_pip=True, clear=True)
    tried = subprocess.run(  # noqa: S603 - our own words
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode:
        said = " / ".join(tried.stderr.strip().splitlines()[-2:])
        raise CannotRun(f"{requirement} cannot be installed: {said}")
    (home / "installed").touch()
    return python


def _home(requirement: str) -> Path:
    return Path(settings.DATA_DIR) / "bench" / requirement.replace("==", "-")
