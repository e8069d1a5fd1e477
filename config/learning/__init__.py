"""``manage.py learn``: does what failed prevent the next failure, without stopping what was fine?

A recorded stream of calls is played through the real guard, outcomes, loop and synthesis; beside it plays who
remembers exact arguments. `stream` reads the file, `playing` plays it, `scoring` says what it came to.
"""
