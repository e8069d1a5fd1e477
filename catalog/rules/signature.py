"""What of a failure stays the same when it happens again: its kind, its place, and its message without the values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import re2

from .masking import mask, printable, whole
from .traces import trace_of
from .words import words_of

__all__ = ["SIGNATURE_VERSION", "VALUE", "Signature", "folded_name", "signature", "signature_of"]

# Part of every hash: raise it whenever a change would give an old failure another signature.
SIGNATURE_VERSION = 2

MAX_NAME_CHARS = 200
MAX_WORDS = 512

VALUE = "<*>"


@dataclass(frozen=True, slots=True)
class Signature:
    """The unchanging part of a failure; equal hashes mean the same failure."""

    error_type: str
    tool: str
    template: str
    frames: tuple[str, ...]  # of a stack trace, the failing one first; in-app ones where it has any
    shape: tuple[str, ...]  # the template's words, one VALUE where values stood
    hash: str  # sha256 in hex, over the version, error type, tool, shape and frames
    version: int = SIGNATURE_VERSION


def signature(
    error_type: str | None,
    tool: str | None,
    message: str | None,
    context: Mapping[str, Any] | None = None,
) -> Signature:
    """Reduce a failure to what stays the same when it recurs; linear in the message's length.

    A message that is a stack trace becomes what it says went wrong and the frames where it did. `context` is asked only
    where a message says nothing: for an ``exception`` with its own type, message and ``stacktrace``.
    """
    text = whole(message or "")
    if not text.strip() and context:
        error_type, text = _of_context(error_type, context)
        text = whole(text)
    trace = trace_of(text)
    if _LOOKUP.search(folded_name(error_type)) and _QUOTATION.search(trace.headline):
        return signature_of(error_type, tool, "<str>", trace.frames)
    return signature_of(error_type, tool, mask(trace.headline), trace.frames)


def signature_of(
    error_type: str | None, tool: str | None, template: str, frames: Sequence[str] = ()
) -> Signature:
    """The signature of what is masked already, such as a stored pattern's template and frames."""
    type_name, tool_name = kind_name(error_type), kind_name(tool)
    shape = shape_of(template)
    # Only values: their kinds and the marks around them are then all there is to tell failures apart.
    said = template if shape in ((), (VALUE,)) else " ".join(shape).lower()
    # Control characters were folded away, so these separators cannot occur inside a part.
    parts = (str(SIGNATURE_VERSION), type_name, tool_name, said, "\x1e".join(frames))
    return Signature(
        error_type=type_name,
        tool=tool_name,
        template=template,
        frames=tuple(frames),
        shape=shape,
        hash=hashlib.sha256("\x1f".join(parts).encode()).hexdigest(),
    )


def _of_context(error_type: str | None, context: Mapping[str, Any]) -> tuple[str | None, str]:
    """What a structured context says went wrong: ``{exception: {type, message, stacktrace}}``, or the last three flat."""
    told = context.get("exception")
    told = told if isinstance(told, Mapping) else context
    named = [told.get(name) for name in ("type", "message", "value", "stacktrace", "traceback")]
    kind, *texts = [each if isinstance(each, str) else "" for each in named]
    return error_type or kind, "\n".join(filter(None, texts))


def shape_of(template: str) -> tuple[str, ...]:
    """The words; how many values stand side by side, and of which kind, says nothing."""
    shape: list[str] = []
    for word in words_of(template)[:MAX_WORDS]:
        if word[0] != "<":
            shape.append(word)
        elif not shape or shape[-1] != VALUE:
            shape.append(VALUE)
    return tuple(shape)


def folded_name(text: str | None) -> str:
    """A name as it is compared: printable, blanks folded, at most MAX_NAME_CHARS; None is empty."""
    return " ".join(printable(text or "").replace("\x1b", " ").split())[:MAX_NAME_CHARS].rstrip()


def kind_name(text: str | None) -> str:
    """An error type or a tool without the numbers of an instance ("52855:Handler"); "Http404" stays as it is."""
    name = folded_name(text)
    return _INSTANCE.sub("<num>", name) if any(map(str.isdigit, name)) else name


# Python's KeyError says nothing but the key, and a key may have blanks.
_LOOKUP = re2.compile(r"(?:^|\.)KeyError$")
_QUOTATION = re2.compile(r"""^(?:'.*'|".*")$""")
# Addresses and numbers that are a part by themselves, at the start or between marks.
_INSTANCE = re2.compile(r"^[\d.:/-]*\d\b|\b\d+\b$")
