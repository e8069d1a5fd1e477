"""A stack trace inside a message: what it says went wrong, and the frames where it did.

Python, Java, JavaScript, Go, Rust, C and C++ (gdb, sanitizers, kernel, Windows). A frame is reduced to its function:
line numbers, addresses, arguments, template parameters and build hashes change with every build. Frames of the
application weigh more than those of its libraries, and those that only report the failure (abort, panic, the
sanitizer) say nothing about it. One pass over the text by RE2; a recursion counts once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, takewhile
from typing import Any, NamedTuple, Self

import re2

from .words import masked

__all__ = ["MOST_FRAMES", "Trace", "trace_of"]

# Frames of a signature. ClusterFuzz tells crashes apart by three, Sentry by all of the application.
MOST_FRAMES = 5
# Frames that are looked at: enough for any cycle of a recursion that is seen, however deep it went.
KEPT = 64
LONGEST_CYCLE = 4
HEADLINE_LINES = 3
# One frame may be a quotation; two are a stack.
FEWEST_FRAMES = 2
# Lines before a trace in which what went wrong is looked for, and around its first frame for what was accessed.
LINES_BEFORE = 200
LINES_AROUND = 12
# Between two frames of Python stand their source and marks, and no more lines than this.
MOST_BETWEEN = 8
MAX_HEADLINE = 4_000
MAX_FRAME = 160
# Crashes of one program, and of all that use a library, have frames in common: a few MB at most.
PLACES_KEPT = 8_192
LONGEST_PLACE_KEPT = 400


@dataclass(frozen=True, slots=True)
class Trace:
    """What a message says went wrong, and where: functions, the failing one first; none for a plain message."""

    headline: str
    frames: tuple[str, ...] = ()


class Frame(NamedTuple):
    """One call: its function as it is compared, whether it is the application's own, and whether it only reports."""

    name: str
    in_app: bool
    is_reporting: bool

    @classmethod
    def of(cls, name: str, *, in_app: bool) -> Self:
        name = name[:MAX_FRAME]
        return cls(name, in_app, _REPORTING.search(name) is not None)


_ADDRESS = r"(?:0x[0-9a-fA-F]+|\[<(?:0x)?[0-9a-f]+>\])"


class Kind(NamedTuple):
    """How frames of one language look in a line: a text that each has, and a pattern whose last group is the place.

    A group before it is the address, which is another in every process.
    """

    language: str
    hint: str
    pattern: Any


_KINDS = tuple(
    Kind(language, hint, re2.compile(pattern))
    for language, hint, pattern in (
        (
            "native",
            "#",
            rf"[^#]*#\d+(?:\.\d+)?[ \t]+((?:(?:{_ADDRESS}|in)[ \t]+){{0,2}})(.+)",
        ),
        ("at", "at ", r"[ \t]+at (.+)"),
        (
            "kernel",
            "+0x",
            r"[ \t]*(?:\[[^\]]*\][ \t]*)*(?:\? )?([A-Za-z_][\w.]*)\+0x[0-9a-f]+/0x[0-9a-f]+",
        ),
        ("windows", "!", r"(?:[0-9a-f`]+[ \t]+)+([\w.]+![^\s+]+)"),
        ("rust", "::", r"[ \t]*\d+:[ \t]+(?:0x[0-9a-f]+ - )?([A-Za-z_<].*::.+)"),
        ("go", ")", r"((?:[\w-]+(?:\.[\w-]+)*/)*[\w-]+\.[^\s()]*(?:\([*\w.]+\)[^\s()]*)*)\(.*\)$"),
    )
)
_PYTHON = re2.compile(r'[ \t]*File ("[^"]+", line \d+(?:, in .+)?)')
# What stands under a frame of Go.
_GO_SOURCE = re2.compile(r"[ \t]+\S+\.(?:go|s|c):\d+")

