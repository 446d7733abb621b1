"""What is known of a release comes from whoever lists it; what nobody knows stays open, and is said."""

import datetime
import io
import tarfile

import pytest
from packaging.version import Version

from kiln import add_release, catalog, fill, releases, sources
from kiln.add_release import Choice
from kiln.apt import SourceFile
from kiln.errors import SelectionError, SourceError, UpdateError
from kiln.model import Artifact, Origins
from kiln.pythonorg import Listed
from kiln.releases import Found, Known
from tests.unit import family as f

ORIGINS = Origins(mirrors=[], debian=["sid"])


def file(version, name="python3.13_x.orig.tar.xz", sha256="d" * 64):
    return SourceFile(name=name, url="", sha256=sha256, size=1, suite="sid", package="python3.13", version=version)


def known(*files, listed=(), silent=()):
    found = tuple(Listed(version=one, released="2026-08-05", number=1) for one in listed)
    asked = ("Debian (sid)",) if files else ()
    return Known(
        origins=ORIGINS, home="https://python.example", listed=found, debian=files, asked=asked, silent=tuple(silent)
    )


pytestmark = pytest.mark.usefixtures("served")


@pytest.fixture
def served(tmp_path, monkeypatch):
    """Let an origin serve every release but those whose version is added to the returned set."""
    waiting = set()
    path = tmp_path / "x.tar.xz"
    with tarfile.open(path, "w:xz") as tar:
        member = tarfile.TarInfo("x")
        member.mtime = int(datetime.datetime(2026, 8, 5, tzinfo=datetime.UTC).timestamp())
        tar.addfile(member, io.BytesIO())

    def fetch(release, _):
        if release.version in waiting:
            raise SourceError("404")
        return sources.Source(path=path, artifact=release.artifacts[0], origin="here")

    monkeypatch.setattr(sources, "fetch", fetch)
    monkeypatch.setattr(sources, "look", lambda release, _: sources.Found(announced=release.version in waiting))
    return waiting


@pytest.mark.parametrize(
    ("debian", "python"),
    [
        ("3.13.15-1", "3.13.15"),
        ("3.15.0~b2-1", "3.15.0b2"),
        ("3.11.2-6+deb12u8", "3.11.2"),
        ("3.9.1+ds-2", ""),
        ("x", ""),
    ],
)
def test_the_version_in_a_source_package(debian, python):
    """Debian writes prereleases with a tilde, so that they sort first; repacked sources are not upstream's."""
    assert releases.upstream(file(debian)) == python


def test_debians_index_has_file_and_digest(tmp_path):
    """Under python.org's name; the day is that of the newest file in the tarball."""
    old = f.load(tmp_path, f.family()).releases[0]
    found = releases.find(old, "3.13.15", known(file("3.13.15-1"), file("3.13.14-1", sha256="e" * 64)))
    assert found.release.artifacts == [Artifact(file="Python-3.13.15.tar.xz", sha256="d" * 64)]
    assert (found.release.released, found.available, found.release.targets) == ("2026-08-05", True, old.targets)
    assert (
        found.origin
        == "3.13.15: file and sha256 from Debian's signed index of sources (sid), day of the newest file in the tarball"
    )
    old_name = file("3.11.2-1", "python3.11_3.11.2.orig.tar.gz")
    assert releases.find(old, "3.11.2", known(old_name)).release.artifacts[0].file == "Python-3.11.2.tgz"


def test_what_is_announced_has_no_day(tmp_path, served):
    """Nobody has its file to read it from."""
    served.add("3.13.15")
    found = releases.find(f.load(tmp_path, f.family()).releases[0], "3.13.15", known(file("3.13.15-1")))
    assert (found.available, found.release.released, len(found.release.artifacts)) == (False, "", 1)


def test_what_nobody_knows(tmp_path):
    """Is said with who was asked, who did not answer, and what to type."""
    old = f.load(tmp_path, f.family()).releases[0]
    assert releases.find(old, "3.13.99", known()) is None
    assert releases.unknown("3.13.99", known(file("3.13.1-1"), silent=["python.org: no answer"])) == (
        "3.13.99: not listed by Debian (sid); python.org: no answer; write `released`, and `file` and `sha256` of its "
        "tarball to `artifacts`, from the release's page, or add an origin to $.sources"
    )
    assert releases.unknown("3.13.99", known()).startswith("3.13.99: no origin answers; write")


def test_a_series_means_the_newest_that_anybody_lists():
    """Prereleases only if asked for."""
    mine = known(file("3.16.0~a2-1"), file("3.15.1-1"), listed=["3.15.0", "3.16.0a1"])
    assert releases.newest("3.15", mine, prerelease=False) == ["3.15.1", "3.15.0"]
    assert releases.newest("3.16", mine, prerelease=False) == []
    assert releases.newest("3.16", mine, prerelease=True) == ["3.16.0a2", "3.16.0a1"]


