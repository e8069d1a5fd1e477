"""Each fault of the table, done for real."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import redis

from config import embedded
from config.checks.ledger import MAY_WAIT_SECONDS

from .outside import DRIPPING, JUNK
from .product import Product, until

Broken = Callable[[Product], AbstractContextManager[None]]


@contextmanager
def postgresql_down(product: Product) -> Iterator[None]:
    os.kill(product.postmaster(), signal.SIGQUIT)  # what `pg_ctl stop -m immediate` sends
    until(lambda: not (product.cluster / "data" / "postmaster.pid").exists(), 10)
    try:
        yield
    finally:
        embedded.start(product.cluster)


@contextmanager
def postgresql_silent(product: Product) -> Iterator[None]:
    """Every process of it stands still; the sockets stay open."""
    stopped = _family(product.postmaster())
    for number in stopped:
        os.kill(number, signal.SIGSTOP)
    try:
        yield
    finally:
        for number in stopped:
            os.kill(number, signal.SIGCONT)


@contextmanager
def postgresql_slow(product: Product) -> Iterator[None]:
    product.proxy.delay = 0.2
    try:
        yield
    finally:
        product.proxy.delay = 0.0


@contextmanager
def postgresql_locked(product: Product) -> Iterator[None]:
    with product.superuser() as other, other.transaction():
        other.execute(
            "LOCK TABLE policies_decision, policies_outcome, incidents_incident IN EXCLUSIVE MODE"
        )
        yield


@contextmanager
def postgresql_read_only(product: Product) -> Iterator[None]:
    with _system(product, "default_transaction_read_only", "on"):
        yield


@contextmanager
def fsync_off(product: Product) -> Iterator[None]:
    with _system(product, "fsync", "off"):
        yield


@contextmanager
def unmigrated(product: Product) -> Iterator[None]:
    """The database is one migration behind this code."""
    [[*row]] = product.ask(
        "DELETE FROM django_migrations WHERE id = (SELECT max(id) FROM django_migrations"
        " WHERE app = 'governance') RETURNING id, app, name, applied"
    )
    try:
        yield
    finally:
        product.ask(
            "INSERT INTO django_migrations (id, app, name, applied) VALUES (%s, %s, %s, %s)", *row
        )


@contextmanager
def postgresql_lenient(product: Product) -> Iterator[None]:
    product.ask("ALTER ROLE antibody_app BYPASSRLS")
    try:
        yield
    finally:
        product.ask("ALTER ROLE antibody_app NOBYPASSRLS")


@contextmanager
def redis_down(product: Product) -> Iterator[None]:
    product.stop("redis")
    try:
        yield
    finally:
        product.start("redis")


@contextmanager
def redis_silent(product: Product) -> Iterator[None]:
    product.send("redis", signal.SIGSTOP)
    try:
        yield
    finally:
        product.send("redis", signal.SIGCONT)


@contextmanager
def redis_flushed(product: Product) -> Iterator[None]:
    with redis.Redis(port=product.ports["redis"]) as broker:
        broker.flushall()
    yield


@contextmanager
def model_down(product: Product) -> Iterator[None]:
    product.model.down()
    try:
        yield
    finally:
        product.model.well()


def model(how: str) -> Broken:
    @contextmanager
    def broken(product: Product) -> Iterator[None]:
        product.model.behaves = how
        try:
            yield
        finally:
            product.model.well()

    return broken


@contextmanager
def receiver_down(product: Product) -> Iterator[None]:
    product.receiver.down()
    try:
        yield
    finally:
        product.receiver.well()


@contextmanager
def sweeper_down(product: Product) -> Iterator[None]:
    product.stop("sweeper")
    # Its promise holds for half a minute more: let that be over.
    product.ask("UPDATE governance_heartbeat SET promised_until = clock_timestamp()")
    try:
        yield
    finally:
        product.start("sweeper")


@contextmanager
def beat_down(product: Product) -> Iterator[None]:
    """The clock is gone; the worker that does what it sends is there."""
    if "redis" not in product.ports:
        pytest.skip("there is no redis-server on this machine")
    product.start("worker")
    product.start("beat")
    try:
        until(lambda: _was_sent_for(product), 60)
        product.stop("beat")
        # Its promise holds for three minutes more: let that be over, and what it had sent be done.
        until(lambda: _has_broken_its_promise(product), 20)
        yield
    finally:
        product.stop("worker")


@contextmanager
def signer_down(product: Product) -> Iterator[None]:
    """It has signed, is gone, and there is more to sign; what a check waits for is not hurried."""
    until(lambda: list((product.directory / "ledger").glob("*/checkpoint")), 30)
    product.stop("signer")
    try:
        for on in (True, False):
            product.stop_agents(on=on)
        until(lambda: product.ask(_UNSIGNED, MAY_WAIT_SECONDS), MAY_WAIT_SECONDS + 15)
        yield
    finally:
        product.start("signer")


@contextmanager
def clocks_apart(product: Product) -> Iterator[None]:
    """A web process whose clock is a minute ahead."""
    faketime = shutil.which("faketime")
    if faketime is None:
        pytest.skip("there is no faketime on this machine")
    product.start("ahead", product.through_the_proxy, prefix=(faketime, "-f", "+60s"))
    try:
        yield
    finally:
        product.stop("ahead")


BREAKS: dict[str, Broken] = {
    "postgresql_down": postgresql_down,
    "postgresql_silent": postgresql_silent,
    "postgresql_slow": postgresql_slow,
    "postgresql_locked": postgresql_locked,
    "postgresql_read_only": postgresql_read_only,
    "postgresql_lenient": postgresql_lenient,
    "redis_down": redis_down,
    "redis_silent": redis_silent,
    "redis_flushed": redis_flushed,
    "model_down": model_down,
    "model_slow": model(DRIPPING),
    "model_junk": model(JUNK),
    "receiver_down": receiver_down,
    "sweeper_down": sweeper_down,
    "beat_down": beat_down,
    "signer_down": signer_down,
    "clocks_apart": clocks_apart,
}


@contextmanager
def _system(product: Product, name: str, value: str) -> Iterator[None]:
    """A setting of the whole server, which sessions that are open take over at once."""
    with product.superuser() as outside:
        outside.execute(f"ALTER SYSTEM SET {name} = {value}")
        outside.execute("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            outside.execute("SET default_transaction_read_only = off")
            outside.execute(f"ALTER SYSTEM RESET {name}")
            outside.execute("SELECT pg_reload_conf()")


_UNSIGNED = "SELECT 1 FROM antibody_ledgers_to_sign() WHERE waiting_seconds > %s"


def _was_sent_for(product: Product) -> bool:
    """A new timer begins with waiting a minute: let it be one that was there an hour ago.

    Said again with each look: beat writes its timers when it starts, and knows of a change only
    after it has looked once for changes.
    """
    product.ask("UPDATE django_celery_beat_periodictask SET last_run_at = now() - interval '1 h'")
    product.ask("UPDATE django_celery_beat_periodictasks SET last_update = clock_timestamp()")
    return "beat" not in product.warnings()


def _has_broken_its_promise(product: Product) -> bool:
    product.ask(
        "UPDATE governance_heartbeat SET promised_until = clock_timestamp() WHERE kind = 'beat'"
    )
    return "beat" in product.warnings()


def _family(postmaster: int) -> list[int]:
    """A server's processes, the first one first."""
    found = [postmaster]
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, _, rest = place.read_text().rpartition(")")
        except OSError:
            continue
        if int(rest.split()[1]) == postmaster:
            found.append(int(place.parent.name))
    return found
