"""What a stack trace says went wrong, and where."""

import pytest

from catalog.rules.signature import signature
from catalog.rules.traces import MOST_FRAMES, trace_of

PYTHON = """Traceback (most recent call last):
  File "/srv/app/jobs/nightly.py", line {line}, in run
    total = add_up(rows)
  File "/srv/app/sums.py", line 7, in add_up
    return frame.sum()
  File "/usr/lib/python3.11/site-packages/pandas/core/frame.py", line 99, in sum
    raise KeyError(key)
KeyError: {key!r}"""

JAVA = """Exception in thread "main" org.acme.OrderFailed: order {number} could not be kept
\tat org.acme.orders.Orders.keep(Orders.java:{line})
\tat org.acme.Main.main(Main.java:5)
Caused by: java.sql.SQLException: deadlock
\tat java.sql.Driver.execute(Driver.java:88)
\tat org.acme.store.Rows.write(Rows.java:{line})
\tat org.acme.orders.Orders.lambda$keep$3(Orders.java:41)
\t... 2 more"""

NODE = """TypeError: Cannot read properties of undefined (reading 'seat')
    at pick (/srv/app/seats.js:{line}:13)
    at async book (/srv/app/book.js:4:1)
    at node:internal/process/task_queues:95:5
    at /srv/app/node_modules/express/router.js:1:2"""

GO = """panic: runtime error: index out of range [{number}] with length 3

goroutine {number} [running]:
panic(0xc30720, 0x144ca60)
\t/usr/local/go/src/runtime/panic.go:502 +0x229
main.(*Desk).pick(0xc4201dab60, 0x{number})
\t/src/desk/desk.go:{line} +0x5f4
main.main()
\t/src/desk/main.go:9 +0x48"""

NATIVE = """=={number}==ERROR: AddressSanitizer: heap-use-after-free on address 0x60f0{number} at pc 0x7e bp 0x7f sp 0x7f
READ of size 8 at 0x60f0{number} thread T0
    #0 0x7efd4a2a3e02 in __asan_memcpy (/bin/desk+0x1)
    #1 0x7efd4a29f60e in desk::Seats<int, desk::Row>::pick(int) const src/seats.cc:{line}:1
    #2 0x7efd4a29f60f in desk::(anonymous namespace)::book(char const*) src/book.cc:8:1

freed by thread T0 here:
    #0 0x7efd42e32fdb in __interceptor_free
    #1 0x7efd4a19be58 in desk::close() src/close.cc:1:1"""


@pytest.mark.parametrize(
    ("text", "headline", "frames"),
    [
        (PYTHON, "KeyError: 'seat'", ("sums:add_up", "nightly:run")),
        (
            JAVA,
            'Exception in thread "main" org.acme.OrderFailed: order 1 could not be kept',
            ("org.acme.store.Rows.write", "org.acme.orders.Orders."),
        ),
        (NODE, "TypeError: Cannot read properties of undefined (reading 'seat')", ("pick", "book")),
        (
            GO,
            "panic: runtime error: index out of range [1] with length 3",
            ("main.(*Desk).pick", "main.main"),
        ),
        (
            NATIVE,
            "==1==ERROR: AddressSanitizer: heap-use-after-free on address 0x60f01 at pc 0x7e bp 0x7f sp 0x7f\nREAD",
            ("desk::Seats::pick", "desk::{anonymous}::book"),
        ),
    ],
    ids=["python", "java", "node", "go", "native"],
)
def test_a_trace_is_what_went_wrong_and_the_applications_own_frames(
    text: str, headline: str, frames: tuple[str, ...]
):
    said = text.format(number=1, line=3, key="seat") if text is not PYTHON else text
    said = text.format(line=3, key="seat") if text is PYTHON else said
    found = trace_of(said)
    assert found.headline == headline
    assert found.frames == frames


@pytest.mark.parametrize("text", [PYTHON, JAVA, NODE, GO, NATIVE])
def test_lines_addresses_and_numbers_make_no_difference(text: str):
    first = signature(None, "desk", text.format(number=1, line=3, key="seat"))
    second = signature(None, "desk", text.format(number=204, line=77, key="row"))
    assert first.hash == second.hash


