"""The language of searches: MLflow's filter strings, read into comparisons.

::

    filter      = comparison { AND comparison }
    comparison  = field ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) value
                | field [ NOT ] IN "(" text { "," text } ")"
                | field ( LIKE | ILIKE ) text
                | field IS [ NOT ] NULL
    field       = [ entity "." ] key        entity: metrics, params, tags, attributes, dataset … (case matters)
    key         = letters, digits, "_" and ".", or anything in backticks or double quotes
    value       = number | text
    text        = '…' or "…"; nothing inside is unescaped

Keywords may be written in any case. There is no OR, no NOT and no grouping, as in MLflow. Which entities, attributes
and operators there are is said by a :class:`~headgate.store.search.vocabulary.Vocabulary`. Every mistake is an
:class:`~headgate.store.errors.InvalidFilter` with its position and what to write instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from headgate.store.errors import InvalidFilter
from headgate.store.search.vocabulary import Field, Operator, Unknown, Values, Vocabulary
from headgate.store.validation import shorten

MAX_FILTER_LENGTH = 1_000_000
MAX_COMPARISONS = 100
MAX_LISTED = 10_000
# SQLite refuses LIKE patterns of more than 50,000 bytes, and long ones full of % take ages everywhere.
MAX_PATTERN_LENGTH = 5000

Value = str | int | float | tuple[str, ...] | None

_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"[^\W\d]\w*")
_KEY = re.compile(r"\w+(?:\.\w+)*")
# Doubled and backslashed quotes do not end a text, and are not unescaped either: so does MLflow's tokenizer.
_TEXT = re.compile(r"""'(?:''|\\'|[^'])*'|"(?:""|\\"|[^"])*\"""")
_QUOTED_KEY = re.compile(r"""`([^`]*)`|"([^"]*)"|'([^']*)'""")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.])", re.ASCII)
_SYMBOL = re.compile(r"[<>=!]+")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison of a filter. ``value`` is None for IS NULL and IS NOT NULL, a tuple for IN and NOT IN."""

    field: Field
    operator: Operator
    value: Value
    position: int


def parse_filter(text: str | None, vocabulary: Vocabulary) -> tuple[Comparison, ...]:
    """Read a filter: the comparisons that must all hold; none for an empty filter.

    Raises:
        InvalidFilter: with ``position``, the 0-based offset of the mistake.
    """
    if text is None or not text.strip():
        return ()
    scanner = Scanner(text, "filter")
    comparisons = [_comparison(scanner, vocabulary)]
    while not scanner.at_end():
        _conjunction(scanner)
        comparisons.append(_comparison(scanner, vocabulary))
        if len(comparisons) > MAX_COMPARISONS:
            raise scanner.mistake("The filter has too many comparisons", f"Use at most {MAX_COMPARISONS}.")
    listed = sum(len(comparison.value) for comparison in comparisons if isinstance(comparison.value, tuple))
    if listed > MAX_LISTED:
        raise scanner.mistake("The lists of the filter are too long", f"Use at most {MAX_LISTED:,} values in all.", 0)
    return tuple(comparisons)


class Scanner:
    """A text and how far it has been read. ``what`` names it in messages."""

    def __init__(self, text: str, what: str) -> None:
        self.text = text
        self.what = what
        self.position = 0
        if len(text) > MAX_FILTER_LENGTH:
            raise self.mistake(f"The {what} is too long", f"Use at most {MAX_FILTER_LENGTH:,} characters.")
        unstorable = _UNSTORABLE.search(text)
        if unstorable is not None:
            raise self.mistake(
                "No database can hold this character", "Remove NUL and lone surrogates.", unstorable.start()
            )

    def at_end(self) -> bool:
        self.skip_space()
        return self.position == len(self.text)

    def skip_space(self) -> None:
        self.position = _end(_SPACE.match(self.text, self.position))

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Read what the pattern matches here, if it does."""
        found = pattern.match(self.text, self.position)
        if found is not None:
            self.position = found.end()
        return found

    def take_word(self, *words: str) -> bool:
        """Read the given keywords, in any case and with any space between them, if they stand here."""
        start = self.position
        for word in words:
            self.skip_space()
            found = self.take(_WORD)
            if found is None or found.group().upper() != word:
                self.position = start
                return False
        return True

    def here(self) -> str:
        """Return what stands here, for a message."""
        found = _WORD.match(self.text, self.position) or _TEXT.match(self.text, self.position)
        return shorten(found.group() if found else self.text[self.position : self.position + 20])

    def mistake(self, message: str, remedy: str, position: int | None = None) -> InvalidFilter:
        """Return the error for a mistake at a position; None means where the reading stands."""
        position = self.position if position is None else position
        return InvalidFilter(
            f"{message}, at character {position + 1} of the {self.what} {shorten(self.text)}.",
            remedy=remedy,
            position=position,
        )

    def take_field(self, vocabulary: Vocabulary, *, quoted_whole: bool = False) -> Field:
        """Read ``[entity.]key``.

        Args:
            quoted_whole: ``"metrics.a b"`` in quotes as a whole is an entity and a key, as in MLflow's order_by.
        """
        self.skip_space()
        start = self.position
        first, quoted = self._take_name()
        if self.text[self.position : self.position + 1] == ".":
            self.position += 1
            return self._field(vocabulary, first, self._take_key(), start)
        entity, dot, key = first.partition(".")
        if quoted and quoted_whole and dot:
            return self._field(vocabulary, entity, key, start)
        return self._field(vocabulary, None, first, start)

    def _take_name(self) -> tuple[str, bool]:
        quoted = self.take(_QUOTED_KEY)
        if quoted is not None:
            return str(quoted[quoted.lastindex or 0]), True
        word = self.take(_WORD)
        if word is None:
            raise self.mistake(
                f"A field has to stand here, not {self.here()}"
                if self.position < len(self.text)
                else "A field is missing",
                "Write one as metrics.accuracy, params.`learning rate` or tags.team.",
            )
        return word.group(), False

    def _take_key(self) -> str:
        quoted = self.take(_QUOTED_KEY)
        key = quoted[quoted.lastindex or 0] if quoted is not None else None
        if quoted is None:
            plain = self.take(_KEY)
            key = plain.group() if plain is not None else None
        if not key:
            raise self.mistake("The key is missing after the dot", "Write it as metrics.accuracy or params.`a b`.")
        return key

    def _field(self, vocabulary: Vocabulary, entity: str | None, key: str, start: int) -> Field:
        found = vocabulary.find(entity, key)
        if isinstance(found, Unknown):
            raise self.mistake(found.message, found.remedy, start)
        return found


