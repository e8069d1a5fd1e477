"""A real signer, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

UP_WITHIN = 30.0


@contextmanager
def signer(directory: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """The signer of a directory, listening; killed at the end, if it has not left by itself."""
    process = subprocess.Popen(
        [sys.executable, "-m", "governance.signing", str(directory), *words],
        cwd=settings.BASE_DIR,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"signing\n"
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def has_left(process: subprocess.Popen[bytes]) -> int:
    """The exit code, soon."""
    latest = time.monotonic() + UP_WITHIN
    while process.poll() is None and time.monotonic() < latest:
        time.sleep(0.01)
    assert process.returncode is not None, "the signer is still there"
    return process.returncode
