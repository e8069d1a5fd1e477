"""The ledger: what changed, who did it and why, so that nobody can change it afterwards without being found.

    entry (in the transaction of the change) -> number (sequencer) -> tree (RFC 6962) -> signed note, outside

Read ``entries.py`` for what an entry is, ``sequencer.py`` and ``leaves.py`` for how it gets its place, ``signer.py``
for who signs, ``audit.py`` for how it is verified. ``docs/ledger.md`` says what is promised.
"""

from .entries import MAX_REASON, Entry, LedgerError, append, append_all, canonical, digest
from .erasure import erase, reasons_of
from .receipts import Receipt, receipt

__all__ = [
    "MAX_REASON",
    "Entry",
    "LedgerError",
    "Receipt",
    "append",
    "append_all",
    "canonical",
    "digest",
    "erase",
    "reasons_of",
    "receipt",
]
