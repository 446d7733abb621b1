"""`invoke fork`: what a family changes to have another repository, all of it or nothing."""

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from kiln import (
    bench_page,
    bench_results,
    catalog,
    family,
    fork_wish,
    generated,
    history,
    matrix,
    readme,
    render,
    schema,
)
from kiln.errors import CommandError, ForkError
from kiln.fork_wish import Wish
from kiln.matrix import Matrix
from kiln.proposal import Proposal

_MEASURED = (bench_results.FILE, bench_page.PLOT)
_GITHUB = (
    "on GitHub: enable Actions, let them create pull requests, and make an environment `registry` "
    "with the secrets REGISTRY_USER and REGISTRY_PASSWORD"
)


class Fork(Struct, frozen=True, kw_only=True):
    """The texts of a fork."""

    old: Matrix
    new: Matrix
    changes: dict[str, str | None]
    """What becomes of files in the family's folder, by name; None: removed."""
    spoken: list[str]
    """Where documents still name the old family, as `README.md:12`."""

    @property
    def unknown(self) -> list[str]:
        """Return the labels that the family had and nobody knows for the fork."""
        return sorted(self.old.catalog.labels.keys() - self.new.catalog.labels.keys())

    def plan(self) -> str:
        """Return what changes, for a person to look at."""
        if not self.changes:
            return f"{self.new.repository}: nothing to change"
        name = self.old.file.name
        before, after = self.old.file.read_text("utf-8"), self.changes.get(name) or ""
        lines = difflib.unified_diff(before.splitlines(), after.splitlines(), name, f"{name} (new)", lineterm="")
        written = [one for one, text in self.changes.items() if text is not None]
        removed = [one for one, text in self.changes.items() if text is None]
        return "\n".join([
            f"{self.old.repository} becomes {self.new.repository}",
            *(lines if name in self.changes else []),
            f"written: {_summary(written)}",
            *([f"removed, because it says nothing of your images: {_summary(removed)}"] if removed else []),
        ])  # fmt: skip

    def write(self) -> None:
        """Write the texts, all of them or none.

        Raises ForkError if git has not got what would be overwritten, and UpdateError if somebody else changes it.
        """
        folder = self.new.folder
        if file := self.changes and dirty(folder, self.changes):
            raise ForkError(f"{file}: has changes that git does not have; commit or stash them first")
        before = {name: (folder / name).read_bytes() for name in self.changes if (folder / name).exists()}
        after = {name: text.encode() for name, text in self.changes.items() if text is not None}
        Proposal(file=self.new.file, before=before, after=after).write()

    def left(self) -> str:
        """Return what only the person can do."""
        registry, option = self.new.catalog.registry, family.option(self.new.file)
        labels = f"say what nobody could know in `labels` of {self.new.file.name}: {', '.join(self.unknown)}"
        steps = [
            "look at `git diff` and commit it; the first lines of README.md are still the old family's",
            labels if self.unknown else "",
            f"write anew what still names {self.old.repository}: {', '.join(self.spoken)}" if self.spoken else "",
            f"drop what you do not need: ./run invoke drop{option} 3.11 (target NAME, package NAME)",
            f"build an image: ./run invoke build{option}",
            f"log in: docker login {registry}".rstrip(),
            f"build, test and push everything: ./run invoke build{option} --all --push",
            _GITHUB if (self.new.folder / ".github").is_dir() else "",
        ]
        numbered = enumerate(filter(None, steps), 1)
        return "\n".join(["left to you:", *(f"  {number}. {step}" for number, step in numbered)])


def make(old: Matrix, wanted: Wish, origin: str = "") -> Fork:
    """Return the texts of a fork; `origin` is the URL of git's remote, which may be that of its source.

    Raises CatalogError if the fork is no valid family, ReadmeError for documents that cannot be rewritten.
    """
    moved = wanted.name != old.repository
    described = replace(
        old.catalog, registry=wanted.registry, repository=wanted.repository,
        labels=fork_wish.labels(old, wanted, origin),
    )  # fmt: skip
    text = catalog.dumps(described)
    new = matrix.expand(catalog.loads(text, str(old.file)), old.file)
    texts = readme.texts(new, merge_local=False, figures={} if moved else None)
    changes = {
        f"{render.FOLDER}/{name}": after for name, after in render.changes(new, old.folder / render.FOLDER).items()
    }
    texts[generated.SCHEMA] = readme.held(old.folder / generated.SCHEMA), schema.text()
    changes |= {name: after for name, (before, after) in texts.items() if before != after}
    changes |= {name: None for name in _MEASURED if moved and (old.folder / name).exists()}
    if text != readme.held(old.file):
        changes[old.file.name] = text
    documents = {name: after for name, (_, after) in texts.items() if name.endswith(".md")}
    return Fork(old=old, new=new, changes=changes, spoken=spoken(documents, old) if moved else [])


def spoken(texts: Mapping[str, str], old: Matrix) -> list[str]:
    """Return the lines of documents that still name the old family's repositories or source, as `README.md:12`."""
    source = old.catalog.labels.get(fork_wish.SOURCE, "")
    names = "|".join(re.escape(name) for name in (*old.repositories, source) if "/" in name)
    if not names:
        return []
    lines = (
        (f"{name}:{number}", line) for name, text in texts.items() for number, line in enumerate(text.splitlines(), 1)
    )
    return [place for place, line in lines if re.search(rf"(?<![\w./-])({names})(?![\w/-])", line)]


def dirty(folder: Path, names: Iterable[str]) -> str:
    """Return the first of some files of a folder that git would not give back, empty if there is none, or no git."""
    try:
        return next(iter(history.unsaved(folder, names)), "")
    except CommandError:
        return ""


def _summary(names: list[str]) -> str:
    """Return names, those of a folder with many files as their number."""
    many = f"{render.FOLDER}/"
    some = [name for name in names if not name.startswith(many)]
    count = len(names) - len(some)
    return ", ".join([*([f"{count} files in {many}"] if count else []), *some])
