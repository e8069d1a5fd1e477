"""A small travel desk.

An agent that books, quotes and refunds through real tools on this machine.
"""
