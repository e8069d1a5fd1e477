"""What a verb raises when it will not do what was asked: expected, explained, and never a bug."""

from __future__ import annotations

from typing import Any, ClassVar


class Refusal(Exception):
    """A verb's no. The API answers with ``status`` and a problem of type ``code``; ``extra`` are its members.

    ``retry_after`` is in seconds, None where waiting does not help.
    """

    status: ClassVar[int] = 409
    code: ClassVar[str] = "refused"
    retry_after: int | None = None

    def __init__(self, message: str, **extra: Any) -> None:
        self.extra = extra
        super().__init__(message)


class Conflict(Refusal):
    """The record is not, or no longer, in a state in which this can be done."""

    code = "conflict"


class Invalid(Refusal):
    """What was sent cannot be taken; ``field`` says which part."""

    status = 400
    code = "invalid"


class Forbidden(Refusal):
    """This actor may not do this, whatever state the record is in."""

    status = 403
    code = "forbidden"
