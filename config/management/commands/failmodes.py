"""What becomes of what when something fails, as a page: print it, write it, or see that it is current."""

from __future__ import annotations

from config import failmodes
from config.management.documents import DocumentCommand


class Command(DocumentCommand):
    help = "Print what becomes of what when something fails; --write keeps it in docs/failmodes.md."
    name = "failmodes"
    page = failmodes.page
