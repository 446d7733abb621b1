"""Files are written whole or not at all, below one folder."""

import os

import pytest

from kiln import console, paths
from kiln.errors import KilnError


def test_a_failed_write_leaves_the_old_content(tmp_path, monkeypatch):
    """A reader sees the old file, and no part of the new one is left."""
    path = tmp_path / "file"
    paths.write_whole(path, "old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        paths.write_whole(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_refused_write_names_the_file_and_not_its_temporary_sibling(tmp_path, monkeypatch):
    """The user knows the one, and never saw the other."""

    def refused(**_):
        raise OSError(13, "Permission denied", str(tmp_path / ".file.x.part"))

    monkeypatch.setattr("tempfile.mkstemp", refused)
    with pytest.raises(OSError, match="Permission denied") as caught:
        paths.write_whole(tmp_path / "file", "new")
    assert caught.value.filename == str(tmp_path / "file")


def test_home_is_configured_or_the_users_cache(tmp_path, monkeypatch):
    """KILN_HOME wins; without it, the user's cache folder is used."""
    monkeypatch.setenv("KILN_HOME", str(tmp_path / "a"))
    assert paths.home() == tmp_path / "a"
    assert paths.log("x") == tmp_path / "a" / "logs" / "x.log"
    monkeypatch.delenv("KILN_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert paths.home().name == "kiln"


def test_a_home_that_cannot_be_made_is_one_line(tmp_path, monkeypatch):
    """The message names the folder and the variable."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KILN_HOME", str(tmp_path / "file" / "x"))
    with pytest.raises(KilnError, match=r"cannot make Kiln's folder .*set KILN_HOME"):
        paths.home()


def test_durations_as_people_say_them():
    """Seconds, minutes with seconds, hours with minutes."""
    assert [console.seconds(value) for value in (0.4, 59.4, 200, 3720)] == ["0s", "59s", "3m20s", "1h02m"]


def test_steps_are_two_lines_elsewhere(capsys, monkeypatch):
    """Where nobody watches, a long step says when it begins and when it ends."""
    monkeypatch.setenv("CI", "1")
    with console.step("Making it"):
        pass
    assert capsys.readouterr().err == "Making it ...\nMaking it: done in 0s\n"
