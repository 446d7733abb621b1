"""Tables of contents: GitHub's anchors, and nothing but the table changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from kiln import toc
from kiln.errors import ReadmeError
from tests.unit.fixtures import days

PUBLISHED = days("multi-py")
MARKERS = "<!--ts-->\n<!--te-->\n"


def entries(document: str) -> list[str]:
    lines = toc.update(f"{MARKERS}\n{document}", "R").splitlines()
    return lines[1 : lines.index("<!--te-->")]


def anchors(*headings: str) -> list[str]:
    return [heading.anchor for heading in toc.headings("".join(f"## {heading}\n" for heading in headings))]


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda folder: folder.name)
def test_as_published(folder):
    """A README of multi-py's has its own table again, byte for byte, and has it still the next time."""
    wanted = (folder / "README.md").read_bytes().decode()
    assert toc.update((folder / "README.no-toc.md").read_bytes().decode(), "R") == wanted
    assert toc.update(wanted, "R") == wanted


def test_levels_are_indented():
    """Three spaces each, the first level at the margin, as gh-md-toc does it."""
    document = "# One\n## Two\n#### Four\n###### Six\n####### no heading\n"
    assert entries(document) == [
        "* [One](#one)",
        "   * [Two](#two)",
        "         * [Four](#four)",
        "               * [Six](#six)",
    ]


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("Plain Words", "plain-words"),
        ("a.b/c (d), e: f!? 100% — “g” 'h'", "abc-d-e-f-100--g-h"),
        ("C++ & C#", "c--c"),
        ("snake_case and kebab-case", "snake_case-and-kebab-case"),
        ("🚀 Launch", "-launch"),
        ("Launch 🚀 pad", "launch--pad"),
        ("❤️", "\ufe0f"),
        ("👩‍💻 Work", "-work"),
        (":rocket: Launch", "rocket-launch"),
        ("Привет Мир", "привет-мир"),
        ("Ünïcode ÆØ ß", "ünïcode-æø-ß"),
        ("हिन्दी", "हिन्दी"),
        ("中文　标题", "中文标题"),
        ("x² ½ Ⅷ ٣ Ⓐ", "x--ⅷ-٣-ⓐ"),
        ("`code_span --flag`", "code_span---flag"),
        ("A [link](https://example.org) and ![image](x.png)", "a-link-and-"),
        ("*em* __strong__ ~~gone~~ **a**b", "em-strong-gone-ab"),
        ("x <kbd>Ctrl</kbd> <!-- not this --> y", "x-ctrl--y"),
        (r"\*not em\* \# 1", "not-em--1"),
        ("AT&amp;T &copy; &#35;", "att--"),
        ("closed ##   ", "closed"),
        ("not closed#", "not-closed"),
        ("   inner   space   ", "inner---space"),
    ],
)
def test_anchors_are_githubs(heading, anchor):
    """Of what a reader sees: lower case, spaces as hyphens, and only what can be part of a word."""
    assert anchors(heading) == [anchor]


def test_anchors_that_are_alike_are_counted():
    """A number that is taken by a heading is passed over, and one that comes later must yield."""
    assert anchors("a", "a", "a") == ["a", "a-1", "a-2"]
    assert anchors("a", "a", "a-1", "a 1", "a") == ["a", "a-1", "a-1-1", "a-1-2", "a-2"]
    assert anchors("a-1", "a", "a") == ["a-1", "a", "a-2"]
    assert anchors("A!", "a?") == ["a", "a-1"]


@pytest.mark.parametrize(
    "text",
    [
        "```\n# no\n```\n",
        "```sh\n# no\n~~~\n# no\n```\n",
        "~~~~\n```\n# no\n~~~\n# no\n~~~~\n",
        "  ```\n# no\n  ```\n",
        "- item\n\n  ```\n  # no\n  ```\n",
        "    # no\n",
        "<!-- # no\n\n# no\n-->\n",
        "text\n<!--\n# no\n-->\n",
        "<pre>\n# no\n</pre>\n",
        "#no\n",
        r"\# no" + "\n",
        "## ![only an image](x.png)\n",
        "##\n",
        "---\n\ntext\n\n---\n",
    ],
)
def test_what_is_no_heading_is_not_listed(text):
    """Code of every kind, comments, and lines that only look like one."""
    assert entries(f"{text}\n## yes\n") == ["   * [yes](#yes)"]


