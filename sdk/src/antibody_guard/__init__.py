"""Ask Antibody before an agent acts, and report how it went. No answer means stop.

>>> guard = Guard("https://antibody.example", token, agent_id="travel-desk", spool="outcomes.spool")
>>> @guard.tool
... def book_flight(flight: str, cabin: str) -> str: ...
>>> with guard.run("desk-7-1"):
...     book_flight("LH 454", cabin="economy")  # asks, books, reports; raises Denied or Unavailable

``check`` asks by hand, ``report`` tells by hand. Whatever is not a clear yes (a time-out, an error, an
answer that is not what was asked for) raises, so that the action cannot happen.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import json
import logging
import os
import random
import threading
import time
import uuid
import zlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Callable, TypeVar, overload

import httpcore
import httpx

try:
    import fcntl
except ImportError:  # no spool on systems without flock
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "Decision",
    "Denied",
    "Guard",
    "NotAllowed",
    "Rejected",
    "Spool",
    "SpoolFull",
    "Unavailable",
]

log = logging.getLogger("antibody.client")

YES = frozenset({"allow", "warn"})
VERDICTS = YES | {"route_away", "escalate", "block", "kill"}
LARGEST_ANSWER = 1_000_000  # bytes
LONGEST_MESSAGE = 20_000  # characters of an error that the server takes
LONGEST_TYPE = 200
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
SPOOL_BYTES = 16_000_000

Tool = TypeVar("Tool", bound=Callable[..., Any])
Wait = Callable[[float, str], None]


class NotAllowed(Exception):
    """The action must not happen."""


class Unavailable(NotAllowed):
    """Nobody answered in time, or not as Antibody does. Asking again later may help."""


class Rejected(NotAllowed):
    """The question itself was not accepted: a wrong token, a wrong shape. Asking again will not help."""

    def __init__(self, why: str, status: int = 0) -> None:
        super().__init__(why)
        self.status = status

    @property
    def is_about_us(self) -> bool:
        """Whether who asks is refused, and not what is asked: another token would help."""
        return self.status in (401, 403)


class SpoolFull(Exception):
    """What happened can no longer be kept on disk. The outcome that was to be kept is not."""


@dataclass(frozen=True)
class Decision:
    """What Antibody says about one action that has not happened yet.

    ``policies`` are ``{id, name, action, version}``, the deciding one first; ``allowed_instead`` are changes that would
    get a denied action through, ``{argument, how, values, good_calls, text}``; ``directives`` are what people decided
    about known failures of this tool, ``{id, kind, params, title}``.
    """

    decision_id: str
    verdict: str
    reason: str = ""
    retryable: bool = False
    appeal_url: str | None = None
    policies: list[dict[str, Any]] = field(default_factory=list)
    directives: list[dict[str, Any]] = field(default_factory=list)
    allowed_instead: list[dict[str, Any]] = field(default_factory=list)

    @property
    def allowed(self) -> bool:
        """Only these two words are a yes."""
        return self.verdict in YES


class Denied(NotAllowed):
    """Antibody said no. Everything it said is in ``decision``, and the most useful of it here."""

    def __init__(self, decision: Decision) -> None:
        hints = "; ".join(str(each.get("text", "")) for each in decision.allowed_instead)
        told = decision.reason or decision.verdict
        super().__init__(f"{told} Would be allowed: {hints}." if hints else told)
        self.decision = decision

    @property
    def reason(self) -> str:
        return self.decision.reason

    @property
    def retryable(self) -> bool:
        """Whether the same action may be allowed a little later."""
        return self.decision.retryable

    @property
    def policies(self) -> list[dict[str, Any]]:
        return self.decision.policies

    @property
    def allowed_instead(self) -> list[dict[str, Any]]:
        return self.decision.allowed_instead

    @property
    def directives(self) -> list[dict[str, Any]]:
        return self.decision.directives

    @property
    def appeal_url(self) -> str | None:
        return self.decision.appeal_url


@dataclass
class _Run:
    """A run of an agent, and how many actions it has asked about."""

    id: str
    steps: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_step(self) -> int:
        with self.lock:
            self.steps += 1
            return self.steps - 1


class Guard:
    """One agent's line to Antibody. Threads may share it, and processes its spool.

    ``deadline_s`` is for one question with all its tries (None: until it is answered), ``timeout_s`` for one try;
    ``wait(seconds, why)`` is called between tries and must come back. ``spool`` is a file of outcomes that could not be
    told yet; without one a report that nobody takes raises Unavailable. Every POST keeps one Idempotency-Key over its
    tries, so nothing is decided or counted twice.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        agent_id: str,
        deadline_s: float | None = 15.0,
        timeout_s: float = 5.0,
        spool: str | os.PathLike[str] | Spool | None = None,
        wait: Wait | None = None,
    ) -> None:
        base = httpx.URL(url if "/api/" in url else f"{url.rstrip('/')}/api/v1/")
        if base.userinfo:
            raise ValueError(
                "An address with a password in it ends up in logs; give the token only."
            )
        self.agent_id = agent_id
        self.spool = Spool(spool) if isinstance(spool, (str, os.PathLike)) else spool
        self._base = base if base.path.endswith("/") else base.copy_with(path=f"{base.path}/")
        self._token, self._deadline_s, self._timeout_s = token, deadline_s, timeout_s
        self._wait: Wait = wait or (lambda seconds, why: time.sleep(seconds))
        self._http = httpx.Client(transport=_Transport(), trust_env=False, timeout=timeout_s)
        self._run: ContextVar[_Run | None] = ContextVar("antibody_run", default=None)
        self._own_run = _Run(f"{agent_id}-{uuid.uuid4().hex[:12]}")

    def __repr__(self) -> str:
        return f"Guard({str(self._base)!r}, agent_id={self.agent_id!r})"

    def __enter__(self) -> Guard:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Try once more to tell what is in the spool, and end all connections."""
        with contextlib.suppress(Unavailable):
            self.flush()
        self._http.close()

    # --- Asking -------------------------------------------------------------------------------

    def check(self, tool: str, arguments: Mapping[str, Any], **details: Any) -> Decision:
        """Ask whether an action may happen: comes back only with a yes. Takes what ``ask`` takes.

        Raises Denied, Unavailable or Rejected.
        """
        decision = self.ask(tool, arguments, **details)
        if not decision.allowed:
            raise Denied(decision)
        return decision

    def ask(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        run_id: str | None = None,
        step: int | None = None,
        kind: str = "tool_call",
        context: Mapping[str, Any] | None = None,
    ) -> Decision:
        """What Antibody says, be it yes or no. Without ``run_id`` it is the next step of the run it is called in."""
        self._make_room()
        if run_id is None:
            run = self._run.get() or self._own_run
            run_id, step = run.id, run.next_step()
        question = {
            "agent_id": self.agent_id,
            "run_id": run_id,
            "step": step,
            "action": {"kind": kind, "tool": tool, "arguments": dict(arguments)},
            "context": dict(context or {}),
        }
        decision = _decision(self._post("guard/decisions", question, _key(), self._deadline_s))
        if self.spool is not None and not self.spool.is_empty:
            with contextlib.suppress(NotAllowed):
                self.flush()
        return decision

    def _make_room(self) -> None:
        if self.spool is None or not self.spool.is_full:
            return
        with contextlib.suppress(Unavailable):
            self.flush()
        if self.spool.is_full:
            raise Unavailable(f"{self.spool.path} is full: how the action goes could not be kept")

    @contextlib.contextmanager
    def run(self, run_id: str) -> Iterator[str]:
        """Everything asked inside, in this thread or task, is a step of this run."""
        token = self._run.set(_Run(run_id))
        try:
            yield run_id
        finally:
            self._run.reset(token)

    def appeal(self, denied: Denied | Decision, reason: str) -> dict[str, Any] | None:
        """Ask a person to look at a denial. It stands meanwhile.

        Answers with the checkpoint (``id``, ``state``, …), the same one however often it is asked for; None where this
        denial cannot be appealed.
        """
        decision = denied.decision if isinstance(denied, Denied) else denied
        if not decision.appeal_url:
            return None
        return self._post(decision.appeal_url, {"reason": reason}, _key(), self._deadline_s)

    # --- Telling ------------------------------------------------------------------------------

    def report(
        self,
        decision: Decision,
        *,
        error: BaseException | None = None,
        latency_ms: int | None = None,
        cost_usd: float | None = None,
    ) -> str | None:
        """Say how an allowed action went; answers with the incident that a failure opened.

        With a spool it is on disk (and None is answered) where nobody takes it now: once this has come back it is not
        lost. Raises SpoolFull, without a spool Unavailable, and Rejected for what is not accepted.
        """
        outcome: dict[str, Any] = {"decision_id": decision.decision_id, "ok": error is None}
        if error is not None:
            message = str(error)[:LONGEST_MESSAGE].encode("utf-8", "replace").decode()
            outcome["error"] = {"type": type(error).__name__[:LONGEST_TYPE], "message": message}
        if latency_ms is not None:
            outcome["latency_ms"] = latency_ms
        if cost_usd is not None:
            outcome["cost_usd"] = cost_usd
        key = _key()
        if self.spool is None:
            return _incident(self._post("guard/outcomes", outcome, key, self._deadline_s))
        if self.spool.is_empty:
            try:
                return _incident(self._post("guard/outcomes", outcome, key, 0.0))
            except Unavailable as silence:
                log.warning(
                    "Antibody takes no outcome (%s): it is kept in %s", silence, self.spool.path
                )
                self.spool.append(key, outcome)
                return None
        # Behind what waits already, so that all is told in its order.
        self.spool.append(key, outcome)
        with contextlib.suppress(Unavailable):
            return self.flush().get(key)
        return None

    def flush(self) -> dict[str, str | None]:
        """Tell what is in the spool, in its order: incidents by key. Raises Unavailable at the first that nobody takes.

        What the server will never accept is put aside into a file beside the spool, and logged.
        """
        told: dict[str, str | None] = {}
        if self.spool is None:
            return told
        with self.spool.only_one() as is_mine:
            while is_mine and (waiting := self.spool.waiting()):
                for key, outcome in waiting:
                    try:
                        told[key] = _incident(self._post("guard/outcomes", outcome, key, 0.0))
                    except Rejected as why:
                        if why.is_about_us:
                            raise
                        log.error("an outcome was not accepted and is put aside: %s", why)  # noqa: TRY400
                        self.spool.put_aside(key, outcome, str(why))
                    self.spool.done(key)
                self.spool.tidy()
        return told

    # --- Tools --------------------------------------------------------------------------------

    @overload
    def tool(self, function: Tool) -> Tool: ...
    @overload
    def tool(self, *, name: str = ..., kind: str = ...) -> Callable[[Tool], Tool]: ...
    def tool(self, function: Any = None, *, name: str = "", kind: str = "tool_call") -> Any:
        """Make a function one that asks before it runs and reports how it went, exceptions included.

        Works for ``def`` and ``async def``. Its arguments are sent by name, defaults included, and must be JSON.
        """
        if function is None:
            return functools.partial(self.tool, name=name, kind=kind)
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError("A generator has no one outcome: guard what it calls.")
        called, signature = name or function.__name__, inspect.signature(function)

        def asked(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Decision:
            return self.check(called, _named(signature, args, kwargs), kind=kind)

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                decision = await asyncio.to_thread(asked, args, kwargs)
                began = time.monotonic()
                try:
                    result = await function(*args, **kwargs)
                except BaseException as error:
                    await asyncio.to_thread(self._tell, decision, began, error)
                    raise
                await asyncio.to_thread(self._tell, decision, began, None)
                return result

            return awaited

        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            decision = asked(args, kwargs)
            began = time.monotonic()
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                self._tell(decision, began, error)
                raise
            self._tell(decision, began, None)
            return result

        return guarded

    def _tell(self, decision: Decision, began: float, error: BaseException | None) -> None:
        """Report, whatever comes of it: what the tool did is done, and its result is its caller's."""
        try:
            self.report(decision, error=error, latency_ms=round((time.monotonic() - began) * 1000))
        except (NotAllowed, SpoolFull, OSError) as why:
            log.error("the outcome of %s is lost: %s", decision.decision_id, why)  # noqa: TRY400

    # --- HTTP ---------------------------------------------------------------------------------

    def _post(
        self, path: str, body: Mapping[str, Any], key: str, deadline_s: float | None
    ) -> dict[str, Any]:
        """The answer. A deadline of 0 is one try, None as many as it takes."""
        content = json.dumps(body, allow_nan=False).encode()
        ends = None if deadline_s is None else time.monotonic() + deadline_s
        pause = FIRST_PAUSE_S
        while True:
            left = self._timeout_s if not ends or not deadline_s else ends - time.monotonic()
            try:
                return self._try(path, content, key, min(left, self._timeout_s))
            except _Silence as silence:
                why, asked_for = str(silence), silence.retry_after
            seconds = asked_for if asked_for is not None else random.uniform(pause / 2, pause)  # noqa: S311
            pause = min(pause * 2, LONGEST_PAUSE_S)
            if ends is not None and time.monotonic() + seconds >= ends:
                raise Unavailable(why)
            self._wait(seconds, why)

    def _try(self, path: str, content: bytes, key: str, seconds: float) -> dict[str, Any]:
        if seconds <= 0:
            raise _Silence("no time is left")
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Idempotency-Key": key,
        }
        ends = time.monotonic() + seconds
        try:
            with (
                _until(ends),
                self._http.stream(
                    "POST", self._base.join(path), content=content, headers=headers
                ) as answer,
            ):
                text = _read(answer, ends)
        except (httpx.TransportError, httpcore.NetworkError, httpcore.TimeoutException,
                httpcore.ProtocolError, httpcore.UnsupportedProtocol, OSError) as silence:  # fmt: skip
            raise _Silence(f"no answer ({type(silence).__name__})") from None
        if answer.status_code in (200, 201):
            return _object(answer, text)
        why = f"{answer.status_code} {answer.reason_phrase}"
        # A 409 that says when to come back: our first request under this key is at work.
        if (
            answer.status_code >= 500
            or answer.status_code == 429
            or "Retry-After" in answer.headers
        ):
            raise _Silence(why, _retry_after(answer))
        if answer.status_code < 400:
            raise _Silence(why)
        said = text[:300].decode("utf-8", "replace").replace(self._token, "[secret]")
        raise Rejected(f"{why}: {said}", answer.status_code)


