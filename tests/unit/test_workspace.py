"""Each run has a folder of its own; what runs leave behind is removed by the next."""

import os

import pytest

from kiln import workspace


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("KILN_HOME", str(tmp_path))


def test_the_archives_of_a_run_go_with_it():
    """Logs and the definition stay, for people to look at."""
    with workspace.workspace() as place:
        place.log("a").write_text("words")
        (place.folder / workspace.ARCHIVES / "a.tar").write_text("bytes")
    assert [path.name for path in place.folder.iterdir()] == ["logs"]
    assert place.log("a").read_text() == "words"


def test_a_run_that_was_interrupted_leaves_no_archives():
    """Whatever ends it."""

    def interrupted():
        with workspace.workspace() as place:
            places.append(place)
            raise KeyboardInterrupt

    places = []
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not (places[0].folder / workspace.ARCHIVES).exists()


def test_two_runs_at_once_do_not_meet():
    """The second removes what a killed run left, and nothing of the first."""
    killed = workspace.home() / "20260101T000000-killed" / workspace.ARCHIVES
    killed.mkdir(parents=True)
    with workspace.workspace() as first, workspace.workspace() as second:
        assert first.folder != second.folder
        assert (first.folder / workspace.ARCHIVES).is_dir()
        assert not killed.exists()
        assert killed.parent.is_dir()


def test_what_a_child_still_writes_stays():
    """The lock is the child's too, for as long as it lives."""
    with workspace.workspace() as place:
        kept = os.dup(place.lock)
    (place.folder / workspace.ARCHIVES).mkdir()
    with workspace.workspace():
        assert (place.folder / workspace.ARCHIVES).is_dir()
    os.close(kept)
    with workspace.workspace():
        assert not (place.folder / workspace.ARCHIVES).exists()


def test_old_runs_are_removed():
    """A week later a run's folder goes, unless it still runs."""
    with workspace.workspace() as running:
        old = workspace.home() / "20000101T000000-old"
        old.mkdir()
        for folder in (old, running.folder):
            os.utime(folder, (0, 0))
        with workspace.workspace():
            assert (old.exists(), (running.folder / workspace.ARCHIVES).is_dir()) == (False, True)
