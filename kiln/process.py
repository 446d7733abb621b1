"""Running other programs: output captured or logged, failures as one clear line."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kiln.errors import CommandError


def run(
    args: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    log: Path | None = None,
) -> str:
    """Run a program to its end and return its standard output as text.

    `env` is added to this process's own. With `log`, standard output and error go to that file
    instead (appended) and the returned text is empty; the error of a failure names the file.
    """
    command = [str(arg) for arg in args]
    try:
        done = _run(command, log, env={**os.environ, **(env or {})}, cwd=cwd, input=stdin)
    except FileNotFoundError as error:
        raise CommandError(f"{command[0]}: no such program; install it or put it on PATH") from error
    if done.returncode:
        raise CommandError(_failure(command, done, log))
    return done.stdout or ""


def _run(command: list[str], log: Path | None, **options: Any) -> subprocess.CompletedProcess[str]:
    if log is None:
        return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, **options)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ {' '.join(command)}\n")
        file.flush()
        return subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, text=True, check=False, **options)


def _failure(command: list[str], done: subprocess.CompletedProcess[str], log: Path | None) -> str:
    """Return the one line that tells of a failed program, with its last words or its log."""
    words = " ".join(command[:3])
    if log is not None:
        return f"{words}: failed with exit code {done.returncode}; see {log}"
    lines = (done.stderr or done.stdout or "").strip().splitlines()
    return f"{words}: failed with exit code {done.returncode}: {lines[-1] if lines else 'no output'}"
