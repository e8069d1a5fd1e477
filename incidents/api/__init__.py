"""Incidents over HTTP: as our own API has them, and as the protocols that users already speak."""
