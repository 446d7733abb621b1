"""Locks: the exact files, by hash, that a package's version is installed from on each series of Python."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from packaging.version import Version

from kiln import console, family, index, lock_orphans, network, packages, paths, reach
from kiln.errors import LockError, SelectionError
from kiln.image import Image
from kiln.lock_orphans import TITLE
from kiln.matrix import Matrix

OPTIONS = (
    "--universal", "--generate-hashes", "--no-emit-index-url", "--no-header", "--no-annotate", "--quiet",
    "--color=never", "--no-python-downloads",
)  # fmt: skip


class Cell(Struct, frozen=True, kw_only=True):
    """One lock: a version of a package on a series of Python, for every system and platform of it."""

    name: str
    version: str
    path: Path
    python: str
    """The oldest Python that it serves."""
    requirements: tuple[str, ...]
    family: Path
    """The file that describes the family."""

    @property
    def series(self) -> str:
        """Return the series of Python: `3.13`."""
        return f"{Version(self.python).major}.{Version(self.python).minor}"

    @property
    def title(self) -> str:
        """Return what people call it."""
        return f"{self.name} {self.version} on Python {self.series}"

    @property
    def remedy(self) -> str:
        """Return the command that writes it."""
        return f"./run invoke lock{family.option(self.family)} {self.name}"

    @property
    def head(self) -> str:
        """Return the lines that say what was locked, by which a lock is known to be the right one."""
        return f"{TITLE}\n# {' '.join(self.requirements)}\n# Python {self.python} and later of {self.series}\n"


def path(image: Image) -> Path:
    """Return where the lock of an image with a package is, or will be."""
    return packages.lock_file(image)


def read(image: Image) -> str:
    """Return the lock of an image; raises `LockError` if there is none, or it is of other requirements."""
    cell = _cell(image)
    if problem := _problem(cell):
        raise LockError(problem)
    return cell.path.read_text("utf-8")


def lack(image: Image) -> str:
    """Return the title of the lock that an image lacks, or nothing."""
    cell = _cell(image)
    return cell.title if _problem(cell) else ""


def cells(matrix: Matrix, names: Sequence[str] = ()) -> list[Cell]:
    """Return the locks that the packages of `names` need, of all where none is given."""
    known = list(matrix.catalog.packages or {})
    for name in names:
        if name not in known:
            raise SelectionError(f"{name!r} is no package of the family; name some of: {', '.join(known) or 'none'}")
    found: dict[Path, Cell] = {}
    for cell in (_cell(image) for image in matrix.packages):
        other = found.setdefault(cell.path, cell)
        if Version(cell.python) < Version(other.python):
            found[cell.path] = cell
    return [cell for cell in found.values() if cell.name in names or not names]


def check(matrix: Matrix, names: Sequence[str] = ()) -> list[str]:
    """Return what is wrong with the locks of the packages of `names`, or all, a line for each; asks nobody."""
    wanted = cells(matrix, names)
    problems = [problem for cell in wanted if (problem := _problem(cell))]
    return [*problems, *(lock_orphans.problem(file, matrix.folder) for file in _orphans(matrix, wanted, names))]


def write(matrix: Matrix, names: Sequence[str], *, upgrade: bool = False) -> tuple[str, list[str]]:
    """Write the locks that are missing or no longer fit, or with `upgrade` all; remove those of nothing.

    Returns a summary, and a line for each that failed: its old lock stays, the others are written.
    """
    wanted, failures = cells(matrix, names), list[str]()
    due = [cell for cell in wanted if upgrade or _problem(cell)]
    environment = settings(network.pip_list(), os.environ) if due else {}
    for number, cell in enumerate(due, 1):
        console.say(f"[{number}/{len(due)}] {cell.title}")
        try:
            paths.write_whole(cell.path, cell.head + _compile(cell, environment, upgrade=upgrade))
        except LockError as error:
            failures.append(str(error))
    left = [file for file in _orphans(matrix, wanted, names) if lock_orphans.ours(file)]
    for file in left:
        lock_orphans.remove(file, matrix.folder)
    done = len(due) - len(failures)
    return f"{done} of {len(wanted)} locks written, {len(wanted) - len(due)} kept, {len(left)} removed", failures


def _cell(image: Image) -> Cell:
    mine = packages.installed(image)
    first, *more = mine.package.requirements
    return Cell(
        name=mine.name, family=mine.family, version=mine.version, path=path(image), python=image.release.version,
        requirements=(f"{first}=={mine.version}", *more),
    )  # fmt: skip


def _problem(cell: Cell) -> str:
    """Return why a lock has to be written, or nothing."""
    try:
        lines = cell.path.read_text("utf-8").splitlines()[:3]
    except FileNotFoundError:
        return f"{cell.title}: has no lock; run: {cell.remedy}"
    python = re.fullmatch(r"# Python (\S+) and later of \S+", lines[2]) if len(lines) == 3 else None
    same = python and lines[:2] == cell.head.splitlines()[:2]
    # What was locked for an older Python of the series serves a newer one.
    if not python or not same or Version(python[1]) > Version(cell.python):
        return f"{cell.title}: its lock is of other requirements; run: {cell.remedy}"
    return ""


def _orphans(matrix: Matrix, wanted: Iterable[Cell], names: Sequence[str]) -> list[Path]:
    return lock_orphans.find(matrix.folder, {cell.path for cell in wanted}, names)


def settings(pip: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return what of pip's settings uv has to be told, by its variables; what the user set for uv stays."""
    chosen = index.configured(pip)
    found = {
        "UV_DEFAULT_INDEX": chosen.urls[0] if "index-url" in pip else "",
        "UV_INDEX": " ".join(chosen.urls[1:]),
        # pip holds all its indexes for equal, and so does `invoke update`.
        "UV_INDEX_STRATEGY": "unsafe-best-match" if chosen.urls[1:] else "",
        "UV_INSECURE_HOST": " ".join(chosen.trusted),
        "UV_HTTP_TIMEOUT": pip.get("timeout", ""),
        "HTTPS_PROXY": chosen.proxy, "HTTP_PROXY": chosen.proxy,
        "SSL_CERT_FILE": str(network.bundle() or ""),
    }  # fmt: skip
    taken = {name.upper() for name in environment}
    return {name: value for name, value in found.items() if value and name not in taken}