def _conjunction(scanner: Scanner) -> None:
    start = scanner.position
    if scanner.take_word("AND"):
        if scanner.at_end():
            raise scanner.mistake("A comparison is missing after AND", "Add one, or remove the AND.")
        return
    if scanner.take_word("OR"):
        raise scanner.mistake("OR is not supported", "Search once for each alternative, or use IN.", start)
    raise scanner.mistake(
        f"Comparisons are joined by AND; {scanner.here()} stands here",
        "Write: metrics.a > 0.5 AND params.b = 'x'. Keys with other characters need backticks.",
    )


def _comparison(scanner: Scanner, vocabulary: Vocabulary) -> Comparison:
    scanner.skip_space()
    start = scanner.position
    if scanner.take_word("AND"):
        raise scanner.mistake("A comparison is missing before AND", "Add one, or remove the AND.", start)
    if scanner.text[start] == "(":
        raise scanner.mistake(
            "Parentheses only stand around the list of an IN", "Remove them: everything is joined by AND."
        )
    field = scanner.take_field(vocabulary)
    scanner.skip_space()
    at = scanner.position
    operator = _operator(scanner)
    allowed = vocabulary.operators(field)
    if not allowed:
        known = [name for name, attribute in vocabulary.attributes.items() if attribute.operators]
        raise scanner.mistake(f"{field} can't be searched for", f"Use {', '.join(known)} or tags.", start)
    if operator not in allowed:
        raise scanner.mistake(
            f"Invalid comparator: {field} can't be compared with {operator.value}",
            f"Use {', '.join(sorted(allowed))}.",
            at,
        )
    return Comparison(field, operator, _value(scanner, vocabulary, field, operator), start)


