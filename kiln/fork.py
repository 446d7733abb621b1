"""`invoke fork`: what a family changes to have another repository, all of it or nothing."""

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from kiln import bench_page, bench_results, catalog, checks, family, generated, matrix, paths, process, readme
from kiln.errors import CommandError, ForkError
from kiln.matrix import Matrix

_LABEL = "org.opencontainers.image."
_DOCKER_HUB = {"docker.io", "index.docker.io", "registry-1.docker.io"}
_MEASURED = (bench_results.FILE, bench_page.PLOT)
_EXAMPLE = "name a registry and a repository, such as ghcr.io/me/python, or me/python on Docker Hub"
_GITHUB = (
    "on GitHub: enable Actions, let them create pull requests, and make an environment `registry` "
    "with the secrets REGISTRY_USER and REGISTRY_PASSWORD"
)


class Wish(Struct, frozen=True, kw_only=True):
    """What somebody says of the fork, empty where nothing is said."""

    registry: str
    repository: str
    source: str = ""
    """The URL of the repository that the images are built from."""
    vendor: str = ""
    authors: str = ""

    @property
    def name(self) -> str:
        """Return the repository with its registry."""
        return f"{self.registry}/{self.repository}" if self.registry else self.repository


class Fork(Struct, frozen=True, kw_only=True):
    """The texts of a fork."""

    old: Matrix
    new: Matrix
    changes: dict[str, str | None]
    """What becomes of files in the family's folder, by name, its own file last; None: removed."""

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
        """Write the texts. Raises ForkError, and changes nothing, if git has not got what would be overwritten."""
        with paths.lock("update"):
            if file := self.changes and dirty(self.new.folder, self.changes):
                raise ForkError(f"{file}: has changes that git does not have; commit or stash them first")
            for name, text in self.changes.items():
                if text is None:
                    (self.new.folder / name).unlink(missing_ok=True)
                else:
                    paths.write_whole(self.new.folder / name, text)

    def left(self) -> str:
        """Return what only the person can do."""
        registry, option = self.new.catalog.registry, family.option(self.new.file)
        labels = f"say what nobody could know in `labels` of {self.new.file.name}: {', '.join(self.unknown)}"
        steps = [
            "look at `git diff` and commit it; the first lines of README.md are still the old family's",
            labels if self.unknown else "",
            f"drop what you do not need: ./run invoke drop{option} 3.11 (target NAME, package NAME)",
            f"build an image: ./run invoke build{option}",
            f"log in: docker login {registry}".rstrip(),
            f"build, test and push everything: ./run invoke build{option} --all --push",
            _GITHUB if (self.new.folder / ".github").is_dir() else "",
        ]
        numbered = enumerate(filter(None, steps), 1)
        return "\n".join(["left to you:", *(f"  {number}. {step}" for number, step in numbered)])


def wish(reference: str, **said: str) -> Wish:
    """Return what somebody wants, from a reference as Docker reads it. Raises ForkError if it is none."""
    host, slash, rest = reference.partition("/")
    named = bool(slash) and (host == "localhost" or "." in host or ":" in host)
    registry, repository = (host, rest) if named else ("", reference)
    registry = "" if registry in _DOCKER_HUB else registry
    for kind, value in (("registry", registry), ("repository", repository)):
        if any(checks.form("", kind, value)):
            raise ForkError(f"{reference!r}: is no repository of images; {_EXAMPLE}, without a tag")
    if not registry and "/" not in repository:
        raise ForkError(f"{reference!r}: only Docker itself has such names on Docker Hub; {_EXAMPLE}")
    return Wish(registry=registry, repository=repository, **said)


def make(old: Matrix, wanted: Wish, origin: str = "") -> Fork:
    """Return the texts of a fork; `origin` is the URL of git's remote, which may be that of its source.

    Raises CatalogError if the fork is no valid family, ReadmeError for documents that cannot be rewritten.
    """
    moved = wanted.name != old.repository
    described = replace(
        old.catalog, registry=wanted.registry, repository=wanted.repository,
        labels=labels(old, wanted, origin) if moved else _said(old.catalog.labels, wanted, wanted.source),
    )  # fmt: skip
    text = catalog.dumps(described)
    new = matrix.expand(catalog.loads(text, str(old.file)), old.file)
    texts = readme.texts(new, merge_local=False, figures={} if moved else None)
    changes: dict[str, str | None] = {**generated.changes(new)}
    changes |= {name: after for name, (before, after) in texts.items() if before != after}
    changes |= {name: None for name in _MEASURED if moved and (old.folder / name).exists()}
    if described != old.catalog:
        changes[old.file.name] = text
    return Fork(old=old, new=new, changes=changes)


def labels(old: Matrix, wanted: Wish, origin: str) -> dict[str, str]:
    """Return the labels of a fork: those that would say something false of it are replaced, or gone."""
    known, before = dict(old.catalog.labels), old.catalog.labels.get(f"{_LABEL}source", "")
    known.pop(f"{_LABEL}authors", None)
    known.pop(f"{_LABEL}vendor", None)
    source = wanted.source or ("" if address(origin) == address(before) else address(origin))
    for name, value in old.catalog.labels.items():
        if before and value.startswith(before):
            known[name] = source + value.removeprefix(before)
            if not source:
                del known[name]
    if known.get(f"{_LABEL}title") == old.catalog.repository.rpartition("/")[2]:
        known[f"{_LABEL}title"] = wanted.repository.rpartition("/")[2]
    namespace = wanted.repository.rpartition("/")[0] or wanted.registry
    return _said({f"{_LABEL}vendor": namespace, **known}, wanted, source)


def _said(known: Mapping[str, str], wanted: Wish, source: str) -> dict[str, str]:
    """Return labels with what somebody says in its place."""
    said = {"source": source, "vendor": wanted.vendor, "authors": wanted.authors}
    return {**known, **{f"{_LABEL}{name}": value for name, value in said.items() if value}}


def origin(folder: Path) -> str:
    """Return the URL of git's remote `origin`, empty if there is none."""
    try:
        return process.run(["git", "-C", folder, "remote", "get-url", "origin"]).strip()
    except CommandError:
        return ""


def address(remote: str) -> str:
    """Return the URL at which people find a remote of git, empty for one on this machine."""
    if found := re.fullmatch(r"(?:[\w.-]+@)?([\w-]+(?:\.[\w-]+)+):(?!//)/?(.+)", remote):
        remote = f"https://{found[1]}/{found[2]}"
    url = urlsplit(remote)
    if url.scheme not in {"http", "https", "ssh", "git"} or not url.hostname:
        return ""
    port = f":{url.port}" if url.port and url.scheme in {"http", "https"} else ""
    scheme = "http" if url.scheme == "http" else "https"
    return f"{scheme}://{url.hostname}{port}{url.path.rstrip('/').removesuffix('.git')}"


def dirty(folder: Path, names: Iterable[str]) -> str:
    """Return the first of some files of a folder that git would not give back, empty if there is none, or no git."""
    try:
        found = process.run(["git", "status", "--porcelain", "--untracked-files=all", "-z", "--", *names], cwd=folder)
    except CommandError:
        return ""
    return found.split("\0")[0][3:]


def _summary(names: list[str]) -> str:
    """Return names, those of a folder with many files as their number."""
    many = f"{generated.FOLDER}/"
    some = [name for name in names if not name.startswith(many)]
    count = len(names) - len(some)
    return ", ".join([*([f"{count} files in {many}"] if count else []), *some])