def _compile(cell: Cell, environment: Mapping[str, str], *, upgrade: bool) -> str:
    """Return what uv resolves a cell to; raises `LockError` with its reason in one line."""
    fresh = ["--refresh"] if upgrade else ["--refresh-package", re.split(r"[\[=]", cell.requirements[0])[0]]
    with tempfile.TemporaryDirectory() as folder:
        # One file serves every C library and architecture; other systems and Pythons must not narrow it.
        narrow = f"sys_platform == 'linux' and python_version == '{cell.series}'"
        Path(folder, "pyproject.toml").write_text(f'[tool.uv]\nenvironments = ["{narrow}"]\n', "utf-8")
        Path(folder, "requirements.in").write_text("\n".join(cell.requirements) + "\n", "utf-8")
        done = subprocess.run(
            [
                sys.executable, "-m", "uv", "pip", "compile", *OPTIONS, *fresh, "--python-version", cell.python,
                "--python", sys.executable, "requirements.in",
            ],
            cwd=folder, env={**os.environ, **environment},
            capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip
    if done.returncode:
        raise LockError(f"{cell.title}: {reason(done.stderr) or 'uv failed and did not say why'}")
    if bare := unfit(done.stdout):
        raise LockError(f"{cell.title}: {bare} has no hash on this index, or comes from a URL; use another index")
    return done.stdout


def reason(text: str) -> str:
    """Return uv's complaint as one line, without what it says of itself, and without credentials."""
    told = text.partition("\nhint: ")[0].removeprefix("error: ")
    told = re.sub(r" for split \(markers: [^)]*\)", "", told)
    line = re.sub(r" cause: ", ": ", " ".join(told.split()))
    line = re.sub(r"[a-z]+://[^\s`]+", lambda match: reach.shown(match[0]), line)
    return line if len(line) <= 600 else f"{line[:597]}..."


def unfit(text: str) -> str:
    """Return the first requirement of a lock that has no hash or names a URL, or nothing."""
    lines = [line for line in text.splitlines() if not line.startswith((" ", "#"))]
    return next((line.split()[0] for line in lines if line and ("://" in line or not line.endswith("\\"))), "")
