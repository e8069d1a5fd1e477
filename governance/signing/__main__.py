"""``python -m governance.signing DIRECTORY``: the signer as a process; ``manage.py sign_ledger`` knows the directory."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from .signer import ONLY_WE, CannotSign, serve


def main() -> None:
    """Sign until told to stop."""
    parser = argparse.ArgumentParser(prog="signing", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--child", action="store_true", help="leave when the standard input ends")
    said = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        serve(said.directory, ONLY_WE, is_child=said.child, say=_say)
    except (CannotSign, OSError) as error:
        sys.exit(f"antibody: {error}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
