"""The folder of one run of `invoke build`: definition, Dockerfiles, logs and archives."""

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kiln import paths
from kiln.bake import ARCHIVES

KEPT_SECONDS = 7 * 24 * 3600
"""How long a run's definition, Dockerfiles and logs stay, for people to look at."""


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """Where one run writes; no other run does."""

    folder: Path
    lock: int
    """An open file that holds the run's lock, which child processes share as long as they live."""

    def log(self, target: str) -> Path:
        """Return the log of a bake target."""
        return self.folder / "logs" / f"{target}.log"


@contextmanager
def workspace() -> Iterator[Workspace]:
    """Make the folder of a run, and at its end remove the archives in it.

    What runs before have left is removed first: archives of killed runs, and all of old runs.
    """
    with paths.lock("builds"):
        _sweep(home())
        folder = home() / f"{time.strftime('%Y%m%dT%H%M%S')}-{secrets.token_hex(3)}"
        for name in ("logs", ARCHIVES):
            (folder / name).mkdir(parents=True)
        lock = _hold(folder)
    try:
        yield Workspace(folder=folder, lock=lock)
    finally:
        shutil.rmtree(folder / ARCHIVES, ignore_errors=True)
        os.close(lock)


def home() -> Path:
    """Return the folder of all runs."""
    return paths.folder("builds")


def _hold(folder: Path) -> int:
    """Lock a folder and return the open file that holds the lock; BlockingIOError if another has it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _sweep(runs: Path) -> None:
    """Remove what runs that have ended left behind; one whose children still write has not ended."""
    for folder in [path for path in runs.iterdir() if path.is_dir()]:
        try:
            lock = _hold(folder)
        except BlockingIOError:
            continue
        old = time.time() - folder.stat().st_mtime > KEPT_SECONDS
        shutil.rmtree(folder if old else folder / ARCHIVES, ignore_errors=True)
        os.close(lock)
