"""A clone of the checkout as it is now, to run commands in that write files."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


class Clone:
    """The checkout's files, changes that are not committed included, as the only commit of a repository."""

    def __init__(self, folder: Path):
        self.folder = folder
        copy(folder)
        git(folder, "init", "-q", "--initial-branch=main")
        self.commit()

    def commit(self, subject="all"):
        """Commit everything."""
        git(self.folder, "add", "-A")
        git(self.folder, "commit", "-q", "--allow-empty", "-m", subject)

    def changed(self):
        """Return what git sees as changed, by path."""
        found = git(self.folder, "status", "--porcelain", "--untracked-files=all", "-z").split("\0")
        return [entry[3:] for entry in found if entry]

    def invoke(self, *words, cwd=None, **env):
        """Run a command of the clone in some folder, the clone's own if none is given."""
        return subprocess.run(
            [sys.executable, "-m", "invoke", "-r", str(self.folder), *words], cwd=cwd or self.folder,
            env={**os.environ, "CI": "1", **env}, capture_output=True, text=True, check=False, timeout=1200,
        )  # fmt: skip


def copy(folder: Path, without: tuple[str, ...] = ()) -> None:
    """Copy what git has of the checkout, or would take in, as it is now; but for paths that begin as `without`."""
    for name in git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        source = ROOT / name
        if name and (source.is_symlink() or source.is_file()) and not name.startswith(without):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name, follow_symlinks=False)


def git(folder, *words):
    """Run git and return what it prints."""
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip("\n")  # fmt: skip
