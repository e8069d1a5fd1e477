"""Secrets that the product makes for itself once, in a folder that only its own user may read."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path

_given: dict[Path, str] = {}


def kept_secret(data_dir: Path, name: str) -> str:
    """The secret of this name, made at first use; two processes at once end with the same one."""
    place = data_dir / "secrets" / name
    secret = _given[place] = _read_or_make(place)
    return secret


def given() -> Mapping[Path, str]:
    """The secrets that this process was given, by their files."""
    return dict(_given)


def _read_or_make(place: Path) -> str:
    try:
        return place.read_text().strip()
    except FileNotFoundError:
        pass
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=place.parent)
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
