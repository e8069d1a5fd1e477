"""What an error message speaks about: which sort of trouble it is, and what it names.

A message is free text and often an attacker's: it only ever says where to look. A condition is made of the call's own
values, and must let every good call pass. The words are those that shells, databases, web APIs and tool frameworks use.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

LONGEST_READ = 2_000
"""Characters of each end of a message that are read; a stack trace names its error at the end."""

WHOLE = r"\w./~@#$%+\-"
"""What belongs to one word of a command or a query, as a class of a pattern."""
_WHOLE = re.compile(f"[{WHOLE}]+", re.ASCII)
_PART = re.compile(r"[./\-]")
_BLANK = re.compile(r"\s")
# What makes a word an identifier: a digit, an underscore, a dot or slash inside, or a capital after a small letter.
_IDENTIFIER = re.compile(r"[\d_]|\w[./]\w|[a-z][A-Z]|^--?\w")
_QUOTED = re.compile(r"\"([^\"\s]{1,80})\"|(?<!\w)'([^'\s]{1,80})'(?!\w)|`([^`'\s]{1,80})[`']")
_SEGMENT = re.compile(r":\s|\n")
_IN_A_PLACE = re.compile(r"([\w-]+)[./]\w")
_WORD = re.compile(r"[A-Za-z]{4,}")

# Words of errors themselves, and of the languages that commands and queries are written in.
_NEVER_NAMED = frozenset(
    [
        "the",
        "and",
        "for",
        "not",
        "with",
        "from",
        "into",
        "file",
        "line",
        "error",
        "errors",
        "errno",
        "command",
        "found",
        "select",
        "where",
        "table",
        "column",
        "in",
        "of",
        "to",
        "be",
        "is",
        "on",
        "at",
        "by",
        "or",
        "as",
        "no",
        "such",
        "null",
        "none",
        "true",
        "false",
        "usage",
        "string",
        "group",
        "order",
        "field",
        "list",
        "value",
        "values",
        "key",
        "name",
        "type",
        "expression",
        "statement",
        "query",
        "syntax",
        "argument",
        "arguments",
        "option",
        "options",
        "function",
        "module",
        "object",
        "return",
        "code",
        "exit",
    ]
)

_PASSING = r"timed? ?-?out|too many requests|rate.?limit|\b429\b|\b50[234]\b|temporar|try again|unavailable|\bbusy\b"
_NO_SUCH = (
    r"not found|no such|does(?: not|n.t) exist|unknown|not recogni[sz]ed|unrecogni[sz]ed|not subscribed|"
    r"not available|not installed|disabled|deprecated|undefined|no module named|(?:can(?:no|')t|could not) find"
)
_QUANTITY = (
    r"not enough|insufficient|balance|exceed|add up|(?:come|sum)s? (?:up )?to \d|\blimit\b|too (?:many|few|large|small|big|long|short|high|low)|"
    r"(?:less|more|greater|fewer) than|at (?:least|most)|maximum|minimum|out of range|"
    r"[<>]=? ?\d|between \d"
)
# What is used up or fills again: a bound of it is one of this moment.
_PASSING_BOUND = (
    r"balance|available|remain|\bleft\b|\bstock\b|\bfunds?\b|\bcurrent|\bseats?\b|\bquota\b"
)
_RELATION = (
    r"different|must match|should match|mismatch|same as|original|already|conflict|add up|between"
)
_RIGHTS = (
    r"permission|denied|unauthori[sz]ed|forbidden|log ?in\b|logged in|authenticat|credential|expired|session|"
    r"not authori[sz]ed"
)
_MEMBER = r"\b(?:column|attribute|field|property|member|method)\b"
_GRAMMAR = (
    r"syntax|\bnear\b|unexpected (?:token|eof|end|character)|looking for matching|pars(?:e|ing) error|traceback|"
    r"unterminated"
)
# A number right behind the words for a bound; a comparison's sign stands for such words. Nothing here is tried twice:
# the text is an agent's.
_NUMBER = r"(-?\d{1,15}+(?:\.\d{1,6}+)?+)(?![\w.]*\d)"
_LIMIT = re.compile(
    r"(?:at (?:most|least)|no more than|(?:more|less|greater|fewer) than|maximum|minimum|max|min|limit|exceed(?:s|ing|ed)?|"
    r"up to|below|above|under|over|equal to|[<>]=?)[\s:=(]*+"
    rf"(?:(?:of|is|the|a|limit|maximum|minimum|value|or|equal|to|allowed)\b[\s:=(]*+){{0,4}}+{_NUMBER}",
    re.IGNORECASE,
)
_BETWEEN = re.compile(rf"between {_NUMBER} and {_NUMBER}", re.IGNORECASE)
# What a tool is called by those who miss it, and what may stand between that and its name; all on one line.
_A_TOOL = r"(?:command|executable|tool|function|api|endpoint|action|method)"
_SMALL = r"(?:file|is|was|name|named|called|[ \t:])*"
_THIS_TOOL = (
    r"not subscribed to this api|this (?:api|tool|function|endpoint|command) (?:is|has been|does|was)\b.{0,20}"
    rf"(?:{_NO_SUCH}|removed|unsupported)"
)


def _found(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_KINDS = {
    "is_passing": _found(_PASSING),
    "is_absence": _found(_NO_SUCH),
    "is_about_quantity": _found(_QUANTITY),
    "is_of_this_moment": _found(_PASSING_BOUND),
    "is_about_relation": _found(_RELATION),
    "is_about_rights": _found(_RIGHTS),
    "is_about_a_member": _found(_MEMBER),
    "is_about_grammar": _found(_GRAMMAR),
}


@dataclass(frozen=True)
class Place:
    """Where an error says that something is, and what it says before that; both in small letters."""

    name: str
    before: str

    def is_of(self, error: str) -> bool | None:
        """Whether an error that begins alike names this place, and not another; None of one that does not begin alike."""
        small = error.lower()
        found = _IN_A_PLACE.match(small, len(self.before))
        if found is None or not small.startswith(self.before):
            return None
        return found[1] == self.name


@dataclass(frozen=True)
class Message:
    """One error message, read."""

    text: str

    @classmethod
    def of(cls, text: str) -> Message:
        if len(text) > 2 * LONGEST_READ:
            text = f"{text[:LONGEST_READ]}\n{text[-LONGEST_READ:]}"
        return cls(text)

    def _is(self, kind: str) -> bool:
        return _KINDS[kind].search(self.text) is not None

    @cached_property
    def is_passing(self) -> bool:
        """The same call may well pass a moment later."""
        return self._is("is_passing")

    @cached_property
    def is_absence(self) -> bool:
        """Something that was named is not there."""
        return self._is("is_absence")

    @cached_property
    def is_about_quantity(self) -> bool:
        """An amount is wrong: what is named is involved, another amount of it would do."""
        return self._is("is_about_quantity")

    @cached_property
    def limits(self) -> tuple[int | float, ...]:
        """The bounds that it states: `limit must be <= 100`, `at most 20`. None of what is used up and fills again."""
        if self._is("is_of_this_moment"):
            return ()
        said = [*_LIMIT.findall(self.text), *chain.from_iterable(_BETWEEN.findall(self.text))]
        found = map(float, said)
        return tuple(dict.fromkeys(int(one) if one == int(one) else one for one in found))

    @cached_property
    def is_about_relation(self) -> bool:
        """Values do not go together: each may be right elsewhere."""
        return self._is("is_about_relation")

    @cached_property
    def is_about_rights(self) -> bool:
        """Who asks may not, for now: another call may change that."""
        return self._is("is_about_rights")

    @cached_property
    def is_about_grammar(self) -> bool:
        """A text cannot be read: what is named is where reading stopped, not what is wrong."""
        return self._is("is_about_grammar")

    @cached_property
    def is_about_a_member(self) -> bool:
        """Something lacks a part that was named: a table its column. Elsewhere such a part may well be."""
        return self._is("is_about_a_member")

    def names(self, word: str) -> bool:
        """Whether it names this as something of the caller's: quoted, alone between colons, or spelled like an identifier."""
        small = word.lower()
        if len(word) < 2 or not mentions(self._small, small):
            return False
        if small in self._quoted or small == self._last:
            return True
        return small not in _NEVER_NAMED and (small in self._alone or is_identifier(word))

    @cached_property
    def _small(self) -> str:
        return self.text.lower()

    @cached_property
    def _quoted(self) -> frozenset[str]:
        """What it quotes, and the parts of that: `'db.orders'` quotes orders too."""
        found = [next(filter(None, each.groups())) for each in _QUOTED.finditer(self._small)]
        return frozenset(found) | {part for each in found for part in _PART.split(each) if part}

    @cached_property
    def _last(self) -> str:
        """What stands alone at its end: `no such column: code`."""
        last = self._small.rstrip().rstrip(".").rpartition(": ")[2]
        return "" if _BLANK.search(last) else last

    @cached_property
    def _alone(self) -> frozenset[str]:
        """What stands alone between colons, or at the end of a line: `no such table: orders`."""
        said = (segment.strip().rstrip(":.") for segment in _SEGMENT.split(self._small))
        return frozenset(one for one in said if one and not _BLANK.search(one))

    def places_of(self, word: str) -> list[Place]:
        """Where it says that this is: in `db`, of `db.orders`; in `src`, of `/srv/src/orders`."""
        # From its beginning and never back: the text is an agent's.
        before = r"(?<![\w-])([\w-]++)[./]"
        found = re.finditer(rf"{before}{re.escape(word.lower())}(?![\w-])", self._small)
        return [Place(each[1], self._small[: each.start()]) for each in found]

    @cached_property
    def words(self) -> frozenset[str]:
        """Its plain words of at least four letters, small and without a plural's s."""
        return frozenset(stem(word) for word in _WORD.findall(self.text))

    def mentions(self, value: str) -> bool:
        """Whether it holds exactly this text, not as a part of a longer word."""
        return mentions(self.text, value)

    def says_there_is_no(self, tool: str) -> bool:
        """Whether it is about the tool itself, whatever the arguments."""
        name = rf"(?<![\w./])[\"'`]?{re.escape(tool)}[\"'`]?(?!\w)"
        kinds = (
            rf"{_A_TOOL}{_SMALL}{name}{_SMALL}(?:{_NO_SUCH})",
            rf"{name}{_SMALL}{_A_TOOL}{_SMALL}(?:{_NO_SUCH})",
            rf"(?:{_NO_SUCH}){_SMALL}{_A_TOOL}{_SMALL}{name}",
            rf"\bsh: \d+: {name}: not found",
            _THIS_TOOL,
        )
        return any(re.search(kind, self.text, re.IGNORECASE) for kind in kinds)

    def names_key(self, key: str) -> bool:
        """Whether it names this argument: literally, or by all of its telling words."""
        if self.names_key_literally(key):
            return True
        words = telling_words(key)
        return bool(words) and words <= self.words

    def names_key_literally(self, key: str) -> bool:
        return len(key) > 1 and self.mentions(key)


