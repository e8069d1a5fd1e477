"""The one-process product: database, tables, sign-in, web, worker, beat, sweeper, and the demo's agent."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config.database import prepare_from_settings, release
from governance import readiness
from governance.story import live

LOCAL = "127.0.0.1"
READY_SECONDS = 5.0  # the sweeper beside us needs a moment to be seen
RUSH = 300
"""Calls of the demo's agent that a first visitor finds made: rules are drawn from good calls as well as from failures."""
EVERYWHERE = {LOCAL, "0.0.0.0", "::", "::1"}  # noqa: S104 - compared, not bound


class Command(BaseCommand):
    help = "Start everything in one process and print where it is and how to sign in."
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--demo", action="store_true", help="a demo tenant with an example agent at work"
        )
        parser.add_argument("--no-agent", action="store_true", help="the demo without its agent")
        parser.add_argument("--host", default=LOCAL)
        parser.add_argument("--port", type=int, default=settings.PORT)
        parser.add_argument("--json", action="store_true", help="one JSON object when it serves")

    def handle(self, *args: Any, **options: Any) -> None:
        # uvicorn hands a caught SIGTERM on to whoever was there before it: let that be a way out, not an end.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        listener = _listen(options["host"], options["port"])
        started = prepare_from_settings()
        try:
            self._serve(listener, options)
        finally:
            listener.close()
            if started:
                release(os.environ, settings.DATA_DIR)

    def _serve(self, listener: socket.socket, options: dict[str, Any]) -> None:
        from config.serving import first
        from config.serving.threads import Beside

        first.migrate()
        welcome = first.welcome(demo=options["demo"])
        # Looks at itself when it is loaded, so after the tables are there.
        from config.asgi import application

        beside = Beside()
        agent: list[subprocess.Popen[bytes]] = []

        def ready(address: str) -> None:
            beside.start()
            standing = readiness.await_ready(READY_SECONDS)
            if not standing.is_ready:
                self.stderr.write(f"The guard is closed: {standing.failing}: {standing.text}")
            self._say(address, welcome, options)
            if options["demo"] and not options["no_agent"]:
                rush = RUSH if welcome.is_first else 0
                agent.append(_start_agent(address, welcome.agent_token, rush))

        try:
            _Server(application, listener, ready).run()
        finally:
            for process in agent:
                process.terminate()
            beside.stop()
            live.use_loop(None)

    def _say(self, address: str, welcome: Any, options: dict[str, Any]) -> None:
        if options["json"]:
            self.stdout.write(
                json.dumps(
                    {
                        "url": address,
                        "user": welcome.user,
                        "password": welcome.password,
                        "reviewer": welcome.reviewer,
                        "reviewer_password": welcome.reviewer_password,
                        "agent_token": welcome.agent_token,
                        "reviewer_token": welcome.reviewer_token,
                    }
                )
            )
        else:
            self.stdout.write(
                f"\nAntibody is at {address}\n"
                f"  sign in as     {welcome.user}\n"
                f"  password       {welcome.password}\n"
                f"  or as          {welcome.reviewer}, who decides what the other asked for\n"
                f"  password       {welcome.reviewer_password}\n"
                f"  agent's token  {welcome.agent_token}\n"
                f"  reviewer's     {welcome.reviewer_token}\n"
                f"  console        {address}/console/\n"
                f"  admin          {address}/admin/\n"
                f"  API            {address}/api/docs/\n"
                "Ctrl-C stops it.\n"
            )
        self.stdout.flush()


class _Server:
    """uvicorn on a socket that is open already, which says when it answers."""

    def __init__(
        self, application: Any, listener: socket.socket, ready: Callable[[str], None]
    ) -> None:
        config = uvicorn.Config(
            application,
            log_level="warning",
            lifespan="off",
            access_log=False,
            # Whom a peer asks for is asked of TRUSTED_PROXIES, by us: uvicorn would believe any peer of this machine.
            proxy_headers=False,
        )
        self.server = uvicorn.Server(config)
        self.listener, self.ready = listener, ready

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        live.use_loop(asyncio.get_running_loop())
        announce = asyncio.create_task(self._announce())
        try:
            await self.server.serve(sockets=[self.listener])
        finally:
            announce.cancel()

    async def _announce(self) -> None:
        while not self.server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # uvicorn offers no event for it
        host, port = self.listener.getsockname()[:2]
        shown = "localhost" if host in EVERYWHERE else host
        await asyncio.to_thread(self.ready, f"http://{shown}:{port}")


def _listen(host: str, port: int) -> socket.socket:
    """The port is taken before anything else is started, so that nothing starts in vain."""
    try:
        return socket.create_server((host, port), family=_family(host), backlog=512)
    except OSError as error:
        raise CommandError(
            f"{host}:{port} cannot be listened on ({error.strerror}): choose another port with --port or PORT."
        ) from error


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _start_agent(address: str, token: str, rush: int) -> subprocess.Popen[bytes]:
    """The example agent, an outside client in a process of its own."""
    with (settings.DATA_DIR / "travel-desk.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - our own program
            [
                *(sys.executable, "-m", "examples.travel_desk"),
                *("--api", address, "--forever", "--rush", str(rush)),
            ],
            cwd=settings.BASE_DIR,
            env={
                **os.environ,
                "ANTIBODY_TOKEN": token,
                "PYTHONPATH": str(settings.BASE_DIR / "sdk" / "src"),
            },
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
