"""Views: sets of package sources with lists and caches of Kiln's own, read by the host's apt.

The host's apt state is read (its sources, its dpkg status), never written.
"""

import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kiln import console, paths, process
from kiln.errors import AptError, CommandError

MAX_AGE = 6 * 3600
"""Seconds for which lists are taken as they are."""
CURRENT_AGE = 900
"""The same, where the archive's state of today is asked for."""
# What other packages make `apt-get update` fetch beside the lists; nothing here reads it.
_EXTRA_INDICES = (
    "CNF", "Contents-deb", "Contents-deb-legacy", "Contents-dsc", "Contents-udeb", "DEP-11", "DEP-11-icons",
    "DEP-11-icons-hidpi", "DEP-11-icons-large", "DEP-11-icons-large-hidpi", "DEP-11-icons-small",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Index:
    """One list that apt holds: where it is from and the file that holds it."""

    origin: str
    label: str
    release: str
    component: str
    repository: str
    file: Path


def refresh(
    view: str, sources: str | None = None, *, settings: Sequence[str] = (), current: bool = False
) -> None:  # fmt: skip
    """Fetch the lists of a view if they are missing or old; AptError if there are none then.

    A view is a set of package sources: the host's own, or `sources` in the deb822 format, or what
    `settings`, lines for apt's configuration, name. With `current`, every one of them must be had now.
    """
    folder = paths.folder("apt", view)
    stamp = folder / "updated"
    with paths.lock(f"apt-{view}"):
        config = _configure(folder, sources, settings)
        if _age(stamp) < (CURRENT_AGE if current else MAX_AGE):
            return
        # By itself apt ends well where it goes on with old lists.
        mode = ["-o", "APT::Update::Error-Mode=any"] if current else []
        try:
            process.run(["apt-get", "-c", config, *mode, "update"], log=paths.log("apt"))
        except CommandError as error:
            # One entry that fails (a third party's, mostly) does not matter while others answer.
            if current or not _has_lists(folder):
                which = "not every" if current else "no"
                raise AptError(f"apt: {which} package list can be had; {error}") from error
            console.say(f"apt: some package lists could not be refreshed; see {paths.log('apt')}")
        paths.write_whole(stamp, "")


def indices(view: str, kind: str) -> list[Index]:
    """Return the lists of one kind (`Packages`, `Sources`) that a view holds."""
    fields = ("ORIGIN", "LABEL", "RELEASE", "COMPONENT", "REPO_URI", "FILENAME")
    form = "\t".join(f"$({field})" for field in fields)
    config = paths.folder("apt", view) / "apt.conf"
    text = process.run(["apt-get", "-c", config, "indextargets", "--format", form, f"Created-By: {kind}"])
    rows = [line.split("\t") for line in text.splitlines()]
    return [
        Index(
            origin=row[0],
            label=row[1],
            release=row[2],
            component=row[3],
            repository=row[4],
            file=Path(row[5]),
        )
        for row in rows
        if len(row) == len(fields)
    ]


def entry(kind: str, uri: str, suites: Sequence[str], keyring: Path) -> str:
    """Return one deb822 source entry: `kind` is `deb` or `deb-src`."""
    return f"Types: {kind}\nURIs: {uri}\nSuites: {' '.join(suites)}\nComponents: main\nSigned-By: {keyring}\n"


def configuration(folder: Path, *, own_sources: bool, settings: Sequence[str] = ()) -> str:
    """Return the apt.conf of a view that lives in `folder`, with `settings` at its end."""
    lines = [
        f'Dir::State::Lists "{folder}/lists";',
        f'Dir::Cache "{folder}/cache";',
        'Dir::Cache::pkgcache "pkgcache.bin";',
        'Dir::Cache::srcpkgcache "srcpkgcache.bin";',
        f'Dir::Log "{folder}/log";',
        # The user _apt cannot write below a home folder.
        'APT::Sandbox::User "root";',
        "#clear Acquire::Languages;",
        'Acquire::Languages "none";',
        'Acquire::Retries "2";',
        'Acquire::http::Timeout "20";',
        'Acquire::https::Timeout "20";',
        # Hooks of the host's configuration work on the host's own lists.
        "#clear APT::Update;",
        *(f"#clear Acquire::IndexTargets::deb::{name};" for name in _EXTRA_INDICES),
    ]
    if own_sources:
        lines += [f'Dir::Etc::sourcelist "{folder}/kiln.sources";', 'Dir::Etc::sourceparts "-";']
    return "\n".join([*lines, *settings]) + "\n"


def _configure(folder: Path, sources: str | None, settings: Sequence[str]) -> Path:
    """Write a view's configuration, and its sources if it has its own."""
    if not shutil.which("apt-get"):
        raise AptError("apt: not on this machine, and with it no Debian archive; this needs Debian")
    for name in ("lists/partial", "cache/archives/partial", "log"):
        folder.joinpath(name).mkdir(parents=True, exist_ok=True)
    if sources is not None and _text(folder / "kiln.sources") != sources:
        folder.joinpath("updated").unlink(missing_ok=True)
        paths.write_whole(folder / "kiln.sources", sources)
    config = folder / "apt.conf"
    text = configuration(folder, own_sources=sources is not None, settings=settings)
    if _text(config) != text:
        paths.write_whole(config, text)
    return config


def _age(stamp: Path) -> float:
    """Return the seconds since a stamp was written; infinity if it is not there."""
    try:
        return abs(time.time() - stamp.stat().st_mtime)
    except FileNotFoundError:
        return float("inf")


def _has_lists(folder: Path) -> bool:
    return any(re.search(r"_(Packages|Sources)(\.\w+)?$", path.name) for path in folder.glob("lists/*_*"))


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
