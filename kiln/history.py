"""What git knows of generated files: the commit that last touched each, in one question."""

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
