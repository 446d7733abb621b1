"""The import and library commands as users type them, with git and without."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from kiln import paths, render
from tests.engine.command import FAMILY, debian
from tests.engine.test_history import git
from tests.unit.fixtures import OFFICIAL
from tests.unit.test_library import entries

NEWEST = OFFICIAL[-1]


def invoke(*words, **changes):
    command = [sys.executable, "-m", "invoke", *map(str, words)]
    return subprocess.run(
        command, cwd=paths.ROOT, env=os.environ | changes, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """Return an imported family's file."""
    path = tmp_path_factory.mktemp("imported") / "versions.json"
    files = ["--source", NEWEST / "versions.json", "--parents", NEWEST / "parents.json", "--meta", NEWEST / "meta.json"]
    lender = paths.ROOT / "tests/families/wide/versions.json"
    done = invoke("import.docker-library", *files, "--versions", lender, "--out", path)
    assert (done.returncode, done.stdout) == (0, f"wrote {path}\n"), done.stderr
    return path


def test_the_library_file_of_an_import(imported):
    """It has the published entries, from the command line alone."""
    done = invoke("library", "--versions", imported)
    published = entries((NEWEST / "library-python.txt").read_text())
    found = entries(done.stdout)
    assert [entry["Tags"] for entry in found] == [entry["Tags"] for entry in published]
    assert json.loads(imported.read_text())["releases"]


def test_only_commits_need_git(tmp_path):
    """Where there is none, they are left out, and the rest is the same."""
    shutil.copytree(FAMILY.parent, tmp_path / "family")
    render.write(debian(), tmp_path / "family" / render.FOLDER)
    git(tmp_path / "family", "init", "-q")
    git(tmp_path / "family", "add", ".")
    git(tmp_path / "family", "commit", "-q", "-m", "all")
    words = ("library", "--versions", tmp_path / "family/versions.json")
    having, without = (entries(invoke(*words, **changes).stdout) for changes in ({}, {"PATH": str(tmp_path)}))
    commits = [entry.pop("GitCommit", "") for entry in having]
    assert having == without
    assert any(len(commit) == 40 for commit in commits)
