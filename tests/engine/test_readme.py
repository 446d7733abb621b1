"""`invoke readme` as users type it, in a family of its own with real git."""

import json
import shutil
import subprocess
import sys

import pytest

from kiln import paths, render
from tests.engine.command import FAMILY, FULL, SLIM, debian, environment, error_of

TEMPLATE = "templates/pages/official.md.j2"
OURS = ("--versions", str(FAMILY))
SLIM_FILE, FULL_FILE = (f"{render.FOLDER}/{debian().get(name).folder}/Dockerfile" for name in (SLIM, FULL))


def run(*words, cwd=paths.ROOT):
    return subprocess.run(
        [sys.executable, "-m", "invoke", "-r", str(paths.ROOT), "readme", *words],
        cwd=cwd, env=environment(), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def git(folder, *words):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def family(tmp_path):
    """Return a folder with a family and its Dockerfiles, committed, of which one was changed later."""
    shutil.copytree(FAMILY.parent, tmp_path, dirs_exist_ok=True)
    render.write(debian(), tmp_path / render.FOLDER)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "all")
    dockerfile = tmp_path / SLIM_FILE
    dockerfile.write_text(dockerfile.read_text() + "\n")
    git(tmp_path, "commit", "-q", "-a", "-m", "one")
    return tmp_path


def test_a_page_links_each_dockerfile_at_its_commit(family):
    """That which last touched it; the page goes to the file alone."""
    done = run("--versions", str(family / "versions.json"), "--template", TEMPLATE, "--out", str(family / "page.md"))
    assert (done.returncode, done.stderr) == (0, "")
    text = (family / "page.md").read_text()
    last, first = git(family, "log", "--format=%H").split()
    assert text.count(f"/blob/{last}/") == text.count(SLIM_FILE) == 1
    assert f"/blob/{first}/{FULL_FILE}" in text
    assert "/blob/HEAD/" not in text
    assert done.stdout == f"{family / 'page.md'}: {len(text.encode())} bytes\n"


def test_without_git_links_name_the_default_branch(family):
    """The rest of the page is the same, and the reason is said."""
    arguments = ("--versions", str(family / "versions.json"), "--template", TEMPLATE)
    known = run(*arguments).stdout
    shutil.rmtree(family / ".git")
    done = run(*arguments)
    for commit in {line.split("/blob/")[1][:40] for line in known.splitlines() if "/blob/" in line}:
        known = known.replace(commit, "HEAD")
    assert (done.returncode, done.stdout) == (0, known)
    assert "no commits known" in done.stderr


def test_a_page_is_printed_byte_for_byte(tmp_path):
    """Whatever folder the command is typed in."""
    (tmp_path / "page.j2").write_text("{{ nope }} <!-- é -->\n\n")
    (tmp_path / "values.json").write_text(json.dumps({"nope": "yes"}))
    done = run(*OURS, "--template", "page.j2", "--values", "values.json", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "yes <!-- é -->\n\n")
    assert error_of(run(*OURS, "--template", "page.j2", cwd=tmp_path)).startswith(
        "error: page.j2:1: 'nope' is undefined"
    )


def test_a_page_that_drifted_fails_with_a_diff(tmp_path):
    """And is left as it is."""
    (tmp_path / "page.j2").write_text("new\n")
    (tmp_path / "page.md").write_text("old\n")
    done = run(*OURS, "--template", "page.j2", "--out", "page.md", "--check", cwd=tmp_path)
    assert "-old\n+new\n" in done.stdout
    assert error_of(done) == "error: the page has drifted; run the same without --check"
    assert (tmp_path / "page.md").read_text() == "old\n"
