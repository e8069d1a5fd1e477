"""Secrets that the product makes for itself once, in a folder that only its own user may read."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path


def kept_secret(data_dir: Path, name: str) -> str:
    """The secret of this name, made at first use; two processes at once end with the same one."""
    folder = data_dir / "secrets"
    place = folder / name
    try:
        return place.read_text().strip()
    except FileNotFoundError:
        pass
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=folder)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(64))
    try:
        # link() fails when the name exists, so that the first writer wins and everybody reads his.
        os.link(draft, place)
    except FileExistsError:
        pass
    finally:
        Path(draft).unlink()
    return place.read_text().strip()
