"""A family expands to images with ids, platforms and tags, and duplicates are errors."""

import pytest

from kiln import matrix
from kiln.errors import CatalogError, SelectionError
from tests.unit import family as f


def test_ids_are_the_most_specific_tags(tmp_path):
    """Each release, target and variant is an image, named by its first tag."""
    found = f.expand(tmp_path, f.family())
    assert [image.id for image in found.images] == ["3.13.5-trixie", "3.13.5-slim-trixie", "3.13.5-alpine3.24"]
    assert [image.folder for image in found.images] == ["3.13/trixie/full", "3.13/trixie/slim", "3.13/alpine3.24/slim"]


def test_exclusions_take_away_platforms_and_images(tmp_path):
    """An image without a platform is gone; one with another left stays."""
    rules = [
        {"reason": "no Tk", "variant": "slim", "target": "trixie", "platform": "linux/arm64"},
        {"reason": "no musl", "target": "alpine*"},
    ]
    found = f.expand(tmp_path, f.family(exclusions=rules))
    assert {image.id: image.platforms for image in found.images} == {
        "3.13.5-trixie": ("linux/amd64", "linux/arm64"),
        "3.13.5-slim-trixie": ("linux/amd64",),
    }


@pytest.mark.parametrize(
    ("glob", "gone"),
    [
        ("3.13.5", {"3.13.5"}), ("3.13.?", {"3.13.5"}), ("3.13.*", {"3.13.5", "3.13.10", "3.13.0rc1"}), ("3.13*", {"3.13.5", "3.13.10", "3.13.0rc1"}),
        ("3.1?.5", {"3.13.5"}), ("3.13.[15]*", {"3.13.5", "3.13.10"}), ("3.1.*", set()), ("3.13", set()), ("3.13.0rc*", {"3.13.0rc1"}),
        ("3.*", {"3.13.5", "3.13.10", "3.13.0rc1"}),
    ],
)  # fmt: skip
def test_exclusions_name_releases_by_globs(tmp_path, glob, gone):
    """A version, a series, or any other glob of versions; 2.7 is there so that something is left."""
    versions = ("3.13.5", "3.13.10", "3.13.0rc1", "2.7.18")
    releases = [f.release(version) for version in versions]
    found = f.expand(tmp_path, f.family(releases=releases, exclusions=[{"reason": "r", "release": glob}]))
    assert {image.release.version for image in found.images} == set(versions) - gone


def test_an_empty_matrix_is_an_error(tmp_path):
    """A family all of which is excluded builds nothing, which nobody means."""
    with pytest.raises(CatalogError, match="the matrix is empty"):
        f.expand(tmp_path, f.family(exclusions=[{"reason": "all"}]))


def test_duplicate_ids_are_an_error(tmp_path):
    """A release that stands twice would be two images of one name."""
    with pytest.raises(CatalogError, match=r"id 3\.13\.5-trixie belongs to 2 images"):
        f.expand(tmp_path, f.family(releases=[f.release("3.13.5"), f.release("3.13.5")]))


def test_duplicate_tags_are_an_error(tmp_path):
    """A target named like a variant with a target gives one tag to two images."""
    data = f.family()
    data["targets"]["slim-trixie"] = {**data["targets"]["trixie"], "variants": {"full": {}}}
    data["releases"][0]["targets"].append("slim-trixie")
    with pytest.raises(CatalogError, match=r"(id|tag) 3\.13\.5-slim-trixie belongs to"):
        f.expand(tmp_path, data)


def test_globs_match_ids_and_tags(ours):
    """A glob finds images by any of their tags, in the matrix's order."""
    assert [image.id for image in ours.select(["3.13-slim"])] == ["3.13.9-slim-trixie"]
    assert [image.id for image in ours.select(["3.13.5-*slim-*"])] == ["3.13.5-slim-trixie", "3.13.5-slim-bookworm"]
    assert {image.flavour for image in ours.select(["3.1?t*"])} == {"freethreaded"}
    assert ours.select(["*"]) == ours.everything


def test_a_glob_without_a_match_lists_near_misses(ours):
    """A typo is answered with what may have been meant."""
    with pytest.raises(SelectionError, match=r"'3\.13\.5-slim-trixy' matches no image; near it are: 3\.13\.5-slim-t"):
        ours.select(["3.13.5-slim-trixy"])
    with pytest.raises(SelectionError, match="see `invoke matrix`"):
        ours.select(["qqqqqqqq"])


def test_newest_stable_first(tmp_path):
    """The default target of the newest final release comes first, prereleases not at all."""
    releases = [f.release("3.12.9"), f.release("3.14.0rc1"), f.release("3.13.10"), f.release("3.13.9")]
    found = f.expand(tmp_path, f.family(releases=releases))
    assert [image.id for image in matrix.newest_stable(found.images)][:4] == [
        "3.13.10-trixie",
        "3.13.10-slim-trixie",
        "3.13.10-alpine3.24",
        "3.13.9-trixie",
    ]
