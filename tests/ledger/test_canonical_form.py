"""The bytes of the ledger are those of RFC 8785, whoever writes them."""

import random
import struct
from typing import Any

import pytest
import rfc8785

from governance.ledger.canonical_form import NoCanonicalForm, _is_plain, write
from governance.models import Checkpoint

SEED = 8785
VALUES = 20_000
# Around every border that the two writers might draw differently.
CHARACTERS = '\x00\x08\t\n\x0b\x0c\r\x1f "\\/\x7f\x80é\u2028\ue000\uffff\U0001f600' + "abcXYZ_09"
NUMBERS = [0, -1, 2**53 - 1, -(2**53) + 1, 0.0, -0.0, 1.0, 1e-4, 9.99e-5, 1e15 + 0.5, 1e16, 1e21]


def test_every_value_has_the_bytes_that_the_library_gives_it() -> None:
    draw = random.Random(SEED)
    quick = 0
    for _ in range(VALUES):
        value = _value(draw, 3)
        quick += _is_plain(value)
        assert write(value) == rfc8785.dumps(value), value
    assert VALUES // 4 < quick < VALUES  # both writers were asked


def test_a_choice_is_written_as_its_text() -> None:
    assert write({"type": Checkpoint.Type.APPEAL}) == b'{"type":"appeal"}'


@pytest.mark.parametrize(
    "value",
    [
        "\ud800",
        {"a": "\udfff"},
        {"\ud800": 1},
        2**53,
        -(2**53),
        float("nan"),
        float("inf"),
        {1: 2},
        {"a": object()},
    ],
)
def test_what_has_no_form_is_refused(value: Any) -> None:
    with pytest.raises(NoCanonicalForm):
        write(value)


def _value(draw: random.Random, depth: int) -> Any:
    match draw.randrange(7 if depth else 5):
        case 0:
            return _text(draw)
        case 1:
            return draw.choice([True, False, None])
        case 2:
            return draw.choice(NUMBERS)
        case 3:
            return draw.randrange(-(10 ** draw.randrange(1, 15)), 10**15)
        case 4:
            number = struct.unpack("d", draw.randbytes(8))[0]
            return number if number - number == 0 else draw.random()  # neither NaN nor infinite
        case 5:
            return [_value(draw, depth - 1) for _ in range(draw.randrange(4))]
        case _:
            return {_text(draw): _value(draw, depth - 1) for _ in range(draw.randrange(4))}


def _text(draw: random.Random) -> str:
    return "".join(draw.choices(CHARACTERS, k=draw.randrange(6)))
