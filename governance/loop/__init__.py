"""The loop: claim, run, record, hand on. Read ``bridges.py`` for what a bridge is, ``run.py`` for how it runs."""
