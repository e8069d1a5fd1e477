"""The bench: the product's loop beside three rivals, on one PostgreSQL, in one run. See docs/bench.md."""
