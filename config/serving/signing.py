"""The signer as a child of ``serve``: a process of its own, started again when it falls."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading

from django.conf import settings

log = logging.getLogger("antibody.serve")

PAUSE_SECONDS = 1.0
LEAVES_WITHIN_SECONDS = 5.0


class SignerProcess(threading.Thread):
    """Keeps the signer running until ``leaving`` is set. It ends by itself when this process is gone."""

    def __init__(self, leaving: threading.Event) -> None:
        super().__init__(name="signer", daemon=True)
        self.leaving = leaving

    def run(self) -> None:
        while not self.leaving.is_set():
            process = _start()
            while process.poll() is None and not self.leaving.wait(0.2):
                pass
            fell = process.poll() is not None
            _end(process)
            if fell and not self.leaving.wait(PAUSE_SECONDS):
                log.warning(
                    "the signer fell (exit code %s); it is started again", process.returncode
                )


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "governance.signing", str(settings.LEDGER_DIR), "--child"],
        cwd=settings.BASE_DIR,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()  # which is how it is told; nothing was ever written, so that this cannot fail
    try:
        process.wait(LEAVES_WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
