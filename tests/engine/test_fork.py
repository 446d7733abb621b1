"""`invoke fork` in a real clone: one command, and nothing of the old family is left; git loses nothing."""

import re

import pytest

from kiln import catalog, paths
from tests.clone import Clone, git
from tests.engine.command import error_of

HISTORY = re.compile(r"^(CHANGELOG\.md|docs/decisions/|tests/|kiln/)")


@pytest.fixture
def clone(tmp_path):
    found = Clone(tmp_path / "checkout")
    git(found.folder, "remote", "add", "origin", "git@git.example.org:someone/snakes.git")
    return found


def test_a_fork_names_the_old_family_nowhere(clone):
    """Repository, source and figures: what is left is history, tests and Kiln's own code."""
    old = catalog.load(paths.ROOT / "versions.json")
    done = clone.invoke("fork", "ghcr.io/someone-else/snakes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "left to you:\n  1. look at `git diff`" in done.stdout
    source = old.labels.get("org.opencontainers.image.source", "no source")
    for name in git(clone.folder, "ls-files").splitlines():
        if not HISTORY.match(name) and (clone.folder / name).is_file():
            text = (clone.folder / name).read_text("utf-8")
            assert f"{old.repository}:" not in text, name
            assert source not in text, name
    new = catalog.load(clone.folder / "versions.json")
    assert (new.registry, new.repository) == ("ghcr.io", "someone-else/snakes")
    assert new.labels["org.opencontainers.image.source"] == "https://git.example.org/someone/snakes"
    assert not (clone.folder / "benchmarks/results.json").exists()
    for command in ("generate", "readme"):
        checked = clone.invoke(command, "--check")
        assert (checked.returncode, checked.stdout) == (0, ""), checked.stdout + checked.stderr


def test_a_plan_changes_nothing(clone):
    """It shows the family's file as a diff, and names the rest."""
    done = clone.invoke("fork", "someone-else/snakes", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert '+  "repository": "someone-else/snakes",' in done.stdout
    assert "README.md" in done.stdout
    assert "left to you" not in done.stdout
    assert clone.changed() == []


def test_forking_twice_is_harmless(clone):
    """Whether the first time was committed or not."""
    assert clone.invoke("fork", "someone-else/snakes").returncode == 0
    before = clone.changed()
    done = clone.invoke("fork", "someone-else/snakes")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "someone-else/snakes: nothing to change")
    assert clone.changed() == before
    clone.commit()
    assert clone.invoke("fork", "someone-else/snakes").returncode == 0
    assert clone.changed() == []


def test_what_git_does_not_have_is_not_overwritten(clone):
    """What the fork does not touch may have changes; what it does may not."""
    (clone.folder / "kiln/new.py").touch()
    readme = clone.folder / "README.md"
    text = readme.read_text("utf-8")
    readme.write_text(text + "\nMine.\n", "utf-8")
    done = clone.invoke("fork", "someone-else/snakes")
    assert error_of(done) == "error: README.md: has changes that git does not have; commit or stash them first"
    assert sorted(clone.changed()) == ["README.md", "kiln/new.py"]
    readme.write_text(text, "utf-8")
    assert clone.invoke("fork", "someone-else/snakes").returncode == 0


def test_a_document_that_cannot_be_rewritten_changes_nothing(clone):
    """The error is that of `invoke readme`."""
    readme = clone.folder / "README.md"
    readme.write_text(readme.read_text("utf-8") + "<!-- kiln:nothing -->\n", "utf-8")
    clone.commit()
    assert "unknown block kiln:nothing" in error_of(clone.invoke("fork", "someone-else/snakes"))
    assert clone.changed() == []


@pytest.mark.parametrize("reference", ["python", "Someone/snakes", "https://ghcr.io/me/snakes", "me/snakes:3"])
def test_a_bad_reference_is_one_line(clone, reference):
    """And changes nothing."""
    assert error_of(clone.invoke("fork", reference)).startswith(f"error: '{reference}': ")
    assert clone.changed() == []
