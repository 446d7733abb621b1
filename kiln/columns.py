"""Text for people, fitted to the width of a terminal: columns are dropped or wrapped at words, never cut in one."""

import textwrap
from collections.abc import Sequence

from msgspec import Struct

_GAP = "  "
_LEAST = 20
"""The narrowest that a column is wrapped to, in characters; below it a page of single words helps nobody."""


class Fitted(Struct, frozen=True, kw_only=True):
    """Rows as text, and what there was no room for."""

    blocks: tuple[str, ...]
    """The text of each row, of one line or more."""
    dropped: tuple[int, ...] = ()
    """The columns that were left out."""

    def __str__(self) -> str:
        """Return all rows."""
        return "\n".join(self.blocks)


def fit(
    rows: Sequence[Sequence[str]], width: int | None = None, *, titles: Sequence[str] = (), drop: Sequence[int] = (),
    indent: str = "",
) -> Fitted:  # fmt: skip
    """Return rows in aligned columns, below their titles if there are any; each row has as many columns.

    Without a width every row is one line, however long. With one, the last column is wrapped at
    words; while that does not fit, the columns of `drop` are left out, the first one first. In the
    end the cells behind the first stand below it, each with its title.
    """
    table = [*([titles] if titles else ()), *rows]
    for count in range(len(drop) + 1):
        gone = tuple(drop[:count])
        kept = [tuple(cell for column, cell in enumerate(row) if column not in gone) for row in table]
        widths = [max(map(len, column)) for column in zip(*kept, strict=True)]
        room = None if width is None else width - len(indent) - sum(widths[:-1]) - len(_GAP) * len(widths[:-1])
        if room is None or not widths or room >= _least([row[-1] for row in kept]):
            return Fitted(blocks=tuple(_aligned(row, widths, room, indent) for row in kept), dropped=gone)
    names = kept.pop(0) if titles else [""] * len(kept[0])
    return Fitted(blocks=tuple(_stacked(row, names, width, indent) for row in kept), dropped=gone)


def fill(text: str, width: int | None = None, *, indent: str = "") -> str:
    """Return prose whose lines are wrapped at words to a width; `indent` is before all but the first."""
    return "\n".join("\n".join(_wrapped(line, width, indent)) for line in text.split("\n"))


def _least(cells: Sequence[str]) -> int:
    """Return the fewest characters that a column may be wrapped to."""
    word = max((len(word) for cell in cells for word in cell.split()), default=0)
    return max(word, min(_LEAST, max(map(len, cells), default=0)))


def _aligned(row: Sequence[str], widths: Sequence[int], room: int | None, indent: str) -> str:
    head = indent + "".join(cell.ljust(wide) + _GAP for cell, wide in zip(row[:-1], widths, strict=False))
    lines = _wrapped(row[-1], room, "") if row else [""]
    return "\n".join(f"{head if number == 0 else ' ' * len(head)}{line}".rstrip() for number, line in enumerate(lines))


def _stacked(row: Sequence[str], names: Sequence[str], width: int | None, indent: str) -> str:
    cells = [f"{name.lower()} {cell.strip()}".strip() for name, cell in zip(names, row, strict=True) if cell.strip()]
    below = f"{indent}    "
    first = _wrapped(f"{indent}{row[0]}".rstrip(), width, below)
    rest = _GAP.join(cells[1:] if row[0].strip() else cells)
    return "\n".join([*first, *(_wrapped(below + rest, width, below) if rest else ())])


def _wrapped(line: str, width: int | None, indent: str) -> list[str]:
    if width is None or len(line) <= width:
        return [line]
    # A word that is wider than the terminal, such as a digest or a path, stays whole.
    return textwrap.wrap(
        line, max(width, len(indent) + 1), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
