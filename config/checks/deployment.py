"""Checks of what a process was started with: settings that must never serve, and the files of its secrets."""

from __future__ import annotations

import stat
from pathlib import Path

from django.conf import settings

from ..secrets import given

LEAST_KEY_LENGTH = 50
LEAST_KEY_CHARACTERS = 5  # different ones; what Django's own deployment check asks for
MADE_BY_DJANGO = "django-insecure-"  # what startproject writes into a settings file

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def debug() -> str | None:
    if settings.DEBUG:
        return "DEBUG is on: error pages would show settings and memory. Start with DEBUG=false."
    return None


def secret_key() -> str | None:
    key = settings.SECRET_KEY
    if (
        len(key) < LEAST_KEY_LENGTH
        or len(set(key)) < LEAST_KEY_CHARACTERS
        or key.startswith(MADE_BY_DJANGO)
    ):
        return (
            f"SECRET_KEY can be guessed: give one of at least {LEAST_KEY_LENGTH} random characters,"
            " or none, and one is made and kept."
        )
    return None


def allowed_hosts() -> str | None:
    hosts = settings.ALLOWED_HOSTS
    if not hosts:
        return "ALLOWED_HOSTS is empty: name the hosts that this site is reached by."
    if any(host in {"*", ".", ""} for host in hosts):
        return "ALLOWED_HOSTS allows any host: name those that this site is reached by."
    return None


def secret_files() -> str | None:
    """Each secret that this process was given out of a file is still there, the same, and nobody else may read it."""
    for place, secret in given().items():
        if wrong := _wrong_with(place, secret):
            return wrong
    return None


def _wrong_with(place: Path, secret: str) -> str | None:
    shown = f"secrets/{place.name} in the data folder"
    try:
        folder, file, kept = place.parent.stat(), place.stat(), place.read_text().strip()
    except OSError as error:
        return f"{shown} cannot be read ({error.strerror}): put it back from a backup."
    if file.st_mode & OTHERS or folder.st_mode & OTHERS:
        return f"{shown} may be read by others: chmod 600 the file, and 700 its folder."
    if not kept:
        return f"{shown} is empty: put it back from a backup."
    if kept != secret:
        return f"{shown} is not what this process started with: start it anew."
    return None
