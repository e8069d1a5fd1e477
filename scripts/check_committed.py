#!/usr/bin/env python3
"""Fails when a file of the repository names a package index, or a path of the machine it was written on.

Looks at everything that git tracks or would add, so that it speaks before the commit.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Parents that every machine has: naming them tells nothing about this one.
ORDINARY = {"/", "/home", "/mnt", "/opt", "/root", "/srv", "/tmp", "/usr/src", "/var"}  # noqa: S108

INDEX_ADDRESS = re.compile(
    r"pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|rubygems\.org|crates\.io|proxy\.golang\.org"
    r"|--(?:index-url|extra-index-url|find-links|trusted-host)"
)
SOMEBODYS_HOME = re.compile(r"/(?:home|Users)/[A-Za-z][\w.-]*/|/root/\w")


def machine_paths() -> list[re.Pattern[str]]:
    """This checkout and the folder it lies in, when that one is not a place every machine has."""
    places = {str(ROOT), str(ROOT.parent)} - ORDINARY
    return [re.compile(rf"(?<![\w.]){re.escape(place)}(?![\w-])") for place in sorted(places)]


def repository_files() -> list[Path]:
    """Tracked files, and new ones that .gitignore does not name."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    files = (ROOT / name for name in listed.split("\0") if name)
    return [file for file in files if file.is_file()]


def findings() -> list[str]:
    """One line per place, as path:line: what was found."""
    patterns = [INDEX_ADDRESS, SOMEBODYS_HOME, *machine_paths()]
    found = []
    for file in repository_files():
        text = file.read_bytes().decode("utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), start=1):
            found += [
                f"{file.relative_to(ROOT)}:{number}: {match.group()}"
                for pattern in patterns
                if (match := pattern.search(line))
            ]
    return found


def main() -> int:
    if not (ROOT / ".git").exists():
        print("Not a git checkout: nothing here is committed.")
        return 0
    found = findings()
    print("\n".join(found) if found else "No index address, no machine path.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