_WRONG = re2.compile(
    r"(?i)error: |panic: |panicked at|fatal|check failed|assert|runtime error:|exception|received signal|bug: |kasan:"
)
_CAUSE = re2.compile(r"Caused by: |\s*\[cause\]: ")
# Lines that only say that a report follows, and frames of a stack that could not be read.
_REPORT_LINE = re2.compile(r"(?i)deadly ?signal|summary:|aborting|\(.*\+0x[0-9a-f]+\)")
_ACCESS = re2.compile(r"\b(READ|WRITE) (?:of size|memory access)")
_AT_ADDRESS = re2.compile(r"((?:unknown address|fault addr))[ :]+((?:0x)[0-9a-fA-F]+)")
# Dereferencing nothing reads here: nobody maps the first page.
ZERO_PAGE = 4096

_REPORTING = re2.compile(
    r"^(?:_*(?:asan|ubsan|msan|tsan|hwasan|lsan|sanitizer|interceptor|GI|assert|libc)_|abort$|_*raise$|gsignal|pthread_kill|"
    r"g_assertion|g_log|rust_|std::(?:panick|sys|rt|backtrace|terminate|__Cr|__1|_)|core::(?:panick|ops|fmt|option|result)|"
    r"_\$LT\$|fuzzer::|LLVMFuzzer|panic$|gopanic|runtime\.|_*(?:aeabi_)?(?:mem|str)[a-z]{3,5}(?:_|$)|logging::|"
    r"base::debug::|ImmediateCrash|.*StackTrace|dump_stack|kasan_|print_address|show_stack|__cxa_|__restore_rt|_start$|"
    r"_*(?:libc_)?start_main$|_?Unwind|__libc_start|tgkill|[\w:]*?(?i:[^:]*(?:abort|fatal|assert|panic|backtrace|crash(?:handler|callback|trampoline)))[^:]*$|Throwable\.|main$|clone$|start_thread|BaseThreadInitThunk|RtlUserThreadStart)"
)
_LIBRARY = re2.compile(
    r"site-packages|dist-packages|/lib/python|<frozen |node_modules|node:|internal/|rustlib|/build/glibc|/usr/(?:lib|include)|"
    r"/libcxx/|^(?:java|javax|jdk|sun|com\.sun|kotlin|scala|groovy|org\.junit|org\.apache|org\.springframework|System|Microsoft)\.|"
    r"^(?:std|core|alloc|boost|absl|tokio|testing|net/http|reflect|sync|syscall)(?:::|\.)|go/src/(?:net|runtime|reflect|testing)/"
)

_HASHED = re2.compile(
    r"::h[0-9a-f]{16}\b|\.(?:llvm|cold|isra|constprop|part)(?:\.\d+)*|\[clone [^\]]*\]|@@?[A-Z_]+[\d.]+"
)
_NUMBERED = re2.compile(
    r"\$\$?Lambda\$?[\d/x0-9a-f]*|\$\d+|\blambda\$(\w+)\$\d+|#\d+|\{closure#?\d*\}"
)
_SOURCE = re2.compile(
    r"(?:[ \t]+\S*[/\\.]\S*:\d+(?::\d+)?.*|[ \t]+\([^)]*\+0x[0-9a-f]+\).*|[ \t]+<[^>]*>\+0x.*|\+0x[0-9a-f]+.*)$"
)


def trace_of(text: str) -> Trace:
    """Take a message apart; a plain one is its own headline, with lines that only repeat the last one left out."""
    if "\n" not in text:
        return Trace(text)
    lines = text.split("\n")
    found = (_python(lines) if 'File "' in text else None) or _others(lines)
    if found is None or len(found.frames) < FEWEST_FRAMES:
        return Trace("\n".join(_without_repeats(lines)))
    frames = _folded(found.frames)
    frames = [frame for frame in frames if not frame.is_reporting] or frames
    frames = [frame for frame in frames if frame.in_app] or frames
    headline = _headline(lines, found)[:MAX_HEADLINE]
    return Trace(headline, tuple(frame.name for frame in frames[:MOST_FRAMES]))