def added(tmp_path, monkeypatch, word, origins, data=None, **choice):
    """Return the family with a release added, as origins know it."""
    monkeypatch.setattr(releases, "ask", lambda *_: origins)
    plan = add_release.plan(f.load(tmp_path, data or f.family()), [word], Choice(**choice))
    return catalog.loads(catalog.dumps(plan.catalog), "added"), plan.remarks


FAMILY = [
    f.release("3.13.8", flavours=["default", "freethreaded"]), f.release("3.13.5", targets=["trixie"]),
    f.release("3.12.1", pins={"pip": "24.0"}),
]  # fmt: skip


@pytest.mark.parametrize(
    "case",
    [
        ("3.13.15", "", ["default", "freethreaded"], ["trixie", "alpine3.24"], 0),
        ("3.13.6", "", ["default", "freethreaded"], ["trixie", "alpine3.24"], 1),
        ("3.13.6", "3.13.5", ["default"], ["trixie"], 1),
        ("3.12.2", "3.13.8", ["default"], ["trixie", "alpine3.24"], 2),
        ("3.14.0", "", ["default", "freethreaded"], ["trixie", "alpine3.24"], 0),
        ("3.11.1", "", ["default"], ["trixie", "alpine3.24"], 3),
    ],
)  # fmt: skip
def test_a_new_release_is_like_the_newest_of_its_series(tmp_path, monkeypatch, case):
    """Or of the series before it, or the one that is named; it stands where its version belongs."""
    word, like, flavours, targets, place = case
    origins = known(file(f"{word}-1"))
    found, _ = added(tmp_path, monkeypatch, word, origins, f.family(releases=FAMILY), like=like)
    made = found.releases[place]
    assert (made.version, made.flavours, made.targets) == (word, flavours, targets)
    assert dict(made.pins or {}) == ({"pip": "24.0"} if word == "3.12.2" and not like else {})


def test_what_is_announced_is_passed_over(tmp_path, monkeypatch, served):
    """The newest of a series that somebody serves is taken; one that is named is refused, unless told."""
    served.add("3.14.2")
    origins = known(file("3.14.2-1"), file("3.14.1-1", sha256="e" * 64))
    found, remarks = added(tmp_path, monkeypatch, "3.14", origins)
    assert found.releases[0].version == "3.14.1"
    assert remarks[0] == "3.14.2: announced, and no origin serves its sources yet"
    with pytest.raises(
        UpdateError, match=r"^3\.14\.2: announced, and no origin serves its sources yet; try again later"
    ):
        added(tmp_path, monkeypatch, "3.14.2", origins)
    found, _ = added(tmp_path, monkeypatch, "3.14.2", origins, announced=True)
    assert (found.releases[0].version, found.releases[0].released) == ("3.14.2", "")


@pytest.mark.parametrize("word", ["forky", "3", "3.13.05", "3.13.5+x"])
def test_what_is_no_version(tmp_path, monkeypatch, word):
    """Is refused with what the word may have meant."""
    with pytest.raises(SelectionError, match=r"no version or series of Python; write one such as 3\.13\.15"):
        added(tmp_path, monkeypatch, word, known())


def test_a_release_needs_no_more_than_version_and_targets(tmp_path):
    """It loads and is written back as short; what is known later is filled in, and the rest stays open."""
    short = {"targets": ["trixie"], "version": "3.13.15"}
    data = f.family(releases=[short, {**short, "version": "3.13.14"}, f.release("3.13.5")])
    found = f.load(tmp_path, data)
    assert catalog.dumps(found).count('"released"') == 1
    plan = fill.with_known(found, known(file("3.13.15-1"), silent=["python.org: no answer"]))
    assert [(one.version, one.released) for one in plan.catalog.releases][:2] == [
        ("3.13.15", "2026-08-05"),
        ("3.13.14", ""),
    ]
    assert plan.remarks[0] == "python.org: no answer"
    assert [about for _, about in fill.left(plan.catalog)] == [["3.13.14"], ["3.13.14"]]


def test_what_a_release_has_stays(tmp_path):
    """Only what it lacks is filled in."""
    lacking = f.release("3.13.6")
    del lacking["released"]
    (found,) = f.load(tmp_path, f.family(releases=[lacking])).releases
    made = releases.complete(found, known(listed=["3.13.6"]))
    assert isinstance(made, Found)
    assert (made.release.released, made.release.artifacts) == ("2026-08-05", found.artifacts)


def test_ten_series_are_asked_for_at_once(monkeypatch):
    """So that one stored answer serves them all."""
    asked = []
    monkeypatch.setattr(releases.pythonorg, "releases", lambda _: ())
    monkeypatch.setattr(releases.apt, "source_files", lambda suites, names: asked.append((suites, names)) or [])
    releases.ask(ORIGINS, "https://python.example", [Version("3.13"), Version("3.9.1")])
    assert asked == [(["sid"], sorted([f"python3.{minor}" for minor in range(20)]))]
