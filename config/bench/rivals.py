"""The three rivals as the harness starts them, or why one of them cannot run here."""

from __future__ import annotations

import os
import sys

from django.conf import settings
from psycopg.conninfo import make_conninfo

from . import place
from .environments import CannotRun, is_installed, python_with
from .programs import hand_written as by_hand
from .programs.rows import LAST_STAGE, fresh_schema
from .race import ROOT, Racer

# The version whose figures docs/bench.md shows. Its own environment: the product does not need it.
DBOS = "dbos==3.4.0"
REDIS_URL = "redis://127.0.0.1:6379/9"


def hand_written(rows: int) -> Racer:
    """(a) psycopg by hand."""
    schema = "hand_written"
    return Racer(
        name=schema,
        command=[sys.executable, "-m", "programs.hand_written"],
        environ={**_alone(rows), "BENCH_DSN": make_conninfo(**place.dsn(owner=True))},
        prepare=fresh_schema(schema) + by_hand.STEP_TABLE,
        finished=_finished(schema),
        spans=_spans(schema),
    )


def dbos(rows: int) -> Racer:
    """(b) DBOS Transact, in an environment that is made at first use. Raises CannotRun where pip cannot."""
    schema = "dbos_transact"
    return Racer(
        name="dbos",
        command=[str(python_with(DBOS)), "-m", "programs.dbos_transact"],
        environ={**_alone(rows), "BENCH_URL": place.url(owner=True)},
        prepare=fresh_schema(schema) + "DROP SCHEMA IF EXISTS dbos CASCADE;",
        finished=_finished(schema),
        spans=_spans(schema),
    )


def celery_chain(rows: int) -> Racer:
    """(c) Celery over Redis. Raises CannotRun where no Redis answers."""
    schema, login = "celery_chain", place.dsn(owner=True)
    address = settings.REDIS_URL or REDIS_URL
    _ask_redis(address)
    return Racer(
        name=schema,
        command=[sys.executable, "-m", "programs.celery_chain"],
        environ={
            **_alone(rows),
            "BENCH_REDIS": address,
            "BENCH_HOST": login["host"],
            "BENCH_PORT": login.get("port", ""),
            "BENCH_USER": login["user"],
            "BENCH_PASSWORD": login.get("password", ""),
            "BENCH_NAME": login["dbname"],
        },
        prepare=fresh_schema(schema),
        finished=_finished(schema),
        spans=_spans(schema),
        processes=1,  # which forks two
        redis=address,
    )


def _alone(rows: int) -> dict[str, str]:
    """The environment of a rival, which must not meet the product: it is imported from this folder.

    ``import config`` sets DJANGO_SETTINGS_MODULE, and with that Celery closes Django's connection around every
    task: measured as 500 connections for 500 tasks. DBOS's environment has none of the product's packages.
    """
    return {
        **without_django(),
        "PYTHONPATH": str(ROOT / "config" / "bench"),
        "BENCH_ROWS": str(rows),
    }


def without_django() -> dict[str, str]:
    """This process's environment without what would bring the product in."""
    return {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}


def _finished(schema: str) -> str:
    return f"SELECT count(*), max(written_at) FROM {schema}.effect WHERE stage = '{LAST_STAGE}'"  # noqa: S608


def _spans(schema: str) -> str:
    return f"""
        SELECT extract(epoch FROM max(written_at) - min(written_at)) * 1000 FROM {schema}.effect
         GROUP BY loop HAVING min(written_at) > %(since)s
    """  # noqa: S608 - our own names


def dbos_is_installed() -> bool:
    """Whether the environment of DBOS has been made."""
    return is_installed(DBOS)


def _ask_redis(address: str) -> None:
    import redis

    try:
        with redis.Redis.from_url(address, socket_connect_timeout=2, socket_timeout=2) as client:
            client.ping()
    except redis.RedisError as error:
        raise CannotRun(f"no Redis answers at {address.rpartition('@')[2]}: {error}") from error
