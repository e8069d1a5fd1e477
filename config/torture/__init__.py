"""Torture: break the product at random moments while it works, and count what it lost. See docs/torture.md."""