class _Silence(Exception):
    """One try without a usable answer."""

    def __init__(self, why: str, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.retry_after = retry_after


def _key() -> str:
    return uuid.uuid4().hex


def _named(
    signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """A call's arguments by name, those of ``**options`` beside the others."""
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    named = dict(bound.arguments)
    for each in signature.parameters.values():
        if each.kind is inspect.Parameter.VAR_KEYWORD:
            named.update(named.pop(each.name))
    named.pop("self", None)
    return named


def _read(answer: httpx.Response, ends: float) -> bytes:
    text = bytearray()
    for chunk in answer.iter_raw():
        text += chunk
        if len(text) > LARGEST_ANSWER or time.monotonic() > ends:
            raise _Silence("an answer without an end")
    return bytes(text)


def _object(answer: httpx.Response, text: bytes) -> dict[str, Any]:
    if answer.headers.get("Content-Type", "").split(";")[0].strip() != "application/json":
        raise _Silence("an answer that is not JSON")
    try:
        body = json.loads(text)
    except ValueError:
        raise _Silence("an answer that is not JSON") from None
    if not isinstance(body, dict):
        raise _Silence("an answer that is not a JSON object")
    return body


def _decision(body: Mapping[str, Any]) -> Decision:
    decision_id, verdict, url = body.get("decision_id"), body.get("verdict"), body.get("appeal_url")
    if not isinstance(decision_id, str) or not isinstance(verdict, str) or verdict not in VERDICTS:
        raise Unavailable("an answer without a verdict")
    lists = {name: body.get(name, []) for name in ("policies", "directives", "allowed_instead")}
    if not all(map(_is_list_of_objects, lists.values())):
        raise Unavailable("an answer that is not a decision")
    return Decision(
        decision_id=decision_id,
        verdict=verdict,
        reason=str(body.get("reason") or ""),
        retryable=body.get("retryable") is True,
        appeal_url=url if isinstance(url, str) else None,
        **lists,
    )


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


def _incident(body: Mapping[str, Any]) -> str | None:
    incident = body.get("incident_id")
    return incident if isinstance(incident, str) else None


def _retry_after(answer: httpx.Response) -> float | None:
    """Seconds that the server asks for, in either form of RFC 9110; None when it names none."""
    said = answer.headers.get("Retry-After", "")
    if said.isdecimal():
        return float(said)
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


# --- A whole answer in time ---------------------------------------------------------------------
# HTTP clients limit each read, so a server that sends a byte a second is waited for without end.
# Here every read and write ends when the try does.

_ends: ContextVar[float] = ContextVar("antibody_ends")


@contextlib.contextmanager
def _until(ends: float) -> Iterator[None]:
    token = _ends.set(ends)
    try:
        yield
    finally:
        _ends.reset(token)


def _left(timeout: float | None) -> float:
    left = _ends.get() - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the time is over")
    return left if timeout is None else min(left, timeout)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: Any,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, _left(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Network(httpcore.SyncBackend):
    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *args: Any, **kwargs: Any
    ) -> httpcore.NetworkStream:
        return _Stream(super().connect_tcp(host, port, _left(timeout), *args, **kwargs))


class _Transport(httpx.BaseTransport):
    def __init__(self) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(trust_env=False), network_backend=_Network()
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._pool.handle_request(
            httpcore.Request(
                request.method,
                httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(answer),
            extensions=answer.extensions,
        )

    def close(self) -> None:
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        yield from self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


# --- The spool ----------------------------------------------------------------------------------


class Spool:
    """Outcomes on disk, in the order of their actions, until somebody has taken them.

    One line each, ``<crc32> <json>``, only ever appended and on the disk (fsync) before ``append`` comes back. A line
    that was cut off by a death or a full disk was never acknowledged, and is passed over. Processes share it under
    file locks. When all is told, or it would grow over ``largest`` bytes, what is done is taken out of it.
    """

    def __init__(self, path: str | os.PathLike[str], *, largest: int = SPOOL_BYTES) -> None:
        if fcntl is None:
            raise RuntimeError("A spool needs file locks, which this system does not have.")
        self.path = Path(path)
        self.largest = largest
        self._aside = Path(f"{self.path}.rejected")

    @property
    def is_empty(self) -> bool:
        try:
            return self.path.stat().st_size == 0
        except FileNotFoundError:
            return True

    @property
    def is_full(self) -> bool:
        """Whether it holds so much that an outcome of usual size would not fit."""
        if self.is_empty or self.path.stat().st_size < self.largest * 0.9:
            return False
        with self._locked("lock"):
            return len(_lines(self._waiting())) >= self.largest * 0.9

    def append(self, key: str, outcome: Mapping[str, Any]) -> None:
        """Keep an outcome. Raises SpoolFull when it would be too much, or the disk is full."""
        line = _line({"key": key, "outcome": outcome})
        with self._locked("lock"):
            size = 0 if self.is_empty else self.path.stat().st_size
            if size + len(line) > self.largest:
                kept = _lines(self._waiting())
                if len(kept) + len(line) > self.largest:
                    raise SpoolFull(
                        f"{self.path} holds {len(kept)} of at most {self.largest} bytes"
                    )
                self._replace(kept)
            _append(self.path, line)

    def done(self, key: str) -> None:
        """An outcome was taken, or put aside."""
        with self._locked("lock"):
            # Not forced onto the disk: if it is lost, the outcome is told twice under one key, which is once.
            _append(self.path, _line({"done": key}), is_forced=False)

    def tidy(self) -> None:
        """Begin anew where nothing waits."""
        with self._locked("lock"):
            if not self._waiting():
                os.truncate(self.path, 0)

    def waiting(self) -> list[tuple[str, dict[str, Any]]]:
        """What was not told yet, by key, in its order."""
        with self._locked("lock"):
            return [] if self.is_empty else self._waiting()

    def put_aside(self, key: str, outcome: Mapping[str, Any], why: str) -> None:
        """Keep what the server does not accept, for a person; the oldest half goes when it is too much."""
        with self._locked("lock"):
            if self._aside.exists() and self._aside.stat().st_size > self.largest:
                self._aside.replace(f"{self._aside}.old")
            _append(self._aside, _line({"key": key, "outcome": outcome, "why": why}))

    @contextlib.contextmanager
    def only_one(self) -> Iterator[bool]:
        """Whether nobody else, thread or process, is telling it; then nobody does until the end of this."""
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(self._locked("flush", wait=False))
            except BlockingIOError:
                yield False
            else:
                yield True

    def _waiting(self) -> list[tuple[str, dict[str, Any]]]:
        found: dict[str, dict[str, Any]] = {}
        for line in self.path.read_bytes().split(b"\n"):
            record = _record(line)
            if "done" in record:
                found.pop(record["done"], None)
            elif "key" in record:
                found[record["key"]] = record["outcome"]
        return list(found.items())

    def _replace(self, content: bytes) -> None:
        new = Path(f"{self.path}.new")
        new.unlink(missing_ok=True)
        _append(new, content)
        new.replace(self.path)
        _sync_folder(self.path)

    @contextlib.contextmanager
    def _locked(self, name: str, *, wait: bool = True) -> Iterator[None]:
        descriptor = os.open(f"{self.path}.{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        finally:
            os.close(descriptor)


def _line(record: Mapping[str, Any]) -> bytes:
    text = json.dumps(record, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _lines(waiting: list[tuple[str, dict[str, Any]]]) -> bytes:
    return b"".join(_line({"key": key, "outcome": outcome}) for key, outcome in waiting)


def _record(line: bytes) -> dict[str, Any]:
    """A line's record; an empty one for what is none."""
    crc, _, text = line.partition(b" ")
    if crc != b"%08x" % zlib.crc32(text):
        return {}
    record: dict[str, Any] = json.loads(text)
    return record


def _append(path: Path, content: bytes, *, is_forced: bool = True) -> None:
    """Write at the end and onto the disk, all of it or nothing that would be read."""
    is_new = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            content = b"\n" + content  # the line before was cut off
        try:
            left = memoryview(content)
            while left:
                left = left[os.write(descriptor, left) :]
            if is_forced:
                os.fsync(descriptor)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, size)
            raise SpoolFull(f"{path} cannot be written: {error.strerror}") from error
    finally:
        os.close(descriptor)
    if is_new:
        _sync_folder(path)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
