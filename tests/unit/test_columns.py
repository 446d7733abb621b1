"""Text for people fits the width of a terminal, and no word of it is cut."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiln import columns, console

TITLES = ("ID", "KEY", "TAGS")
ROWS = [
    ("3.13.5-slim-trixie", "1bf3aeca34e8", "3.13-slim slim 3.13.5-slim-trixie"),
    ("3.13.5-trixie", "1bf3aeca34e8", ""),
]


def fitted(width, **options):
    return str(columns.fit(ROWS, width, titles=TITLES, **options)).splitlines()


def test_without_a_width_a_row_is_a_line():
    """What goes to a file or a pipe is complete."""
    assert fitted(None) == [
        "ID                  KEY           TAGS",
        "3.13.5-slim-trixie  1bf3aeca34e8  3.13-slim slim 3.13.5-slim-trixie",
        "3.13.5-trixie       1bf3aeca34e8",
    ]


def test_the_last_column_wraps_at_words():
    """Below its own beginning."""
    assert fitted(55)[1:3] == [
        "3.13.5-slim-trixie  1bf3aeca34e8  3.13-slim slim",
        "                                  3.13.5-slim-trixie",
    ]


def test_a_column_is_left_out_where_there_is_no_room():
    """In the order that the caller gives; the caller learns which."""
    found = columns.fit(ROWS, 45, titles=TITLES, drop=(1, 2))
    assert found.dropped == (1,)
    assert found.blocks[0] == "ID                  TAGS"
    assert columns.fit(ROWS, 22, titles=TITLES, drop=(1, 2)).blocks == ("ID", "3.13.5-slim-trixie", "3.13.5-trixie")


def test_cells_stand_below_the_first_in_the_end():
    """Each with its title."""
    assert fitted(30) == [
        "3.13.5-slim-trixie",
        "    key 1bf3aeca34e8  tags",
        "    3.13-slim slim",
        "    3.13.5-slim-trixie",
        "3.13.5-trixie",
        "    key 1bf3aeca34e8",
    ]


def test_nothing_is_nothing():
    """A benchmark may have no figures."""
    assert str(columns.fit([], 80)) == ""


WORD = st.text("abc-:.,", min_size=1, max_size=12)
CELL = st.lists(WORD, max_size=6).map(" ".join)


@given(
    st.integers(1, 4).flatmap(lambda size: st.lists(st.tuples(*[CELL] * size), min_size=1, max_size=5)),
    st.integers(20, 100),
)
def test_any_table_fits_and_keeps_its_words(rows, width):
    """However long its cells are; a single word may be as long as the terminal is wide."""
    text = str(columns.fit(rows, width))
    assert all(len(line) <= width for line in text.splitlines())
    assert sorted(text.split()) == sorted(word for row in rows for cell in row for word in cell.split())


@given(CELL, st.integers(12, 60))
def test_prose_fits_and_keeps_its_words(text, width):
    """The same of a sentence."""
    found = columns.fill(text, width, indent="  ")
    assert all(len(line) <= width for line in found.splitlines() if len(line.split()) > 1)
    assert found.split() == text.split()


@pytest.mark.parametrize(("columns_set", "width"), [("80", 80), ("", None), ("0", None), ("wide", None)])
def test_columns_of_the_environment_decide(monkeypatch, columns_set, width):
    """Else what is no terminal has no width."""
    monkeypatch.setenv("COLUMNS", columns_set)
    assert console.width(io.StringIO()) == width
