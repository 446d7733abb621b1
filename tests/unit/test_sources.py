"""Finding sources without a network: the store, a folder, and what is remembered of origins."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from kiln import reach, sources, store
from kiln.errors import SourceError
from kiln.model import PYTHON_ORG, Artifact, Origins, Release

GZIP = b"\x1f\x8b tarball"
NOWHERE = Origins(mirrors=[], debian=[])


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test a store of its own, in which python.org is known to be dead."""
    monkeypatch.setenv("KILN_HOME", str(tmp_path / "home"))
    reach.remember(PYTHON_ORG, reach.Unavailable("is asleep", host=True))
    return tmp_path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the user's folder of tarballs."""
    path = tmp_path / "folder"
    path.mkdir()
    return path


def release(version: str = "3.13.5", *contents: bytes) -> Release:
    """Return a release whose artifacts have the given contents."""
    artifacts = [
        Artifact(file=f"Python-{version}.{end}", sha256=hashlib.sha256(content).hexdigest())
        for end, content in zip(("tar.xz", "tgz"), contents or (GZIP,), strict=False)
    ]
    return Release(version=version, released="2025-06-11", artifacts=artifacts, flavours=["default"], targets=[])


def test_a_file_of_the_folder_is_copied_to_the_store(folder: Path) -> None:
    """The source lies alone in the folder of its digest and says where it came from."""
    path = folder / "Python-3.13.5.tar.xz"
    path.write_bytes(GZIP)
    source = sources.fetch(release(), NOWHERE, folder=folder)
    assert source.origin == str(path)
    assert [source.path] == list(source.path.parent.iterdir())
    assert (source.path.parent.name, source.path.read_bytes()) == (source.artifact.sha256, GZIP)


def test_the_store_comes_first_and_knows_the_origin(folder: Path) -> None:
    """What was fetched once is there without its origin."""
    (folder / "Python-3.13.5.tar.xz").write_bytes(GZIP)
    first = sources.fetch(release(), NOWHERE, folder=folder)
    assert sources.fetch(release(), NOWHERE) == first
    assert sources.available(release(), NOWHERE) == first.origin


def test_a_file_of_any_name_is_known_by_its_digest(folder: Path) -> None:
    """Debian's name for the same bytes will do."""
    path = folder / "python3.13_3.13.5.orig.tar.xz"
    path.write_bytes(GZIP)
    assert sources.available(release(), NOWHERE, folder=folder) == str(path)
    assert sources.fetch(release(), NOWHERE, folder=folder).path.name == "Python-3.13.5.tar.xz"


def test_any_artifact_of_the_release_will_do(folder: Path) -> None:
    """A release with two artifacts is served by its second."""
    (folder / "Python-3.11.2.tgz").write_bytes(GZIP)
    source = sources.fetch(release("3.11.2", b"xz", GZIP), NOWHERE, folder=folder)
    assert source.artifact.file == "Python-3.11.2.tgz"


def test_a_right_name_with_wrong_bytes_is_loud(folder: Path) -> None:
    """The message names the file, what it is and what is pinned; it does not count as available."""
    path = folder / "Python-3.13.5.tar.xz"
    path.write_bytes(b"tampered")
    with pytest.raises(SourceError, match="DIGEST MISMATCH") as caught:
        sources.fetch(release(), NOWHERE, folder=folder)
    for part in (str(path), hashlib.sha256(b"tampered").hexdigest(), release().artifacts[0].sha256):
        assert part in str(caught.value)
    assert sources.available(release(), NOWHERE, folder=folder) is None


def test_a_missing_folder_is_an_error(folder: Path) -> None:
    """A slip in --sources is told, not passed over."""
    with pytest.raises(SourceError, match="no such folder"):
        sources.available(release(), NOWHERE, folder=folder / "typo")


def test_a_damaged_file_of_the_store_is_not_used(folder: Path) -> None:
    """It is fetched anew, from wherever it can be had."""
    path = folder / "Python-3.13.5.tar.xz"
    path.write_bytes(GZIP)
    source = sources.fetch(release(), NOWHERE, folder=folder)
    source.path.write_bytes(b"damaged")
    assert sources.available(release(), NOWHERE) is None
    with pytest.raises(SourceError, match="is damaged"):
        sources.fetch(release(), NOWHERE)
    assert sources.fetch(release(), NOWHERE, folder=folder).path.read_bytes() == GZIP


