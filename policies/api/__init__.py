"""The policies pillar over HTTP."""
