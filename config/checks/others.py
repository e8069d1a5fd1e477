"""Checks of what runs beside the web."""

from __future__ import annotations

import redis
from django.conf import settings

from governance import heartbeats

BROKER_SECONDS = 0.5


def sweeper() -> str | None:
    late = heartbeats.overdue(heartbeats.SWEEPER)
    if late is None:
        return "No sweeper was ever seen: start `manage.py sweep`. Without it nothing is learned."
    if late > 0:
        seconds = late + heartbeats.PROMISED_SECONDS
        return f"No sweeper was seen for {seconds:.0f} s: start `manage.py sweep` again."
    return None


def beat() -> str | None:
    late = heartbeats.overdue(heartbeats.SCHEDULER)
    if late is None:
        return "Beat was never seen: start `celery -A config beat` and a worker."
    if late > 0:
        return "Beat and a worker were not seen of late: nothing expires or decays on time."
    return None


def broker() -> str | None:
    if not settings.REDIS_URL:
        return None
    try:
        with redis.Redis.from_url(
            settings.REDIS_URL,
            socket_timeout=BROKER_SECONDS,
            socket_connect_timeout=BROKER_SECONDS,
        ) as client:
            client.ping()
    except (redis.RedisError, OSError) as error:
        return (
            f"Redis gives no answer ({type(error).__name__}): nothing is lost, but workers are not"
            " woken and pages are not refreshed by themselves."
        )
    return None
