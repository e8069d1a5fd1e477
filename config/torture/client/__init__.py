"""The outside client: reports, acts, decides and attacks through the HTTP API, and writes down what it was promised.

A program of its own with nothing but the standard library and httpx, as a customer's would be. Every id that an
answer acknowledged is in the journal, on the disk, before the thread sends its next request. A request without an
answer is repeated with the same key until there is one.
"""
