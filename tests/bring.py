"""Debian's programs for checks on a machine that lacks them: unpacked for Kiln alone, the host stays as it is."""

import shlex
import shutil
import sys
from collections.abc import Iterable

from kiln import apt, paths
from kiln.errors import KilnError

# git looks for its own parts where it was meant to be installed.
SETTINGS = {"git": {"GIT_EXEC_PATH": "usr/lib/git-core", "GIT_TEMPLATE_DIR": "usr/share/git-core/templates"}}


def folder(programs: Iterable[str]) -> str:
    """Return a folder for PATH with those programs in it that this machine lacks; each is of a package of its name."""
    found = paths.folder("testing", "programs")
    for name in programs:
        if shutil.which(name) is None:
            root = apt.unpack([name])
            libraries = ":".join(map(str, sorted(root.glob("usr/lib/*-linux-*"))))
            settings = {"LD_LIBRARY_PATH": libraries}
            settings |= {key: str(root / place) for key, place in SETTINGS.get(name, {}).items()}
            words = " ".join(f"{key}={shlex.quote(value)}" for key, value in settings.items())
            script = f'#!/bin/sh\n{words} exec {shlex.quote(str(root / "usr/bin" / name))} "$@"\n'
            paths.write_whole(found / name, script, mode=0o755)
    return str(found)


if __name__ == "__main__":
    try:
        print(folder(sys.argv[1:]))
    except KilnError as error:
        names = " ".join(sys.argv[1:])
        sys.exit(
            f"error: {names}: needed, and cannot be fetched: {error}; install it (Debian: apt-get install {names})"
        )
