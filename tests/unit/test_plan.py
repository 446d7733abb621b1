"""What globs and platforms select, and which image is built when nobody names one."""

import pytest

from kiln import plan
from kiln.errors import SelectionError
from tests.unit import family as f


@pytest.fixture
def matrix(tmp_path):
    """Return three images, one of them for amd64 only."""
    return f.expand(tmp_path, f.family())


@pytest.fixture
def here(monkeypatch):
    """Give the Pythons whose sources and the targets whose bases can be had from here."""

    def give(pythons, targets):
        monkeypatch.setattr("kiln.sources.available", lambda release, *_, **__: release.version in pythons and "store")
        monkeypatch.setattr("kiln.bases.available", lambda target, *_, **__: target.release in targets and "registry")

    return give


def names(wanted):
    return [one.name for one in wanted]


def test_the_engines_own_platform_unless_told(matrix):
    """Without --platform, one build for each image; with it, each platform that an image has."""
    assert names(plan.choose(matrix, ["*"], [], "linux/amd64")) == [
        "3.13.5-trixie linux/amd64", "3.13.5-slim-trixie linux/amd64", "3.13.5-alpine3.24 linux/amd64",
    ]  # fmt: skip
    assert names(plan.choose(matrix, ["*slim*", "*alpine*"], ["all"], "linux/amd64")) == [
        "3.13.5-slim-trixie linux/amd64", "3.13.5-slim-trixie linux/arm64", "3.13.5-alpine3.24 linux/amd64",
    ]  # fmt: skip
    assert len(plan.choose(matrix, ["*"], ["linux/arm64", "linux/arm64"], "linux/amd64")) == 2


def test_a_platform_that_nothing_has_is_an_error(matrix):
    """The message says what there is."""
    with pytest.raises(SelectionError, match=r"3\.13\.5-alpine3\.24 is not offered for linux/arm64; there is linux/am"):
        plan.choose(matrix, ["*alpine*"], ["linux/arm64"], "linux/amd64")
    with pytest.raises(SelectionError, match="none of 3 images is offered for linux/s390x"):
        plan.choose(matrix, ["*"], [], "linux/s390x")


def test_the_newest_that_can_be_had(tmp_path, here):
    """Newer ones are passed over, and why is said."""
    releases = [f.release("3.14.0rc1"), f.release("3.13.6"), f.release("3.13.5")]
    matrix = f.expand(tmp_path, f.family(releases=releases))
    here(["3.14.0rc1", "3.13.5"], ["trixie"])
    image, why = plan.default(matrix, "linux/amd64", None, None)
    assert image.id == "3.13.5-slim-trixie"
    assert why.endswith("can be had from here; no sources for 3.13.6")


def test_nothing_that_can_be_had(matrix, here):
    """Each lack is named once."""
    here(["3.13.5"], [])
    with pytest.raises(SelectionError, match=r"from here: no base image for Debian 13 \(trixie\), Alpine 3\.24; see"):
        plan.default(matrix, "linux/amd64", None, None)
    with pytest.raises(SelectionError, match="the matrix has none for this platform"):
        plan.default(matrix, "linux/s390x", None, None)
