"""A change to a family, made in a copy of its folder first: shown as a whole, and written as a whole or not at all."""

import difflib
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from kiln import console, family, generated, lock, paths, readme
from kiln.errors import LockError, UpdateError
from kiln.image import PACKAGES as FOLDER
from kiln.matrix import Matrix

OWNED = ("versions.schema.json", "results.json", "docs", "dockerfiles", FOLDER, "templates", "benchmarks")
"""What of a family's folder commands read and write, beside its file and its Markdown."""
_GENERATED = ("dockerfiles/", "docs/", "results.json", "versions.schema.json")

Files = Mapping[str, bytes]
"""The content of files by their path below the family's folder."""


class Proposal(Struct, frozen=True, kw_only=True):
    """What a family's folder holds, and what it would hold."""

    file: Path
    """The family's file."""
    before: Files
    after: Files
    executable: frozenset[str] = frozenset()

    @property
    def changed(self) -> list[str]:
        """Return the paths of the files that would change, sorted."""
        names = self.before.keys() | self.after.keys()
        return sorted(name for name in names if self.before.get(name) != self.after.get(name))

    @property
    def difference(self) -> str:
        """Return the change for people: a diff of what is written by hand, and counts of what is generated."""
        written = [name for name in self.changed if not _is_generated(name) and name in self.after]
        counts = Counter((_group(name), self._how(name)) for name in self.changed if name not in written)
        lines = [f"{group}: {count} {how}" for (group, how), count in sorted(counts.items())]
        return "\n".join([*(self._diff(name).rstrip("\n") for name in written), *lines])

    def _how(self, name: str) -> str:
        if name not in self.before:
            return "added"
        return "changed" if name in self.after else "removed"

    def _diff(self, name: str) -> str:
        before, after = (files.get(name, b"").decode("utf-8", errors="replace") for files in (self.before, self.after))
        source, target = (name if name in files else "/dev/null" for files in (self.before, self.after))
        lines = difflib.unified_diff(before.splitlines(), after.splitlines(), source, target, lineterm="")
        return "\n".join(lines)

    def write(self) -> None:
        """Make the change; what cannot be written to its end is taken back.

        Raises UpdateError if a file is another one by now, which then stays as it is.
        """
        folder = self.file.parent
        with paths.lock("update"):
            for name in self.changed:
                if _read(folder / name) != self.before.get(name):
                    raise UpdateError(f"{folder / name}: was changed by someone else; nothing was written, try again")
            done: list[str] = []
            try:
                # The family's file is last: if this is killed, the same command makes the whole change again.
                for name in sorted(self.changed, key=lambda name: name == self.file.name):
                    done.append(name)
                    self._put(name, self.after.get(name))
            except BaseException:
                for name in done:
                    self._put(name, self.before.get(name))
                raise

    def _put(self, name: str, content: bytes | None) -> None:
        path = self.file.parent / name
        if content is not None:
            mode = path.stat().st_mode & 0o777 if path.exists() else 0o755 if name in self.executable else 0o644
            paths.write_whole(path, content, mode=mode)
            return
        path.unlink(missing_ok=True)
        for parent in path.parents:
            if parent == self.file.parent or (parent.is_dir() and any(parent.iterdir())):
                break
            if parent.is_dir():
                parent.rmdir()


def make(file: Path, text: str, change: Callable[[Path], None] = lambda _: None) -> Proposal:
    """Return what a family's folder becomes with another text of its file, and everything that follows from it.

    `change` makes further changes in a copy of the folder, before locks, Dockerfiles and pages are made there.
    Raises KilnError for what leads to no valid family, and LockError for what cannot be locked.
    """
    family.own(family.load(file))
    with _copied(file) as copy:
        before = _files(copy.parent)
        paths.write_whole(copy, text)
        change(copy.parent)
        _follow(family.load(copy))
        return Proposal(
            file=file, before=before, after=_files(copy.parent),
            executable=frozenset(_executable(copy.parent)),
        )  # fmt: skip


def _follow(matrix: Matrix) -> None:
    """Lock, generate and render the pages of a family."""
    if matrix.packages:
        _, failures = lock.write(matrix, ())
        if failures:
            raise LockError("\n".join(failures))
    generated.write(matrix)
    if (matrix.folder / readme.README).exists():
        readme.write(matrix, merge_local=False)


@contextmanager
def _copied(file: Path) -> Iterator[Path]:
    """Copy what a family owns into a folder of its own, and yield its file there."""
    with tempfile.TemporaryDirectory(dir=paths.folder("tmp")) as name:
        folder = Path(name) / file.parent.absolute().name
        folder.mkdir()
        for path in (file, *file.parent.glob("*.md"), *(file.parent / name for name in OWNED)):
            if path.is_dir():
                shutil.copytree(path, folder / path.name, symlinks=True)
            elif path.exists():
                shutil.copy2(path, folder / path.name)
        yield folder / file.name


def _files(folder: Path) -> dict[str, bytes]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def _executable(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_mode & 0o111:
            yield path.relative_to(folder).as_posix()


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _is_generated(name: str) -> bool:
    page = name.endswith(".md") and not name.endswith("/documentation.md")
    return page or name.startswith(_GENERATED) or "/locks/" in name


def _group(name: str) -> str:
    """Return what a generated or removed file is counted as."""
    if "/locks/" in name:
        return "locks"
    if name.startswith(f"{FOLDER}/") and not _is_generated(name):
        return "/".join(name.split("/")[:2])
    return "dockerfiles" if name.startswith("dockerfiles/") else "pages and results"


def conclude(proposal: Proposal, *, dry_run: bool, after: str) -> str:
    """Write a proposal, unless it is a dry run, and return what a person is told of it."""
    if not proposal.changed:
        return f"{proposal.file}: nothing to change"
    if dry_run:
        return f"{proposal.difference}\n{proposal.file}: not written (--dry-run)"
    proposal.write()
    console.say(f"{len(proposal.changed)} files written")
    return f"{proposal.difference}\n{proposal.file}: written, with all that follows from it; next: {after}"
