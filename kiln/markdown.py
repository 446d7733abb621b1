"""Markdown as text: marked blocks that Kiln rewrites, tables, and data that stays data."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from kiln.errors import ReadmeError

# A line ends with \n alone: form feeds and the like are part of it, as in every editor.
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_MARKER = re.compile(r"\ufeff?[ \t]*<!--[ \t]*(?P<end>/?)kiln:(?P<name>[^\s>]*)[ \t]*-->[ \t]*\r?\n?")
_FENCE = re.compile(r" {0,3}(?P<fence>`{3,}|~{3,})(?P<rest>.*)", re.DOTALL)


class _Block(Struct, frozen=True, kw_only=True):
    """A block's markers by the index of their lines."""

    name: str
    begin: int
    end: int


def replace(document: str, blocks: Mapping[str, str], name: str, *, required: bool = True) -> str:
    """Return a document with the text between each block's markers replaced; the rest stays as it is.

    The text takes the line ends of the block's first marker. Raises ReadmeError, with the line, for
    markers that do not pair up, and if there is no block where one is `required`.
    """
    lines = _LINE.findall(document)
    found = _find(lines, blocks.keys(), name)
    if not found and required:
        first = next(iter(blocks))
        raise ReadmeError(
            f"{name}: holds no block to rewrite; add a line such as <!-- kiln:{first} -->, and "
            f"<!-- /kiln:{first} --> below it (the blocks are {', '.join(blocks)})"
        )
    for block in reversed(found):
        end_of_line = "\r\n" if lines[block.begin].endswith("\r\n") else "\n"
        lines[block.begin + 1 : block.end] = [f"\n{blocks[block.name]}\n".replace("\n", end_of_line)]
    return "".join(lines)


def _find(lines: Sequence[str], known: Iterable[str], name: str) -> list[_Block]:
    """Return a document's blocks in order; markers inside a fenced code block are examples."""
    found: list[_Block] = []
    opened: tuple[str, int] | None = None
    fence = ""
    for index, line in enumerate(lines):
        marker = _MARKER.fullmatch(line)
        if opened is None:
            fence = _fence(fence, line)
        if marker is None or fence:
            continue
        block, place = marker["name"], f"{name}:{index + 1}"
        _check(marker, place, opened, known, found)
        if marker["end"] and opened is not None:
            found.append(_Block(name=block, begin=opened[1], end=index))
            opened = None
        else:
            opened = block, index
    if opened is not None:
        raise ReadmeError(
            f"{name}:{opened[1] + 1}: block kiln:{opened[0]} has no end; add <!-- /kiln:{opened[0]} --> below it"
        )
    return found


def _check(
    marker: re.Match[str], place: str, opened: tuple[str, int] | None, known: Iterable[str], found: Iterable[_Block]
) -> None:
    """Raise ReadmeError for a marker that may not stand where it does."""
    block = marker["name"]
    if block not in known:
        raise ReadmeError(f"{place}: unknown block kiln:{block}; use one of {', '.join(known)}, or remove the line")
    if marker["end"]:
        if opened is None:
            raise ReadmeError(f"{place}: block kiln:{block} ends but has not begun; add <!-- kiln:{block} --> above it")
        if opened[0] != block:
            raise ReadmeError(
                f"{place}: block kiln:{block} ends inside kiln:{opened[0]} of line {opened[1] + 1}; "
                f"add <!-- /kiln:{opened[0]} --> above it"
            )
    elif opened is not None:
        raise ReadmeError(
            f"{place}: block kiln:{block} begins inside kiln:{opened[0]} of line {opened[1] + 1}; "
            f"add <!-- /kiln:{opened[0]} --> above it"
        )
    elif twice := next((other for other in found if other.name == block), None):
        raise ReadmeError(f"{place}: block kiln:{block} stands in line {twice.begin + 1} already; keep one of the two")


def _fence(fence: str, line: str) -> str:
    """Return the code fence that is open after a line, or nothing."""
    found = _FENCE.match(line)
    if found is None:
        return fence
    mark, rest = found["fence"], found["rest"]
    if not fence:
        return "" if mark[0] == "`" and "`" in rest else mark
    closes = mark[0] == fence[0] and len(mark) >= len(fence) and not rest.strip()
    return "" if closes else fence


def escape(text: str) -> str:
    """Return data as Markdown that shows it and does nothing else, on one line."""
    flat = " ".join(text.split())
    entities = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]|~#])", r"\\\1", entities)


def code(text: str) -> str:
    """Return data as code; what could end the code early is shown as plain text."""
    return f"`{text}`" if re.fullmatch(r"[\w.:/@+-]+", text, re.ASCII) else escape(text)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: bool = False) -> str:
    """Return a table whose columns line up in the source; `right` aligns all but the first."""
    widths = [max(3, *(len(row[column]) for row in (head, *rows))) for column in range(len(head))]
    pads: list[Callable[[str, int], str]] = [str.ljust, *([str.rjust if right else str.ljust] * (len(head) - 1))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(pad(cell, width) for pad, cell, width in zip(pads, cells, widths, strict=True)) + " |"

    last = ":" if right else "-"
    rule = "|" + "|".join("-" * (width + 1) + (last if index else "-") for index, width in enumerate(widths)) + "|"
    return "\n".join([line(head), rule, *(line(row) for row in rows)])
