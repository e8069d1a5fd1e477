"""Agents that are outside clients of Antibody: they know its HTTP API and nothing else of it."""
