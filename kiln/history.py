"""What git knows of a family's files: the commit that last touched each, and what it could not give back."""

from collections.abc import Iterable
from pathlib import Path

from kiln import console, process
from kiln.errors import CommandError


def commits(folder: Path) -> dict[str, str]:
    """Return the last commit of each file below a folder, by its path in it: `3.13/trixie/slim/Dockerfile`.

    A commit is 40 hex digits. Nothing is known where there is no git, no repository or no commit;
    the reason is said once, for those who expected otherwise. Files that are gone are named too.
    """
    if not folder.is_dir():
        return {}
    arguments = ["--format=%x00%H", "--name-only", "--no-renames", "--relative", "--", "."]
    try:
        log = process.run(["git", "-C", folder, "-c", "core.quotePath=false", "log", *arguments])
    except CommandError as error:
        console.say(f"{folder}: no commits known ({error})")
        return {}
    return parse(log)


def unsaved(folder: Path, names: Iterable[str], *, ignored: bool = False) -> list[str]:
    """Return those of some paths below a folder that git could not give back as they are, `ignored` ones if asked for.

    Raises CommandError if no git keeps the folder.
    """
    options = ["--porcelain", "--untracked-files=all", "-z", *(["--ignored"] if ignored else [])]
    found = process.run(["git", "-C", folder, "status", *options, "--", *names])
    # A renamed file's old name stands alone; it is as little saved as the new one.
    return [entry[3:] if entry[2:3] == " " else entry for entry in found.split("\0") if entry]


def parse(log: str) -> dict[str, str]:
    """Return the first commit that a log, newest first, names for each path.

    The log is commits begun by a NUL: the hash, an empty line, and one path a line.
    """
    found: dict[str, str] = {}
    for entry in log.split("\0")[1:]:
        commit, *names = entry.splitlines()
        for name in names:
            if name:
                found.setdefault(name, commit)
    return found
