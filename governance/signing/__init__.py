"""The tree of the ledger and who signs it: needs no database, no Django, and trusts nothing it is told.

``tree.py`` is RFC 6962, ``notes.py`` what a signed note is, ``outside.py`` what is kept outside the database, and
``signer.py`` the process that holds the key.
"""