def test_headings_come_in_other_forms():
    """Underlined, in HTML, quoted, and after an open fence that its container ends."""
    document = (
        "One\n===\n\nTwo *words*\n---\n\n<h3 align='center'>Three</h3>\n\n> ## Four\n\n- ```\n  # no\n\n## Five\n"
    )
    assert [(heading.level, heading.text) for heading in toc.headings(document)] == [
        (1, "One"),
        (2, "Two words"),
        (3, "Three"),
        (2, "Four"),
        (2, "Five"),
    ]


def test_labels_show_the_text_as_it_is():
    """Without the heading's own markup; an underscore inside a word needs no backslash."""
    headings = ["`LOG_LEVEL`", r"\[x\] \*y\*", "`__init__`", "`<b>` &amp;amp;", r"back\\slash"]
    labels = [line.split("* [")[1].rsplit("](#")[0] for heading in headings for line in entries(f"## {heading}\n")]
    assert labels == ["LOG_LEVEL", r"\[x\] \*y\*", r"\_\_init\_\_", r"\<b> &amp;amp;", r"back\\slash"]


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"]) | st.just(" "), min_size=1))
def test_every_heading_can_be_labelled(text):
    """The table shows any text as the heading does."""
    document = f"<h2>{text.replace('&', '&amp;').replace('<', '&lt;')}</h2>\n"
    for shown, line in zip(toc.headings(document), entries(document), strict=True):
        link = MarkdownIt("commonmark").enable("strikethrough").parseInline(line.removeprefix("   * "))[0].children
        assert (link[0].type, link[-1].type) == ("link_open", "link_close")
        assert {token.type for token in link[1:-1]} <= {"text", "text_special"}
        assert "".join(token.content for token in link[1:-1]) == shown.text


def test_only_what_stands_between_the_markers_changes():
    """Whatever it is; the line ends are the document's."""
    document = "a\r\n<!--ts-->\r\n# old\r\n```\r\n<!--te-->\r\n# b\x0c\r\n\r\nc"
    assert toc.update(document, "R") == "a\r\n<!--ts-->\r\n* [b](#b)\r\n<!--te-->\r\n# b\x0c\r\n\r\nc"


def test_a_document_may_have_several_tables_or_none():
    """Each is the same; a document without markers stays as it is."""
    assert toc.update(f"# a\n{MARKERS}{MARKERS}", "R").count("* [a](#a)\n") == 2
    assert toc.update("# a\n", "R") == "# a\n"


@pytest.mark.parametrize(
    "example", ["```\n<!--ts-->\n```\n", "    <!--ts-->\n", "Write `<!--ts-->`.\n", "x <!--ts-->\n"]
)
def test_markers_in_code_or_prose_are_examples(example):
    """They begin no table."""
    assert toc.update(f"{example}\n# a\n\n{MARKERS}", "R") == f"{example}\n# a\n\n<!--ts-->\n* [a](#a)\n<!--te-->\n"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("\n<!--ts-->\n", "R:2: the table of contents has no end; add <!--te--> below it"),
        ("<!--te-->\n", "R:1: a table of contents ends but has not begun; add <!--ts--> above it"),
        ("<!--ts-->\n\n<!--ts-->\n", "R:3: <!--ts--> again after line 1; add <!--te--> between them"),
    ],
)
def test_markers_that_do_not_pair_up_are_errors(document, message):
    """The error says which line and what to do."""
    with pytest.raises(ReadmeError) as error:
        toc.update(document, "R")
    assert str(error.value) == message
