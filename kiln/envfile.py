"""Files of `KEY=value` lines, as a shell reads them, but parsed and never executed.

What a shell would expand or run is refused where the value is asked for, not guessed.
"""

import re
from pathlib import Path
from typing import NoReturn

from msgspec import Struct

from kiln import catalog
from kiln.errors import ImportedError

LIMIT = 1_000_000
"""Most bytes of a file; those of infra7 have one thousand."""

_START = re.compile(r"[ \t]*(?:export[ \t]+)?(?P<key>[A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*")
_EMPTY = re.compile(r"[ \t]*(#.*)?(?:\r?\n|\Z)")
# A value is one or several parts without white space between them; a double-quoted one may go over lines.
_PART = re.compile(
    r"'(?P<single>[^']*)'"
    r'|"(?P<double>(?:[^"\\]|\\.)*)"'
    r"|(?P<bare>(?:\$\([^)\n]*\)|`[^`\n]*`|[^\s'\"\\#]|\\.|(?<=\S)\#)+)",
    re.DOTALL,
)


class Value(Struct, frozen=True, kw_only=True):
    """A value with what a shell would still do to it."""

    text: str
    line: int
    expands: bool
    """Whether it refers to variables or commands."""


class EnvFile(Struct, frozen=True, kw_only=True):
    """One file."""

    path: Path
    values: dict[str, Value]

    def get(self, key: str) -> str:
        """Return a value, or nothing where there is none.

        Raises ImportedError for one that a shell would expand, or that holds control characters.
        """
        value = self.values.get(key)
        if value is None:
            return ""
        where = f"{self.path}: line {value.line}: {key}"
        if value.expands:
            raise ImportedError(
                f"{where}: found {catalog.short(value.text)}, which a shell would expand; write the value itself"
            )
        text = " ".join(value.text.split())
        if not text.isprintable():
            raise ImportedError(f"{where}: found {catalog.short(value.text)}; write printable text")
        return text


def read(path: Path) -> EnvFile:
    """Return a file's values. Raises ImportedError with the line that is not `KEY=value`."""
    try:
        with path.open("rb") as file:
            data = file.read(LIMIT + 1)
        if len(data) > LIMIT:
            raise ImportedError(f"{path}: has more than {LIMIT} bytes, so it is hardly a file of settings; look at it")
        return EnvFile(path=path, values=_values(data.decode("utf-8"), path))
    except OSError as error:
        raise ImportedError(f"{path}: cannot be read ({error.strerror}); check the file and its rights") from None
    except UnicodeDecodeError as error:
        raise ImportedError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None


def _values(text: str, path: Path) -> dict[str, Value]:
    found: dict[str, Value] = {}
    place, line, counted = 0, 1, 0
    while place < len(text):
        line, counted = line + text.count("\n", counted, place), place
        if empty := _EMPTY.match(text, place):
            place = max(empty.end(), place + 1)
            continue
        start = _START.match(text, place)
        if not start:
            _refuse(path, line, text[place:], "write KEY=value, or begin the line with #")
        value, place = _value(text, start.end(), path, line)
        if start["key"] in found:
            _refuse(path, line, start["key"], "the key stands twice; keep one of them")
        found[start["key"]] = value
    return found


def _value(text: str, place: int, path: Path, line: int) -> tuple[Value, int]:
    """Return the value that begins at a place, and where the next line begins."""
    parts, expands = [], False
    while part := _PART.match(text, place):
        bare, double = part["bare"] or "", part["double"] or ""
        expands = expands or bool(re.search(r"(?<!\\)[$`]", bare + " " + double))
        # A backslash takes the meaning of what follows, and a line end with it.
        words = bare or double
        parts.append(re.sub(r"\\(\r?\n|.)", lambda match: match[1].strip("\r\n"), words) or part["single"] or "")
        place = part.end()
    end = _EMPTY.match(text, place)
    if not end:
        _refuse(path, line, text[place:], "close the quotes, or quote a value with spaces")
    return Value(text="".join(parts), line=line, expands=expands), max(end.end(), place)


def _refuse(path: Path, line: int, found: str, remedy: str) -> NoReturn:
    raise ImportedError(f"{path}: line {line}: found {catalog.short(found.splitlines()[0] if found else '')}; {remedy}")