def test_every_origin_is_in_the_error(folder: Path) -> None:
    """Each has its reason, and the remedies name file and digest."""
    with pytest.raises(SourceError) as caught:
        sources.fetch(release(), NOWHERE, folder=folder)
    head, first, second, remedy = str(caught.value).splitlines()
    assert head == "3.13.5: its sources cannot be had from anywhere:"
    assert first == f"  --sources {folder}: no file with a pinned digest"
    assert second == f"  {PYTHON_ORG}/3.13.5/Python-3.13.5.tar.xz: is asleep"
    assert remedy == (
        f"Put Python-3.13.5.tar.xz (sha256 {release().artifacts[0].sha256}) into a folder and add "
        "--sources FOLDER, or add a mirror that has it to $.sources.mirrors of versions.json."
    )


def test_carrying_gives_a_folder_for_a_machine_without_network(folder: Path, home: Path) -> None:
    """The copies serve as --sources; what cannot be had is told after the rest was copied."""
    (folder / "Python-3.13.5.tar.xz").write_bytes(GZIP)
    lacking = release("3.12.1", b"elsewhere")
    with pytest.raises(SourceError, match=r"^3\.12\.1: "):
        sources.carry([lacking, release()], NOWHERE, home / "stick", folder=folder)
    assert sources.available(release(), NOWHERE, folder=home / "stick")
    assert [path.name for path in (home / "stick").iterdir()] == ["Python-3.13.5.tar.xz"]


def test_a_copy_that_fails_leaves_no_part(folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full stick holds whole files only, and the error is about the stick."""
    (folder / "Python-3.13.5.tar.xz").write_bytes(GZIP)
    source = sources.fetch(release(), NOWHERE, folder=folder)

    def full(_: Path, part: Path) -> None:
        part.write_bytes(b"half")
        raise OSError(28, "No space left on device", str(source.path), None, str(part))

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(SourceError, match=r"stick/.*the disk is full .*name another folder"):
        sources.carry([release()], NOWHERE, home / "stick", folder=folder)
    assert list((home / "stick").iterdir()) == []


def test_carrying_never_writes_over_another_file(folder: Path, home: Path) -> None:
    """A file of the same name and other content is the user's."""
    (folder / "Python-3.13.5.tar.xz").write_bytes(GZIP)
    (home / "stick").mkdir()
    (home / "stick" / "Python-3.13.5.tar.xz").write_bytes(b"mine")
    with pytest.raises(SourceError, match="another file of this name"):
        sources.carry([release()], NOWHERE, home / "stick", folder=folder)
    assert (home / "stick" / "Python-3.13.5.tar.xz").read_bytes() == b"mine"


def test_a_prerelease_lies_in_the_folder_of_its_release() -> None:
    """Mirrors come before python.org, with the same layout."""
    origins = Origins(mirrors=["https://example.org/python/"], debian=[])
    assert [c.url for c in sources.candidates(release("3.15.0rc2"), origins, [])] == [
        "https://example.org/python/3.15.0/Python-3.15.0rc2.tar.xz",
        f"{PYTHON_ORG}/3.15.0/Python-3.15.0rc2.tar.xz",
    ]


def test_one_look_into_debian_serves_every_series() -> None:
    """Releases of neighbouring series ask for the same packages."""
    assert sources.packages(release("3.11.2")) == sources.packages(release("3.15.0rc2"))
    assert "python3.13" in sources.packages(release())


def test_answers_are_forgotten_after_minutes() -> None:
    """Good news last longer than bad; a clock that was set back trusts nothing."""
    now = time.time()
    good, bad = reach.Answer(at=now, pid=1), reach.Answer(at=now, pid=1, reason="404")
    assert [good.fresh(now + 400), bad.fresh(now + 400), bad.fresh(now + 200)] == [True, False, True]
    assert [good.fresh(now + 601), good.fresh(now - 1)] == [False, False]


def test_a_dead_host_answers_for_all_its_files() -> None:
    """One time-out is enough for ten releases, and a file that came ends it."""
    answer = reach.probe(f"{PYTHON_ORG}/3.13.5/x")
    assert (answer.reason, answer.host, answer.pid) == ("is asleep", True, os.getpid())
    reach.remember(f"{PYTHON_ORG}/3.13.5/x")
    assert reach.known(f"{PYTHON_ORG}/3.13.6/x") is None


def test_another_network_forgets_what_was_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that the user sets is tried at once, and the memory does not give it away."""
    monkeypatch.setenv("https_proxy", "http://user:secret@example.org:3128")
    assert reach.known(PYTHON_ORG) is None
    reach.remember("https://user:secret@example.org/x?token=secret", reach.Unavailable("404"))
    assert b"secret" not in (store.place(release().artifacts[0]).parents[1] / "answers.json").read_bytes()


def test_a_broken_memory_is_no_loss() -> None:
    """What cannot be read is learnt again."""
    (store.place(release().artifacts[0]).parents[1] / "answers.json").write_text('{"a": ')
    assert reach.known(PYTHON_ORG) is None
