"""Debian's git for tests on a machine that has none: unpacked for Kiln alone, the host stays as it is."""

import shlex
import shutil
import sys

from kiln import apt, paths
from kiln.errors import KilnError


def folder() -> str:
    """Return a folder for PATH with a `git` in it, or nothing if the machine has one."""
    if shutil.which("git"):
        return ""
    root = apt.unpack(["git"])
    libraries = ":".join(map(str, sorted(root.glob("usr/lib/*-linux-*"))))
    settings = {
        "LD_LIBRARY_PATH": libraries, "GIT_EXEC_PATH": root / "usr/lib/git-core",
        "GIT_TEMPLATE_DIR": root / "usr/share/git-core/templates",
    }  # fmt: skip
    words = " ".join(f"{name}={shlex.quote(str(value))}" for name, value in settings.items())
    found = paths.folder("testing", "git")
    paths.write_whole(found / "git", f'#!/bin/sh\n{words} exec {root / "usr/bin/git"} "$@"\n', mode=0o755)
    return str(found)


if __name__ == "__main__":
    try:
        print(folder())
    except KilnError as error:
        sys.exit(f"error: git is needed, and cannot be fetched: {error}; install it (Debian: apt-get install git)")
