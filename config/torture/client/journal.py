"""What was promised, on the disk."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path


class Journal:
    """The ids that were acknowledged, one JSON pair in a line, each on the disk before ``write`` returns."""

    def __init__(self, path: Path) -> None:
        self.lock = threading.Lock()
        self.handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, kind: str, record_id: str) -> None:
        with self.lock:
            os.write(self.handle, f"{json.dumps([kind, record_id])}\n".encode())
            os.fsync(self.handle)


def read_journal(path: Path) -> list[tuple[str, str]]:
    """What a journal holds so far: (kind, id), each once. A line that is still being written is left out."""
    if not path.exists():
        return []
    whole = path.read_bytes().rpartition(b"\n")[0]
    return list(dict.fromkeys((kind, each) for kind, each in map(json.loads, whole.splitlines())))
