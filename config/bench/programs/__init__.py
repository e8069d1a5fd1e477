"""The programs that are raced, one file each; each runs in a process of its own and obeys ``protocol``.

Nothing here but ``ours`` imports the product: the rivals are what somebody else would have written.
"""
