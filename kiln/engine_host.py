"""What a machine must allow for a private engine to run on it."""

import os
import shutil
import sys
from pathlib import Path

from kiln import paths, process
from kiln.engine_root import INSTALL
from kiln.errors import CommandError, EngineError

HIDDEN = ("run", "usr")
"""The host's folders at `/` that the engine does not see, for it has its own."""


def check() -> None:
    """Raise EngineError where no engine can be run, with what to do instead."""
    nothing = "no Docker engine answers, and"
    if sys.platform != "linux":
        raise EngineError(f"{nothing} none can be brought on {sys.platform}; {INSTALL}")
    if os.geteuid() != 0:
        raise EngineError(f"{nothing} only root can start a private one; {INSTALL}")
    data = paths.folder("engine", "data").resolve()
    if data.parts[1] in HIDDEN:
        raise EngineError(f"{data}: the private engine has its own /{data.parts[1]}; set KILN_HOME to another folder")
    try:
        process.run(["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", data])
    except CommandError as error:
        raise EngineError(
            f"{nothing} root may not mount here ({error}): give this container --privileged, or {INSTALL}"
        ) from error
    _overlay(data)


def _overlay(data: Path) -> None:
    """Raise EngineError where image layers cannot lie: on an overlay itself, on some network shares."""
    scratch = paths.folder("engine", "probe")
    for part in ("low", "up", "work", "top"):
        scratch.joinpath(part).mkdir(exist_ok=True)
    options = f"lowerdir={scratch}/low,upperdir={scratch}/up,workdir={scratch}/work"
    try:
        process.run(["unshare", "--mount", "mount", "-t", "overlay", "-o", options, "overlay", scratch / "top"])
    except CommandError as error:
        kind = process.run(["stat", "--file-system", "--format", "%T", data]).strip()
        raise EngineError(
            f"{data}: image layers cannot lie on this file system ({kind}); "
            "set KILN_HOME to a folder on a disk (ext4, xfs, btrfs), in a container on a volume"
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
