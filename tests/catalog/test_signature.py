"""What of a failure stays the same when it happens again."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.rules.masking import HEAD_WORDS, MAX_WORD_CHARS, TAIL_WORDS, mask
from catalog.rules.signature import MAX_WORDS, signature, signature_of


@pytest.mark.parametrize(
    ("message", "template"),
    [
        ("payment method gift_card_5094406 not found", "payment method <id> not found"),
        (
            "flight HAT030 not available on date 2024-05-13",
            "flight <id> not available on date <date>",
        ),
        ("total price is 1,203.50, but paid 833", "total price is <num>, but paid <num>"),
        ("gone at 0x7fa118122910", "gone at <hex>"),
        ("commit deadbeefcafe1234 is missing", "commit <hex> is missing"),
        ("request 550e8400-e29b-41d4-a716-446655440000 failed", "request <uuid> failed"),
        ("cannot open /var/lib/app.db: locked", "cannot open <path>: locked"),
        ("cannot open C:\\Users\\me\\a.txt now", "cannot open <path> now"),
        ("cat: source.py: No such file", "cat: <path>: No such file"),
        ("since 2024-05-26T10:11:12.5Z", "since <time>"),
        ("refused by 10.0.0.7:5432", "refused by <ip>"),
        ("GET https://example.org/a?b=1 failed", "GET <url> failed"),
        ("no mailbox for ann.lee@example.org", "no mailbox for <email>"),
        ('column "custmer_id" does not exist', "column <str> does not exist"),
        ("name 'web_search' is not defined", "name <str> is not defined"),
        ("took 65020ms", "took <num>"),
        ("cannot delete blk_12, blk_34, blk_56 now", "cannot delete <id> now"),
        ("\x1b[31mfailed\x1b[0m twice", "failed twice"),
    ],
)
def test_a_value_becomes_a_placeholder_of_its_kind(message: str, template: str):
    assert mask(message) == template


@pytest.mark.parametrize(
    "message",
    [
        "[Errno 110] Connection timed out",
        "HTTP 429 too many requests",
        "401 Client Error: Unauthorized",
        "exit code 2",
        "no route via eth0 with utf8",
        "can't reach the user's server",
        '{"error": "not found"}',
        'Error: "payment amount does not add up"',
    ],
)
def test_what_says_what_went_wrong_is_not_masked(message: str):
    assert mask(message) == message


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("took 5ms", "took 65020ms"),
        ("user  sofia_kim_7287\n not found", "user omar_anderson_3203 not found"),
        ("bad\0value 1", "bad value 2"),
        ("no file 'a b'", "no file 'other'"),
    ],
)
def test_the_same_failure_with_other_values_has_the_same_hash(first: str, second: str):
    assert signature("E", "search", first).hash == signature("E", "search", second).hash


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("E", "search", "not found"), ("E", "search", "timed out")),
        (("E", "search", "not found"), ("E", "book", "not found")),
        (("Http404", "search", "failed"), ("Http500", "search", "failed")),
        (("E", "search", "HTTP 401"), ("E", "search", "HTTP 429")),
        (("E", "search", '{"error": "not found"}'), ("E", "search", '{"error": "timed out"}')),
        (("ab", "c", ""), ("a", "bc", "")),
        (("a", "b", ""), ("a\x1fb", "", "")),
    ],
)
def test_another_failure_has_another_hash(
    first: tuple[str, str, str], second: tuple[str, str, str]
):
    assert signature(*first).hash != signature(*second).hash


def test_a_signature_can_be_made_again_from_a_stored_template():
    made = signature("ToolError", "book_reservation", "not enough seats on flight HAT139")
    assert signature_of(made.error_type, made.tool, made.template) == made


def test_nothing_at_all_still_has_a_signature():
    assert signature(None, None, None) == signature("", " \n", "\0")


def test_a_long_message_keeps_its_head_and_its_tail():
    message = "start " + "word " * 200_000 + "KeyError"
    words = mask(message).split()
    assert len(words) == HEAD_WORDS + 1 + TAIL_WORDS
    assert (words[0], words[-1]) == ("start", "KeyError")


@pytest.mark.parametrize(
    "message",
    [
        "\0" * 1_000_000,
        "a" * 1_000_000,
        "1 " * 500_000,
        "'a 1 " * 200_000,
        ('\\"1' * 80 + " ") * 4_000,
        "\ud800x" * 300_000,
        "\x1b[31m" * 200_000,
        '{"a": "' * 140_000,
    ],
    ids=[
        "nul",
        "one word",
        "numbers",
        "open quotes",
        "escapes",
        "half characters",
        "colours",
        "json",
    ],
)
def test_a_megabyte_of_hostile_text_is_cut_to_size(message: str):
    made = signature("E", "t", message)
    # A placeholder may be longer than the value it stands for, but never more than six times.
    assert len(made.template) <= 6 * (HEAD_WORDS + TAIL_WORDS + 1) * (MAX_WORD_CHARS + 1)
    assert len(made.shape) <= MAX_WORDS


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # shared machines stall
@given(st.text(alphabet=st.characters(), max_size=300))
def test_any_text_gives_a_stable_storable_signature(text: str):
    made = signature(text, text, text)
    assert made == signature(text, text, text)
    stored = f"{made.error_type}{made.tool}{made.template}"
    assert "\0" not in stored
    stored.encode()


def test_half_characters_are_replaced():
    assert mask("bad \ud800 name") == "bad \ufffd name"


HOSTILE = {
    "900 kB of words": "word " * 180_000,
    "one token a million times": "token " * 1_000_000,
    "one word": "a" * 900_000,
    "binary": bytes(range(256)).decode("latin-1") * 3_500,
    "right to left": "\u202e\u0634\u0644 \u0641\u064a 17 " * 90_000,
    "emoji": "\U0001f4a5\u200d\U0001f525 17 " * 100_000,
    "a trace of ten thousand lines": "Traceback (most recent call last):\n"
    + '  File "/a/b.py", line 3, in f\n    g(x)\n' * 5_000
    + "E: gone",
    "frames of ten thousand functions": "boom\n"
    + "".join(f"    at f{n} (/a/b.js:1:2)\n" for n in range(10_000)),
    "open brackets": "(" * 900_000,
    "caused by": "(caused by " * 80_000,
    "keys": "a=" * 450_000,
    "dots": "a." * 450_000,
    "hashes": "#1 0x1 in f\n" * 75_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_twice_the_hostile_text_costs_about_twice(text: str):
    """Linear: measured as the least of several, of half the text and of all of it."""

    def cost(said: str) -> float:
        took = []
        for _ in range(3):
            began = time.process_time()
            signature("E", "t", said)
            took.append(time.process_time() - began)
        return min(took)

    half, whole = cost(text[: len(text) // 2]), cost(text)
    # Quadratic would be four times; a millisecond is noise.
    assert whole < 3 * half + 0.02
    assert whole < 2.0
    assert signature("E", "t", text) == signature("E", "t", text)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("\u0641\u0634\u0644 17 \u0645\u0631\u0629", "\u0641\u0634\u0644 99 \u0645\u0631\u0629"),
        ("\U0001f4a5 after 17 ms", "\U0001f4a5 after 99 ms"),
        ("\u63a5\u7d9a 17 \u5931\u6557", "\u63a5\u7d9a 99 \u5931\u6557"),
    ],
    ids=["right to left", "emoji", "without blanks"],
)
def test_values_are_found_in_every_script(first: str, second: str):
    assert signature("E", "t", first).hash == signature("E", "t", second).hash


def test_unlike_words_of_another_script_are_another_failure():
    opened = signature(
        "E",
        "t",
        "\u0627\u0644\u062c\u0644\u0633\u0629 \u0645\u0641\u062a\u0648\u062d\u0629 \u0644\u0644\u0645\u0633\u062a\u062e\u062f\u0645",
    )
    closed = signature(
        "E",
        "t",
        "\u0627\u0644\u062c\u0644\u0633\u0629 \u0645\u063a\u0644\u0642\u0629 \u0644\u0644\u0645\u0633\u062a\u062e\u062f\u0645",
    )
    assert opened.hash != closed.hash