def words_of(text: str) -> list[str]:
    """What stands in a command or a query as one word: paths, options and qualified names are whole."""
    found = (word.rstrip(".-") for word in _WHOLE.findall(text))
    return list(dict.fromkeys(word for word in found if len(word) > 1))


def is_identifier(word: str) -> bool:
    """Whether this is spelled as names are in programs, not as words are in sentences."""
    return _IDENTIFIER.search(word) is not None


def is_never_named(word: str) -> bool:
    """Whether this is a word of errors or of a language, whatever it stands beside."""
    return word.lower() in _NEVER_NAMED


def mentions(text: str, value: str) -> bool:
    """Whether a text holds exactly this, not as a part of a longer word."""
    start = text.find(value)
    while start >= 0:
        end = start + len(value)
        if not (_is_wordy(text[start - 1 : start]) and _is_wordy(value[0])) and not (
            _is_wordy(text[end : end + 1]) and _is_wordy(value[-1])
        ):
            return True
        start = text.find(value, start + 1)
    return False


def _is_wordy(character: str) -> bool:
    return character == "_" or (character.isascii() and character.isalnum())


_GENERIC = frozenset({"id", "ids", "name", "names", "number", "code", "key", "value"})
_NAME_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def telling_words(key: str) -> frozenset[str]:
    """The words in an argument's name that say what it is: `new_item_ids` is about new and item."""
    words = (part.lower() for part in _NAME_PARTS.findall(key))
    return frozenset(stem(word) for word in words if len(word) > 2 and word not in _GENERIC)


def stem(word: str) -> str:
    return word.lower().rstrip("s")