@pytest.mark.parametrize(
    ("text", "was", "now"),
    [
        (PYTHON, "in add_up", "in take_away"),
        (JAVA, "Rows.write", "Rows.read"),
        (NODE, "at pick", "at drop"),
        (GO, "(*Desk).pick", "(*Desk).drop"),
        (NATIVE, ">::pick(", ">::drop("),
        (NATIVE, "READ of size", "WRITE of size"),
        (NATIVE, "heap-use-after-free", "heap-buffer-overflow"),
    ],
)
def test_another_place_or_another_error_is_another_failure(text: str, was: str, now: str):
    said = text.format(number=1, line=3, key="seat")
    assert signature("", "", said).hash != signature("", "", said.replace(was, now)).hash


def test_of_chained_tracebacks_the_last_counts():
    chained = (
        PYTHON.format(line=1, key="a")
        + "\n\nDuring handling of the above exception, another exception occurred:\n\n"
        + 'Traceback (most recent call last):\n  File "/srv/app/a.py", line 1, in one\n    two()\n'
        + '  File "/srv/app/b.py", line 2, in two\n    raise Refused\napp.Refused: no such order 7'
    )
    found = trace_of(chained)
    assert found.headline == "app.Refused: no such order 7"
    assert found.frames == ("b:two", "a:one")


def test_a_recursion_counts_once_however_deep_it_went():
    def deep(times: int) -> str:
        calls = (
            '  File "/a/walk.py", line 4, in down\n    f(x)\n'
            '  File "/a/walk.py", line 9, in across\n    g(x)\n'
        )
        start = (
            'Traceback (most recent call last):\n  File "/a/main.py", line 1, in start\n    f(x)\n'
        )
        return start + calls * times + "RecursionError: maximum recursion depth exceeded"

    # The callers are beyond what is kept of a deep one: both are the cycle, and where it began.
    assert trace_of(deep(3_000)).frames == ("walk:across", "walk:down")
    assert trace_of(deep(5_000)) == trace_of(deep(3_000))


def test_at_nothing_and_at_a_wild_address_are_two_failures():
    text = "==1==ERROR: AddressSanitizer: SEGV on unknown address {} (pc 0x1)\n    #0 0x1 in f a.c:1\n    #1 0x2 in g a.c:2"
    assert (
        signature("", "", text.format("0x000000000008")).hash
        == signature("", "", text.format("0x000000000010")).hash
    )
    assert (
        signature("", "", text.format("0x000000000008")).hash
        != signature("", "", text.format("0x0000deadbeef")).hash
    )


@pytest.mark.parametrize(
    "text",
    [
        "look at me\n    at home (really)\n",
        "# 1 in the list\n# 2 in another",
        "one line",
        '  File "a.py", line 3',
        "",
    ],
)
def test_what_is_no_trace_is_its_own_headline(text: str):
    assert trace_of(text).headline.strip() == text.strip()
    assert trace_of(text).frames == ()


def test_a_retry_that_failed_like_the_last_adds_nothing():
    once = "attempt 1: connection refused\ngiving up"
    thrice = "attempt 1: connection refused\nattempt 2: connection refused\nattempt 3: connection refused\ngiving up"
    assert signature("E", "t", once).hash == signature("E", "t", thrice).hash


def test_what_caused_an_error_that_wraps_it_varies_with_the_day():
    message = "Max retries exceeded with url: /a (Caused by {}('no route'))"
    first, second = (
        signature("MaxRetryError", "get", message.format(cause)) for cause in ("NewError", "Slow")
    )
    assert first.hash == second.hash


def test_a_long_trace_keeps_a_few_frames():
    calls = "".join(
        f"\n\tat org.acme.C{chr(65 + n % 26)}.m{chr(97 + n // 26)}(C.java:1)" for n in range(90)
    )
    assert len(trace_of(f"org.acme.Failed: no{calls}").frames) == MOST_FRAMES