class _Found(NamedTuple):
    frames: list[Frame]  # the failing one first
    starts: int  # the line of the first frame
    ends: int  # the line after the last one that counts
    language: str


def _python(lines: Sequence[str]) -> _Found | None:
    """The frames of the last traceback, whose error is the one that came out."""
    places = [at for at, line in enumerate(lines) if 'File "' in line and ", line " in line]
    frames: list[Frame] = []
    following = len(lines)
    for at in reversed(places):
        if frames and (len(frames) == KEPT or _ends_traceback(lines, at, following)):
            break
        found = _PYTHON.match(lines[at])
        if found and (frame := _frame("python", found.group(1))):
            frames.append(frame)
            following = at
    return _Found(frames, places[0], places[-1] + 1, "python") if frames else None


def _ends_traceback(lines: Sequence[str], at: int, following: int) -> bool:
    """Whether another traceback begins between two frames: then the error of the first stands between them."""
    return any(line[:1] not in ("", " ", "\t") for line in lines[at + 1 : following][:MOST_BETWEEN])


def _others(lines: Sequence[str]) -> _Found | None:
    """The frames of the first stack, but of Java those of the last cause, where it all began."""
    frames: list[Frame] = []
    language = ""
    starts = ends = number = 0
    for at, line in enumerate(lines):
        if language == "at" and _CAUSE.match(line):
            frames.clear()
        if len(frames) == KEPT:
            if language != "at":
                break
            continue
        read = _read(lines, at, language)
        if read is None:
            continue
        if read[0] == "native":
            said = _number(line)
            if said < number:
                break  # the next stack: who freed it, who made the thread
            number = said
        if not language:
            language, starts = read[0], at
        frames.append(read[1])
        ends = at + 1
    return _Found(frames, starts, ends, language) if frames else None


def _read(lines: Sequence[str], at: int, language: str) -> tuple[str, Frame] | None:
    """The language and the frame of a line; of this language only, once it is known."""
    for kind in _KINDS:
        if kind.hint not in lines[at] or (language and kind.language != language):
            continue
        found = kind.pattern.match(lines[at])
        if not found or (
            kind.language == "go" and not _GO_SOURCE.match("".join(lines[at + 1 : at + 2]))
        ):
            continue
        *address, said = found.groups()
        place = said.strip()
        if address == [""] and " at " not in place:
            return None
        frame = _frame(kind.language, place)
        return (kind.language, frame) if frame else None
    return None


def _number(line: str) -> int:
    """Which frame of its stack a line says that it is: the number behind its first ``#``."""
    return int("".join(takewhile(str.isdecimal, line.partition("#")[2])))


def _frame(language: str, place: str) -> Frame | None:
    """The frame of a place; None for one that names no function."""
    made = _kept_frame if len(place) <= LONGEST_PLACE_KEPT else _made_frame
    return made(language, place)


def _made_frame(language: str, place: str) -> Frame | None:
    match language:
        case "python":
            return _of_python(place)
        case "at":
            return _at(place)
        case "native":
            return _native(place)
    name = place.rsplit("/", 1)[-1] if language == "go" else place
    return Frame.of(_cleaned(name), in_app=not _LIBRARY.search(place))


_kept_frame = lru_cache(maxsize=PLACES_KEPT)(_made_frame)


def _of_python(place: str) -> Frame:
    """``"/app/x.py", line 3, in f``."""
    path, _, rest = place[1:].partition('"')
    function = rest.partition(", in ")[2].partition("(")[0].strip()
    module = masked(path.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".py"))
    return Frame.of(f"{module}:{function or '?'}", in_app=not _LIBRARY.search(path))


