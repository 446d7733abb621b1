"""Make .venv from its locks, because `./run` asks for it; nothing but the standard library is available yet.

An environment is made beside the one in use and takes its place as a whole: what fails, or is killed, changes nothing.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from kiln import environment_pip as pip
from kiln.environment_progress import CLEAR, REQUIREMENT, Progress
from kiln.environment_scripts import settle
from kiln.errors import KilnError

ROOT = Path(__file__).resolve().parent.parent
VENV, PART, OLD, LOG = ROOT / ".venv", ROOT / ".venv.part", ROOT / ".venv.old", ROOT / ".venv.log"
"""The environment, the next and the last one, and the log of one that could not be made."""
LOCKS = ("requirements.txt", "requirements-nox.txt")
"""What `invoke` needs, and what `nox` adds."""
_REMEDIES = {
    errno.ENOSPC: "the disk is full; make room, and run the same again",
    errno.EDQUOT: "your quota of the disk is used up; make room, and run the same again",
    errno.EROFS: "the checkout cannot be written to; run a copy of it elsewhere",
    errno.EACCES: "the checkout cannot be written to by you; change its owner, or run a copy of your own",
}


def main(locks: str, words: Sequence[str]) -> None:
    """Make .venv hold `locks` and go on with `./run` and its words, or exit with one line that says why not."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        # `nohup` has it ignored.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)
    # An error takes the place of the live line.
    clear = CLEAR if sys.stderr.isatty() else ""
    try:
        make(locks.split())
    except KilnError as error:
        sys.exit(f"{clear}error: .venv: {error}; log: {LOG}")
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, f"{error.strerror}; correct that, and run the same again")
        sys.exit(f"{clear}error: {error.filename or ROOT}: {remedy}")
    except KeyboardInterrupt:
        print(f"{clear}interrupted; the same again begins anew", file=sys.stderr)
        sys.exit(130)
    os.execve("/bin/sh", ["sh", str(ROOT / "run"), *words], {**os.environ, "KILN_MADE": "1"})  # noqa: S606 - its own words


def make(locks: Sequence[str]) -> None:
    """Make .venv hold `locks`, if it does not; raises KilnError or OSError."""
    with _lock() as lock:
        # Those of a run that was killed.
        _remove(PART)
        _remove(OLD)
        if _sound():
            _follow()
        if _sound() and all(map(_has, locks)):
            return
        try:
            _build(locks, lock)
        except BaseException:
            with contextlib.suppress(OSError):
                (PART / LOG.name).replace(LOG)
            _remove(PART)
            raise
        LOG.unlink(missing_ok=True)


def _sound() -> bool:
    """Tell whether there is an environment whose Python is still there."""
    return os.access(VENV / "bin/python", os.X_OK) and (VENV / "bin/invoke").exists() and (VENV / "place").exists()


def _has(lock: str) -> bool:
    """Tell whether the environment was made from a lock as it is now."""
    with contextlib.suppress(FileNotFoundError):
        return (VENV / lock).read_bytes() == (ROOT / lock).read_bytes()
    return False


def _follow() -> None:
    """Make an environment work that was moved or copied, so that it needs no network."""
    place, before = VENV.resolve(), (VENV / "place").read_text("utf-8").strip()
    if before != str(place):
        settle(place, before, str(place))
        _write(place / "place", f"{place}\n".encode())


def _build(locks: Sequence[str], lock: int) -> None:
    """Make the environment that is wanted beside the one that is there, and put it in its place."""
    # What is there grows by what nox adds; in all other cases it is made anew, so that nothing stale stays.
    grown = _sound() and _has(LOCKS[0]) and not (VENV / LOCKS[1]).exists()
    progress = Progress("adding to .venv" if grown else "making .venv")
    log, python = PART / LOG.name, PART / "bin/python"
    if grown:
        shutil.copytree(VENV, PART, symlinks=True, copy_function=_link)
        # What was printed then is no reason of what fails now.
        log.unlink(missing_ok=True)
        installer = [str(python), "-I", "-m", "pip"]
    else:
        PART.mkdir()
        _call([pip.base(), "-I", "-m", "venv", "--without-pip", "--prompt", "kiln", str(PART)], log)
        installer = pip.find(PART, str(python), lambda name: pip.download(PART, name, log))
    environment = pip.settings(os.environ)
    if bundle := pip.certificates(PART, installer, environment):
        environment["PIP_CERT"] = bundle
    command = [*installer, *pip.INSTALL, *(f"{REQUIREMENT}{ROOT / name}" for name in locks)]
    if code := progress.watch(command, environment, log, lock):
        raise KilnError(pip.explain(log.read_text("utf-8", errors="replace"), code))
    _compile(python, progress)
    for name in ("pip", "apt"):
        _remove(PART / name)
    for name in locks:
        _write(PART / name, (ROOT / name).read_bytes())
    if not (PART / "bin/invoke").exists():
        raise KilnError(
            "pip installed elsewhere than it was told; remove what its configuration says of `target` or `prefix`"
        )
    settle(PART, str(PART), str(VENV))
    _write(PART / "place", f"{VENV}\n".encode())
    _swap()
    progress.end()


def _compile(python: Path, progress: Progress) -> None:
    """Compile what is installed, because some users have Python write no bytecode; on all cores, unlike pip."""
    progress.show("compiling")
    options = ["-q", "-j0", "-s", str(PART), "-p", str(VENV), "-x", r"/pygments/(lexers|styles)/"]
    # What cannot be compiled is not imported either: templates, and code for other Pythons.
    command = [str(python), "-I", "-m", "compileall", *options, str(PART / "lib")]
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, check=False)


def _swap() -> None:
    """Put the new environment in place of the old one, which is deleted; both are whole at any time."""
    if os.path.lexists(VENV):
        VENV.rename(OLD)
    PART.rename(VENV)
    _remove(OLD)


def _call(command: Sequence[str], log: Path) -> None:
    """Run a command whose output goes into the log."""
    with log.open("ab") as file:
        code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, check=False).returncode
    if code:
        raise KilnError(pip.explain(log.read_text("utf-8", errors="replace"), code, command[0]))


@contextlib.contextmanager
def _lock() -> Iterator[int]:
    """Hold the lock of this checkout's environment, whose number a child may inherit."""
    with (ROOT / ".venv.lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another ./run makes .venv; waiting for it", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _link(source: str, target: str) -> None:
    """Give a file that nobody writes in place a second name, or copy it where a disk has no such names."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _write(path: Path, content: bytes) -> None:
    """Write a file as a whole, and not in place: it may have a second name."""
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


def _remove(path: Path) -> None:
    """Delete a file, a link, or a folder with all that it holds."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
