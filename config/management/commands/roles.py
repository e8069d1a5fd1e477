"""Who may do what, as a page: print it, write it, or see that what is written is current."""

from __future__ import annotations

from config import roles
from config.management.documents import DocumentCommand


class Command(DocumentCommand):
    help = "Print who may do what, made from the matrix; --write keeps it in docs/roles.md."
    name = "roles"
    page = roles.page