def _at(place: str) -> Frame | None:
    """``a.b.C.m(File.java:12)``, ``async fn (/app/x.js:1:2)``, ``/app/x.js:1:2``."""
    function, _, source = place.strip().partition("(")
    function = function.strip().removeprefix("async ").removeprefix("new ")
    if not source and (
        ":" in function or " in " in function
    ):  # no function has a name: the file has to do
        path = function.rsplit("/", 1)[-1].split(":")[0]
        return Frame.of(path, in_app=not _LIBRARY.search(function)) if path else None
    if not function or " " in function.strip():
        return None
    in_app = not _LIBRARY.search(function) and not _LIBRARY.search(source)
    return Frame.of(_cleaned(function), in_app=in_app)


def _native(place: str) -> Frame | None:
    """``ns::f(int) const src/f.cc:1:2``, ``main () at a.c:3``, ``(libc.so+0x1)``."""
    name = _cleaned(place)
    if not name or name in ("in", "??") or name[0] in "(<[":
        return None
    return Frame.of(name, in_app=not _LIBRARY.search(place))


def _cleaned(text: str) -> str:
    """A function without its arguments, template parameters, source and build hashes."""
    if source := _SOURCE.search(text):
        text = text[: source.start()]
    # Most have none of it, and a look for a letter takes a tenth of what a regular expression does.
    if "." in text or "::h" in text or "[" in text or "@" in text:
        text = _HASHED.sub("", text)
    text = text.replace("(anonymous namespace)", "{anonymous}")
    kept: list[str] = []
    depth = 0
    for position, char in enumerate(text):
        if (
            char == "<" and position and text[position - 1] not in "r:( "
        ):  # not "operator<", not "<closure>"
            depth += 1
        elif char == ">" and depth:
            depth -= 1
        elif depth:
            continue
        elif (
            char == "("
            and text[position + 1 : position + 2] != "*"
            and not text[:position].endswith("operator")
        ):
            break
        else:
            kept.append(char)
    name = "".join(kept)
    if "$" in name or "#" in name or "{" in name:
        name = str(_NUMBERED.sub("", name))
    return name.strip()


def _folded(frames: Iterable[Frame]) -> list[Frame]:
    """Frames with each cycle of a recursion once."""
    kept: list[Frame] = []
    for frame in frames:
        kept.append(frame)
        for size in range(1, LONGEST_CYCLE + 1):
            if len(kept) >= 2 * size and kept[-size:] == kept[-2 * size : -size]:
                del kept[-size:]
                break
    return kept


def _headline(lines: Sequence[str], found: _Found) -> str:
    """What the trace says went wrong: after it in Python, before it elsewhere."""
    if found.language == "python":
        after = (line for line in lines[found.ends :] if line[:1].strip())
        return "\n".join(islice(after, HEADLINE_LINES))
    before = [line.strip() for line in lines[: found.starts] if line.strip()][-LINES_BEFORE:]
    said = _telling(before)[-HEADLINE_LINES:] or before[-HEADLINE_LINES:]
    around = "\n".join(lines[max(0, found.starts - LINES_AROUND) : found.starts + LINES_AROUND])
    access = _ACCESS.search(around)
    headline = "\n".join([*said, access.group(1)] if access else said)
    return str(_AT_ADDRESS.sub(_address, headline))


def _telling(lines: Iterable[str]) -> list[str]:
    """The lines that say that something went wrong."""
    return [line for line in lines if _WRONG.search(line) and not _REPORT_LINE.search(line)]


def _address(match: Any) -> str:
    """An address is a value, but near zero it says that there was none."""
    return f"{match.group(1)} {'zero' if int(match.group(2), 16) < ZERO_PAGE else match.group(2)}"


def _without_repeats(lines: Iterable[str]) -> Iterator[str]:
    """A retry that failed like the last one adds nothing: lines that differ in digits only count once."""
    last = None
    for line in lines:
        bare = line.translate(_NO_DIGITS).strip()
        if not bare or bare != last:
            yield line
            last = bare


_NO_DIGITS = {ord(digit): "0" for digit in "123456789"}