def _operator(scanner: Scanner) -> Operator:
    start = scanner.position
    symbol = scanner.take(_SYMBOL)
    if symbol is not None:
        try:
            return Operator(symbol.group())
        except ValueError:
            instead = {"==": "=", "<>": "!="}.get(symbol.group(), "one of =, !=, <, <=, > and >=")
            raise scanner.mistake(f"Invalid comparator {symbol.group()!r}", f"Use {instead}.", start) from None
    for operator in (
        Operator.LIKE,
        Operator.ILIKE,
        Operator.IN,
        Operator.NOT_IN,
        Operator.IS_NULL,
        Operator.IS_NOT_NULL,
    ):
        if scanner.take_word(*operator.value.split()):
            return operator
    if scanner.at_end():
        raise scanner.mistake("The comparison has no comparator", "Write: metrics.a > 0.5 or params.b = 'x'.")
    raise scanner.mistake(
        f"A comparator has to stand here, not {scanner.here()}",
        "Use =, !=, <, <=, >, >=, LIKE, ILIKE, IN, NOT IN, IS NULL or IS NOT NULL. Keys with other characters need "
        "backticks.",
    )


def _value(scanner: Scanner, vocabulary: Vocabulary, field: Field, operator: Operator) -> Value:
    if operator in (Operator.IS_NULL, Operator.IS_NOT_NULL):
        return None
    scanner.skip_space()
    values = vocabulary.values(field)
    if operator in (Operator.IN, Operator.NOT_IN):
        return _list(scanner)
    if values is Values.TEXT:
        start = scanner.position
        text = _text(scanner, field)
        if operator in (Operator.LIKE, Operator.ILIKE) and len(text) > MAX_PATTERN_LENGTH:
            raise scanner.mistake("The pattern is too long", f"Use at most {MAX_PATTERN_LENGTH:,} characters.", start)
        return text
    if values is Values.WHOLE_OR_QUOTED and scanner.text[scanner.position : scanner.position + 1] in ("'", '"'):
        return _quoted_whole(scanner, field)
    return _number(scanner, field, whole=values is not Values.NUMBER)


def _text(scanner: Scanner, field: Field) -> str:
    found = scanner.take(_TEXT)
    if found is None:
        raise scanner.mistake(
            f"Expected a quoted string value for {field}, not {scanner.here()}"
            if scanner.position < len(scanner.text)
            else f"The value of {field} is missing",
            f"Write it in quotes: {field} = 'value'.",
        )
    return found.group()[1:-1]


def _number(scanner: Scanner, field: Field, *, whole: bool) -> int | float:
    start = scanner.position
    found = scanner.take(_NUMBER)
    if found is None:
        raise scanner.mistake(
            f"Expected numeric value type for {field}, not {scanner.here()}"
            if scanner.position < len(scanner.text)
            else f"The value of {field} is missing",
            f"Write a number without quotes: {field} > 0.5.",
        )
    digits = found.group()
    unsigned = digits.lstrip("+-")
    is_whole = unsigned.isdecimal()
    if is_whole and len(unsigned) < 20:
        return int(digits)
    if whole and not is_whole:
        raise scanner.mistake(f"{field} is a whole number, and {digits} is none", "Leave out the fraction.", start)
    return float(digits)


def _quoted_whole(scanner: Scanner, field: Field) -> int:
    start = scanner.position
    digits = _text(scanner, field).strip()
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", digits):
        raise scanner.mistake(f"{field} is a whole number, and {shorten(digits)} is none", "Write digits.", start)
    return int(digits)


def _list(scanner: Scanner) -> tuple[str, ...]:
    start = scanner.position
    if scanner.text[start : start + 1] != "(":
        raise scanner.mistake("IN needs a list in parentheses", "Write: run_id IN ('a', 'b').")
    scanner.position += 1
    items: list[str] = []
    while True:
        scanner.skip_space()
        item = scanner.take(_TEXT)
        if item is not None:
            items.append(item.group()[1:-1])
            scanner.skip_space()
        closing = scanner.text[scanner.position : scanner.position + 1]
        if closing not in (",", ")") or (item is None and (closing == "," or not items)):
            raise scanner.mistake(
                "A list holds quoted strings, with commas between them, and at least one",
                "Write: run_id IN ('a', 'b').",
            )
        scanner.position += 1
        if closing == ")":
            break
    return tuple(items)


def _end(found: re.Match[str] | None) -> int:
    assert found is not None  # the pattern also matches nothing
    return found.end()
