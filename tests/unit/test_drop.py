"""What is dropped takes along all that refers to it, and nothing is left without anything in silence."""

import pytest

from kiln import catalog, drop, named
from kiln.errors import CatalogError, SelectionError
from tests.unit import family as f
from tests.unit.test_packages import UVICORN

EXCLUSIONS = [
    {"reason": "a", "release": "3.12.*", "target": "alpine*"},
    {"reason": "b", "target": "alpine3.24", "variant": "slim", "platform": "linux/amd64", "flavour": "freethreaded"},
    {"reason": "c", "target": "alpine*", "release": "3.13.5"},
]


def family(tmp_path, **changes):
    releases = [
        f.release("3.13.5", targets=["trixie", "bookworm", "alpine3.24"]),
        f.release("3.12.1", targets=["trixie", "alpine3.24"]),
        f.release("3.12.0", targets=["trixie"]),
    ]
    packages = {
        "uvicorn": {**UVICORN, "pythons": ["3.13", "3.12", "3.12.0"], "targets": ["trixie", "bookworm"]},
        "other": {**UVICORN, "pythons": ["3.12"], "targets": ["trixie"]},
    }
    data = f.family(releases=releases, packages=packages, exclusions=EXCLUSIONS, **changes)
    data["targets"]["bookworm"] = {"like": "trixie", "release": "bookworm"}
    data["targets"]["sid"] = {"like": "trixie", "release": "sid"}
    return f.load(tmp_path, data)


def dropped(found, *words):
    """Return the family without what words name, which must be one that loads."""
    plan = drop.plan(found, named.parse(words, "drop"))
    return catalog.loads(catalog.dumps(plan.catalog), "dropped"), plan.remarks


def problems(found, *words):
    with pytest.raises(CatalogError) as caught:
        dropped(found, *words)
    return str(caught.value).splitlines()


def test_a_series(tmp_path):
    """Goes with its exclusions, and out of the packages; what never matched anything stays."""
    found, _ = dropped(family(tmp_path), "3.12", "package", "other")
    assert [release.version for release in found.releases] == ["3.13.5"]
    assert list(found.packages) == ["uvicorn"]
    assert found.packages["uvicorn"].pythons == ["3.13"]
    assert [rule.reason for rule in found.exclusions] == ["b", "c"]


def test_one_release(tmp_path):
    """Leaves its series to the others."""
    found, _ = dropped(family(tmp_path), "3.12.0")
    assert [release.version for release in found.releases] == ["3.13.5", "3.12.1"]
    assert found.packages["uvicorn"].pythons == ["3.13", "3.12"]


def test_a_target(tmp_path):
    """Goes out of releases, packages, settings and exclusions; the first that was like it is written in full."""
    found = family(tmp_path, default_targets={"3.13": "bookworm"})
    less, remarks = dropped(found, "target", "bookworm", "alpine3.24")
    assert [release.targets for release in less.releases] == [["trixie"], ["trixie"], ["trixie"]]
    assert less.packages["uvicorn"].targets == ["trixie"]
    assert not less.default_targets
    # The second never left anything out, so nothing is known against it.
    assert [rule.reason for rule in less.exclusions] == ["b"]
    assert remarks == ("default_targets: 3.13 loses bookworm; the first of its targets is the default one",)


def test_a_target_that_others_are_like(tmp_path):
    """Its first follower takes its place, and nothing else of the others changes."""
    found = family(tmp_path)
    less, remarks = dropped(found, "3.12", "target", "trixie", "package", "other")
    assert (less.targets["bookworm"].like or "", less.targets["sid"].like) == ("", "bookworm")
    assert less.targets["sid"].packages == found.targets["sid"].packages
    assert remarks[0] == "bookworm: was like trixie, and is written in full now"


def test_all_that_would_be_left_without_anything_is_listed(tmp_path):
    """With what to write, so that the second try is the last one."""
    assert problems(family(tmp_path), "3.12") == [
        "package other would have no pythons left; drop it in the same command: package other"
    ]
    assert problems(family(tmp_path), "target", "trixie") == [
        "3.12.0 would have no target left; drop it in the same command: release 3.12.0",
        "package other would have no targets left; drop it in the same command: package other",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["3.12", "3.13"], "$.releases: the last release cannot be dropped; add another one first (`invoke add VERSION`)"),
        (["target", "trixie", "bookworm", "sid", "alpine3.24"], "$.targets: the last target cannot be dropped; add another"),
    ],
)  # fmt: skip
def test_the_last_one_is_one_clear_line(tmp_path, words, message):
    """However much else would be left without anything."""
    (line,) = problems(family(tmp_path), *words)
    assert line.startswith(message)


def test_latest_is_held_no_longer_at_what_is_gone(tmp_path):
    """And that is said."""
    found, remarks = dropped(family(tmp_path, latest="3.12"), "3.12", "package", "other")
    assert not found.latest
    assert remarks == ("latest: 3.12 is gone, so the highest series is `latest`",)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["3.9"], "'3.9' is no release or series of the family; name some of: 3.13, 3.13.5, 3.12, 3.12.1, 3.12.0"),
        (["target", "jammy"], "'jammy' is no target of the family; name some of: alpine3.24, bookworm, sid, trixie"),
        (["package", "celery"], "'celery' is no package of the family; name some of: other, uvicorn"),
        (["package"], "package: of which name? write `invoke drop 3.12`"),
        ([], "name what to take; for example `invoke drop 3.12`"),
    ],
)
def test_what_is_not_there(tmp_path, words, message):
    """Is one line with what is."""
    with pytest.raises(SelectionError) as caught:
        dropped(family(tmp_path), *words)
    assert str(caught.value).startswith(message)


def test_words_of_every_kind_at_once():
    """A word that says what comes next holds until the next such word; a name may be one, too."""
    found = named.parse(["3.12", "target", "jammy", "noble", "package", "package", "celery", "release", "3.11"], "drop")
    assert (found.releases, found.targets) == (("3.12", "3.11"), ("jammy", "noble"))
    assert found.packages == ("package", "celery")


def test_dangling_references_are_listed_at_once(tmp_path):
    """As when a release is taken out by hand: every place that is to follow, and not the first alone."""
    data = (
        catalog.dumps(family(tmp_path))
        .replace('"version": "3.12', '"version": "3.11')
        .replace("Python-3.12", "Python-3.11")
    )
    with pytest.raises(CatalogError) as caught:
        catalog.loads(data, "v.json")
    assert str(caught.value).splitlines() == [
        "v.json: $.packages['other'].pythons[0]: found '3.12', which no release has; remove it, or name one that is",
        "v.json: $.packages['uvicorn'].pythons[1]: found '3.12', which no release has; remove it, or name one that is",
        "v.json: $.packages['uvicorn'].pythons[2]: found '3.12.0', which no release has; remove it, or name one that is",
    ]
