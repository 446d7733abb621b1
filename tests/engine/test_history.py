"""Commits of files, from real git."""

import subprocess

from kiln import history


def git(folder, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder, **files):
    for name, content in files.items():
        path = folder / "dockerfiles" / name / "Dockerfile"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    git(folder, "add", ".")
    git(folder, "commit", "-m", "change")
    return git(folder, "rev-parse", "HEAD")


def test_each_file_has_the_commit_that_last_touched_it(tmp_path):
    """As `git log -1 -- FILE` says, for all files at once."""
    git(tmp_path, "init", "-q")
    first = commit(tmp_path, one="1", two="1")
    second = commit(tmp_path, one="2")
    assert history.commits(tmp_path / "dockerfiles") == {"one/Dockerfile": second, "two/Dockerfile": first}


def test_without_a_repository_nothing_is_known(tmp_path, capfd, monkeypatch):
    """The reason is said, and it is no error."""
    (tmp_path / "dockerfiles").mkdir()
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert history.commits(tmp_path / "dockerfiles") == {}
    assert "no commits known" in capfd.readouterr().err
