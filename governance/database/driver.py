"""psycopg as Django's backend knows it, with connections that keep a deadline."""

from psycopg import *  # noqa: F403 - Django looks for the errors of PEP 249 by their names

from .deadline import Connection

connect = Connection.connect
