"""Rival (c): a chain of five Celery tasks with the Django ORM over Redis, prefork with two processes.

A small Django site of its own: no middleware, no tenants, plain PostgreSQL backend. Settings follow Celery's
"Optimizing" guide (docs.celeryq.dev/en/stable/userguide/optimizing.html): many short tasks want a large prefetch
("64, or 128"), a message that must not be lost is acknowledged late; results are ignored where nobody reads them.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from multiprocessing import Value
from typing import Any

import django
import redis
from celery import Celery, chain
from celery.signals import worker_ready
from django.conf import settings

SCHEMA = "celery_chain"
QUEUE = "antibody-bench"
PREFETCH = 64
PROCESSES = 2

settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": os.environ["BENCH_HOST"],
            "PORT": os.environ["BENCH_PORT"],
            "USER": os.environ["BENCH_USER"],
            "PASSWORD": os.environ["BENCH_PASSWORD"],
            "NAME": os.environ["BENCH_NAME"],
            "CONN_MAX_AGE": None,
            "OPTIONS": {"options": f"-c search_path={SCHEMA}"},
        }
    },
    USE_TZ=True,
)
django.setup()

from django.db import models, transaction  # noqa: E402 - the settings come first

from .protocol import count_statements, serve  # noqa: E402
from .rows import STAGES, loop_name, rows_of  # noqa: E402

_ROWS = int(os.environ["BENCH_ROWS"])


class Effect(models.Model):
    """What one stage did."""

    id = models.CharField(primary_key=True, max_length=40)
    loop = models.CharField(max_length=40)
    stage = models.CharField(max_length=20)
    details: models.JSONField[Any, Any] = models.JSONField()

    objects: models.Manager[Effect] = models.Manager()

    class Meta:
        app_label, db_table, managed = "bench", "effect", False

    def __str__(self) -> str:
        return self.id


class Event(models.Model):
    """What the console would show."""

    id = models.CharField(primary_key=True, max_length=40)
    loop = models.CharField(max_length=40)
    stage = models.CharField(max_length=20)
    headline = models.CharField(max_length=300)
    details: models.JSONField[Any, Any] = models.JSONField()

    objects: models.Manager[Event] = models.Manager()

    class Meta:
        app_label, db_table, managed = "bench", "event", False

    def __str__(self) -> str:
        return self.headline


class Entry(models.Model):
    """Canonical bytes and their hash."""

    id = models.CharField(primary_key=True, max_length=40)
    loop = models.CharField(max_length=40)
    stage = models.CharField(max_length=20)
    body = models.BinaryField()
    hash = models.BinaryField()

    objects: models.Manager[Entry] = models.Manager()

    class Meta:
        app_label, db_table, managed = "bench", "entry", False

    def __str__(self) -> str:
        return self.id


# Shared with the children of the pool, which are forked after this line.
_statements = Value("q")

app = Celery("bench", broker=os.environ["BENCH_REDIS"])
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=PREFETCH,
    worker_redirect_stdouts=False,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)


@app.task(name="bench.cross")  # type: ignore[untyped-decorator]
def cross(loop: str, stage: str) -> None:
    """One stage: its rows in one transaction."""
    rows = rows_of(loop, stage, _ROWS)
    with transaction.atomic():
        Effect.objects.bulk_create([Effect(**row) for row in rows.effects])
        Event.objects.bulk_create([Event(**row) for row in rows.events])
        Entry.objects.bulk_create([Entry(**row) for row in rows.entries])


class CeleryChain:
    """The worker. It consumes nothing until the harness says go; each lap has a queue of its own."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._lap = 0

    @property
    def _queue(self) -> str:
        return f"{QUEUE}-{os.getpid()}-{self._lap}"

    def queue(self, first: int, count: int) -> None:
        for number in range(first, first + count):
            tasks = (cross.si(loop_name(number), stage).set(queue=self._queue) for stage in STAGES)
            chain(*tasks).apply_async()

    def work(self, leaving: threading.Event) -> None:
        self._consumer.call_soon(self._consumer.add_task_queue, self._queue)
        leaving.wait()
        self._consumer.call_soon(self._consumer.cancel_task_queue, self._queue)
        self._lap += 1


def _add_statements(count: int) -> None:
    with _statements.get_lock():
        _statements.value += count


def _forget_queues() -> None:
    """Kombu keeps its bindings for ever; ours are of no use to anybody."""
    with redis.Redis.from_url(os.environ["BENCH_REDIS"]) as client:
        for key in client.scan_iter(f"_kombu.binding*{QUEUE}-{os.getpid()}-*"):
            client.delete(key)


@worker_ready.connect  # type: ignore[untyped-decorator]
def _obey(sender: Any, **_: Any) -> None:
    def obey() -> None:
        serve(CeleryChain(sender), lambda: _statements.value)
        _forget_queues()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=obey, name="harness", daemon=True).start()


if __name__ == "__main__":
    count_statements(_add_statements)
    worker = app.Worker(
        queues=[f"{QUEUE}-{os.getpid()}-idle"],
        pool="prefork",
        concurrency=PROCESSES,
        quiet=True,
        loglevel="ERROR",
    )
    worker.start()
    sys.exit(worker.exitcode)
