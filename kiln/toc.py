"""Tables of contents between `<!--ts-->` and `<!--te-->`, with the anchors that GitHub gives headings.

GitHub makes the anchors from the rendered page, so the document is rendered here too: a heading in
a comment or in code is none, one in HTML is one, and its text is what a reader sees.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from msgspec import Struct

from kiln.errors import ReadmeError

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

# As Markdown splits lines; a form feed does not end one.
_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")
_MARKER = re.compile(r"[ \t]*<!--[ \t]*(?P<name>t[se])[ \t]*-->[ \t]*[\r\n]*")
_HEADING = re.compile(r"h[1-6]")
# Letters in a circle or a square are symbols, and alphabetic all the same.
_LETTERS = ((0x24B6, 0x24E9), (0x1F130, 0x1F149), (0x1F150, 0x1F169), (0x1F170, 0x1F189))


class Heading(Struct, frozen=True, kw_only=True):
    """A heading as a reader sees it."""

    level: int
    """1 to 6."""
    text: str
    """Without markup: `PORT`, where the document has it as code."""
    anchor: str
    """What follows `#` in a link to it."""


def update(document: str, name: str) -> str:
    """Return a document with its tables of contents rewritten; `name` is the file's, for errors.

    A document without markers stays as it is. Raises ReadmeError, with the line, for markers that
    do not pair up.
    """
    lines = _LINE.findall(document)
    if not any(_MARKER.fullmatch(line) for line in lines):
        return document
    pairs = _pairs(lines, name)
    for begin, end in reversed(pairs):
        lines[begin + 1 : end] = [""] * (end - begin - 1)
    found = headings("".join(lines))
    for begin, _ in reversed(pairs):
        end_of_line = "\r\n" if lines[begin].endswith("\r\n") else "\n"
        lines.insert(begin + 1, "".join(f"{entry}{end_of_line}" for entry in _entries(found)))
    return "".join(lines)


def headings(document: str) -> list[Heading]:
    """Return the headings of a Markdown document in order, those without any text left out."""
    page = _Page()
    page.feed(_markdown().render(document))
    page.close()
    anchors = _anchors(text for _, text in page.headings)
    return [
        Heading(level=level, text=" ".join(text.split()), anchor=anchor)
        for (level, text), anchor in zip(page.headings, anchors, strict=True)
        if text.strip()
    ]


def slug(text: str) -> str:
    """Return a heading's text as GitHub writes it in an anchor, before it counts those that are alike.

    The rule is that of GitHub's own TocFilter, as https://github.com/Flet/github-slugger found it out.
    """
    return "".join("-" if char == " " else char for char in text.lower() if char in " -" or _kept(char))


def _kept(char: str) -> bool:
    """Tell whether a character is a letter, mark, decimal or letter-like number, or joins words."""
    kind = unicodedata.category(char)
    return kind[0] in "LM" or kind in {"Nd", "Nl", "Pc"} or any(low <= ord(char) <= high for low, high in _LETTERS)


def _anchors(texts: Iterable[str]) -> Iterator[str]:
    """Yield each text's anchor: a number goes behind one that an earlier heading has already."""
    seen: dict[str, int] = {}
    for text in texts:
        anchor = plain = slug(text)
        while anchor in seen:
            seen[plain] += 1
            anchor = f"{plain}-{seen[plain]}"
        seen[anchor] = 0
        yield anchor


def _entries(found: Sequence[Heading]) -> list[str]:
    """Return the lines of the table, as gh-md-toc indents them."""
    return [f"{'   ' * (heading.level - 1)}* [{_label(heading.text)}](#{heading.anchor})" for heading in found]


def _label(text: str) -> str:
    """Return text as a link's label that shows it and does nothing else."""
    escaped = re.sub(r"([\\\[\]`*<~])", r"\\\1", text)
    # Inside a word an underscore is one, and looks better without a backslash.
    escaped = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", escaped)
    return re.sub(r"&(?=#?\w+;)", "&amp;", escaped)


def _pairs(lines: Sequence[str], name: str) -> list[tuple[int, int]]:
    """Return the indices of each table's markers; those in code are examples."""
    code = {
        index
        for token in _markdown().parse("".join(lines))
        if token.type in {"fence", "code_block"} and token.map
        for index in range(*token.map)
    }
    pairs: list[tuple[int, int]] = []
    opened: int | None = None
    for index, line in enumerate(lines):
        marker = _MARKER.fullmatch(line)
        # What stands in a table is replaced, so a fence that begins there hides no marker.
        if marker is None or (index in code and opened is None):
            continue
        place = f"{name}:{index + 1}"
        if marker["name"] == "te":
            if opened is None:
                raise ReadmeError(f"{place}: a table of contents ends but has not begun; add <!--ts--> above it")
            pairs.append((opened, index))
            opened = None
        elif opened is not None:
            raise ReadmeError(f"{place}: <!--ts--> again after line {opened + 1}; add <!--te--> between them")
        else:
            opened = index
    if opened is not None:
        raise ReadmeError(f"{name}:{opened + 1}: the table of contents has no end; add <!--te--> below it")
    return pairs


def _markdown() -> "MarkdownIt":
    # It costs 60 ms to import, which a command without a table of contents need not pay.
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable(["table", "strikethrough"])


class _Page(HTMLParser):
    """Collects the headings of an HTML page as (level, text)."""

    def __init__(self) -> None:
        super().__init__()
        self.headings: list[tuple[int, str]] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if _HEADING.fullmatch(tag):
            self.headings.append((int(tag[1]), ""))
            self._open = True

    def handle_endtag(self, tag: str) -> None:
        if _HEADING.fullmatch(tag):
            self._open = False

    def handle_data(self, data: str) -> None:
        if self._open:
            level, text = self.headings[-1]
            self.headings[-1] = level, text + data
