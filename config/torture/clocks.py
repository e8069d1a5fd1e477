"""A clock that a process believes, and that can be turned while it runs; by libfaketime, where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from .outsider import Stuck

# A turned clock may be off by as much as asking for it takes on a busy machine.
OFF_BY_SECONDS = 60


def is_installed() -> bool:
    return shutil.which("faketime") is not None


class Clock:
    """A file that says how far off the clock is, and the environment that makes a process look there."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def show(self, seconds: int) -> None:
        """Turn it: so many seconds from the true time."""
        half = self.file.with_suffix(".half")
        half.write_text(f"{seconds:+d}\n")
        half.chmod(0o644)
        half.replace(self.file)

    def env(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": _library(),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_CACHE_DURATION": "1",
            # Time-outs are counted by the clock that nobody can turn.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Nothing of it stays behind in the machine when the process is killed.
            "FAKETIME_DISABLE_SHM": "1",
        }

    def check(self, seconds: int) -> None:
        """Ask a process what it believes. Raises Stuck when the clock does not turn it."""
        believed = int(_run("date", "+%s", env=self.env()))
        if abs(believed - time.time() - seconds) > OFF_BY_SECONDS:
            raise Stuck(f"the clock is off by {believed - time.time():.0f} s, not by {seconds}")


def _library() -> str:
    """Where the library is; its own program knows best."""
    return _run("faketime", "-f", "+0", "printenv", "LD_PRELOAD", env={})


def _run(name: str, *words: str, env: dict[str, str]) -> str:
    program = shutil.which(name)
    assert program is not None, f"{name} is not installed"
    return subprocess.run(  # noqa: S603 - found on the machine's own path
        [program, *words],
        env={"PATH": os.environ.get("PATH", os.defpath), **env},
        check=True,
        capture_output=True,
        text=True,
        timeout=10,
    ).stdout.strip()
