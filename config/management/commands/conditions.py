"""What a policy may ask, as a page: print it, write it, or see that what is written is current."""

from __future__ import annotations

from config import conditions
from config.management.documents import DocumentCommand


class Command(DocumentCommand):
    help = (
        "Print what conditions may ask, made from the code; --write keeps it in docs/conditions.md."
    )
    name = "conditions"
    page = conditions.page
