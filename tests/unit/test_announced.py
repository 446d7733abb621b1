"""Releases that are announced are passed over with one line, and never break what else there is to do."""

import pytest

from kiln import announced, listing, parts, plan, reach, sources
from kiln.errors import SelectionError
from kiln.plan import Options, Wanted
from tests.unit import family as f

WAITING = sources.Found(announced=True)


@pytest.fixture
def family(tmp_path, monkeypatch):
    """Return a family of which 3.13.6 is announced and 3.13.5 available."""
    states = {"3.13.6": WAITING, "3.13.5": sources.Found(origin="here")}
    monkeypatch.setattr(sources, "look", lambda release, *_, **__: states[release.version])
    return f.expand(tmp_path, f.family(releases=[f.release("3.13.6"), f.release("3.13.5")]))


def passed(family, *globs):
    images = announced.without(family, globs, family.select(globs), None)
    return [image.id for image in images]


def test_one_line_says_what_is_passed_over(family, capsys):
    """The rest is there."""
    found = passed(family, "*-slim-trixie")
    assert found == ["3.13.5-slim-trixie"]
    assert capsys.readouterr().err == "passed over: 3.13.6: announced, and no origin serves the sources yet\n"


def test_what_is_named_stays(family, capsys):
    """Whoever names an image, by its id or another tag, is to know why it cannot be built."""
    assert passed(family, "3.13.6-slim-trixie") == ["3.13.6-slim-trixie"]
    assert passed(family, "3.13-slim", "3.13.5-slim") == ["3.13.6-slim-trixie", "3.13.5-slim-trixie"]
    assert capsys.readouterr().err == ""


def test_a_selection_of_nothing_else_is_an_error(family):
    """With the reason."""
    with pytest.raises(SelectionError, match=r"^3\.13\.6: announced, and no origin serves the sources yet; try"):
        passed(family, "3.13.6*")


def test_a_plan_says_why_a_named_image_cannot_be_built(family):
    """And not only that it cannot."""
    wanted = Wanted(image=family.select(["3.13.6-slim-trixie"])[0], platform="linux/amd64")
    with pytest.raises(SelectionError, match=r"^3\.13\.6-slim-trixie: 3\.13\.6 is announced, and no origin"):
        plan.foresee(wanted, family, Options(), None)
    assert parts.announced is announced


@pytest.mark.parametrize(
    ("found", "state", "cell"),
    [
        (WAITING, "announced", "announced"),
        (sources.Found(), "unreachable", "no"),
        (sources.Found(origin="there"), "available", "yes"),
    ],
)
def test_the_matrix_tells_states_apart(family, monkeypatch, found, state, cell):
    """In the table and for machines."""
    monkeypatch.setattr(sources, "look", lambda *_, **__: found)
    monkeypatch.setattr(listing.engines, "seen", lambda: None)
    monkeypatch.setattr(listing.bases, "available", lambda *_, **__: None)
    monkeypatch.setattr(listing.foreign, "known", lambda _: ())
    (row,) = listing.rows(family, family.select(["3.13.5-slim-trixie"]), None)
    assert row["state"] == state
    assert cell in listing.table([row]).splitlines()[1].split()


@pytest.mark.parametrize(
    ("reason", "missing"), [("404 Not Found", True), ("410 Gone", True), ("503 Busy", False), ("", False)]
)
def test_a_missing_file_is_no_dead_host(reason, missing):
    """Only an answer that there is no such file makes a release announced."""
    assert reach.Answer(at=0, pid=0, reason=reason).missing is missing
