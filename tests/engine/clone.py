"""A clone of the checkout as it is now, to run commands in that write files."""

import shutil
import subprocess
import sys
from pathlib import Path

from kiln import paths
from tests.engine.command import environment


class Clone:
    """The checkout's files, changes that are not committed included, as the only commit of a repository."""

    def __init__(self, folder: Path):
        self.folder = folder
        names = git(paths.ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
        for name in names:
            if name and (paths.ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(paths.ROOT / name, folder / name)
        git(folder, "init", "-q")
        self.commit()

    def commit(self):
        """Commit everything."""
        git(self.folder, "add", "-A")
        git(self.folder, "commit", "-q", "-m", "all")

    def changed(self):
        """Return what git sees as changed, by path."""
        found = git(self.folder, "status", "--porcelain", "--untracked-files=all", "-z").split("\0")
        return [entry[3:] for entry in found if entry]

    def invoke(self, *words, cwd=None, **env):
        """Run a command of the clone in some folder, the clone's own if none is given."""
        return subprocess.run(
            [sys.executable, "-m", "invoke", "-r", str(self.folder), *words], cwd=cwd or self.folder,
            env=environment(env), capture_output=True, text=True, check=False, timeout=1200,
        )  # fmt: skip


def git(folder, *words):
    """Run git and return what it prints."""
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip("\n")  # fmt: skip
