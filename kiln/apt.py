"""A private apt: the machine's own package sources, with lists and archives of Kiln's own.

The host's apt state is read (its sources, its dpkg status), never written.
"""

import hashlib
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kiln import console, paths, process
from kiln.errors import AptError, CommandError

MAX_AGE = 6 * 3600
"""Seconds for which lists are taken as they are."""
DPKG_STATUS = Path("/var/lib/dpkg/status")
HELPER = "/usr/lib/apt/apt-helper"
KEYRINGS = ("debian-archive-keyring.pgp", "debian-archive-keyring.gpg")
# What other packages make `apt-get update` fetch beside the lists; nothing here reads it.
_EXTRA_INDICES = (
    "CNF", "Contents-deb", "Contents-deb-legacy", "Contents-dsc", "Contents-udeb", "DEP-11", "DEP-11-icons",
    "DEP-11-icons-hidpi", "DEP-11-icons-large", "DEP-11-icons-large-hidpi", "DEP-11-icons-small",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Mirrors:
    """Where the host has the Debian archive from."""

    main: str
    """The archive's address, as it stands in a source entry."""
    security: str | None
    """The address of the security archive, where the host has one."""
    keyring: Path
    """The keys that Debian signs with."""


@dataclass(frozen=True, kw_only=True)
class Index:
    """One list that apt holds: where it is from and the file that holds it."""

    origin: str
    label: str
    release: str
    component: str
    repository: str
    file: Path


@cache
def mirrors() -> Mirrors:
    """Return the Debian archive that this host is configured with; AptError where there is none."""
    refresh("host")
    debian = [index for index in indices("host", "Packages") if index.origin == "Debian"]
    main = [index.repository for index in debian if index.label == "Debian" and index.component == "main"]
    security = [index.repository for index in debian if index.label == "Debian-Security"]
    if not main:
        raise AptError(
            "apt: no Debian archive among this machine's package sources answers; "
            "name one under /etc/apt/sources.list.d (`apt-get update` shows what fails)"
        )
    return Mirrors(
        main=address(main[0]), security=address(security[0]) if security else None, keyring=_keyring()
    )


def unpack(packages: Sequence[str]) -> Path:
    """Return a folder with `packages`, and those dependencies that the host lacks, unpacked in it.

    Nothing is installed: programs run from the folder. What the host has installed is not in it.
    """
    key = hashlib.sha256(DPKG_STATUS.read_bytes() if DPKG_STATUS.exists() else b"").hexdigest()[:12]
    target = paths.folder("apt", "unpacked") / f"{'+'.join(packages)}-{key}"
    if target.is_dir():
        return target
    refresh("host")
    with paths.lock("apt-unpack"):
        if not target.is_dir():
            with console.step(f"Fetching {' and '.join(packages)} (for Kiln alone, not installed)"):
                _unpack(packages, target)
    return target


def refresh(view: str, sources: str | None = None) -> None:
    """Fetch the lists of a view if they are missing or old; AptError if there are none then.

    A view is a set of package sources: the host's own, or `sources` in the deb822 format.
    """
    folder = paths.folder("apt", view)
    stamp = folder / "updated"
    with paths.lock(f"apt-{view}"):
        config = _configure(folder, sources)
        if _age(stamp) < MAX_AGE:
            return
        try:
            process.run(["apt-get", "-c", config, "update"], log=paths.log("apt"))
        except CommandError as error:
            # One entry that fails (a third party's, mostly) does not matter while others answer.
            if not _has_lists(folder):
                raise AptError(f"apt: no package list can be had; {error}") from error
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
        Index(origin=row[0], label=row[1], release=row[2], component=row[3], repository=row[4], file=Path(row[5]))
        for row in rows
        if len(row) == len(fields)
    ]


def has_suite(repository: str, suite: str) -> bool:
    """Tell whether an archive carries a suite."""
    config = paths.folder("apt", "host") / "apt.conf"
    with tempfile.TemporaryDirectory(dir=paths.folder("tmp")) as folder:
        url = f"{repository.rstrip('/')}/dists/{suite}/InRelease"
        try:
            process.run([HELPER, "-c", config, "download-file", url, Path(folder) / "InRelease"])
        except CommandError:
            return False
    return True


def address(repository: str) -> str:
    """Return a plain address for one that names a file of mirrors, as Debian's cloud images do."""
    kind, _, file = repository.rstrip("/").partition(":")
    if kind != "mirror+file":
        return repository.rstrip("/")
    lines = Path(file).read_text(encoding="utf-8").split()
    return next((line.rstrip("/") for line in lines if "://" in line), repository)


def entry(kind: str, uri: str, suites: Sequence[str], keyring: Path) -> str:
    """Return one deb822 source entry: `kind` is `deb` or `deb-src`."""
    return f"Types: {kind}\nURIs: {uri}\nSuites: {' '.join(suites)}\nComponents: main\nSigned-By: {keyring}\n"


def configuration(folder: Path, *, own_sources: bool) -> str:
    """Return the apt.conf of a view that lives in `folder`."""
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
    return "\n".join(lines) + "\n"


def _configure(folder: Path, sources: str | None) -> Path:
    """Write a view's configuration, and its sources if it has its own."""
    if not shutil.which("apt-get"):
        raise AptError("apt: not on this machine, and with it no Debian archive; this needs Debian")
    for name in ("lists/partial", "cache/archives/partial", "log"):
        folder.joinpath(name).mkdir(parents=True, exist_ok=True)
    if sources is not None and _text(folder / "kiln.sources") != sources:
        folder.joinpath("updated").unlink(missing_ok=True)
        paths.write_whole(folder / "kiln.sources", sources)
    config = folder / "apt.conf"
    text = configuration(folder, own_sources=sources is not None)
    if _text(config) != text:
        paths.write_whole(config, text)
    return config


def _unpack(packages: Sequence[str], target: Path) -> None:
    """Download packages and what they need, and unpack them at `target`, whole or not at all."""
    config = paths.folder("apt", "host") / "apt.conf"
    with tempfile.TemporaryDirectory(dir=paths.folder("tmp")) as name:
        archives = Path(name, "archives")
        tree = Path(name, "tree")
        archives.joinpath("partial").mkdir(parents=True)
        tree.mkdir(mode=0o755)
        options = ["-o", f"Dir::Cache::archives={archives}", "-o", "Debug::NoLocking=1"]
        install = ["install", "--yes", "--download-only", "--no-install-recommends", *packages]
        try:
            process.run(["apt-get", "-c", config, *options, *install], log=paths.log("apt"))
            for archive in sorted(archives.glob("*.deb")):
                process.run(["dpkg", "-x", archive, tree])
        except CommandError as error:
            raise AptError(f"apt: cannot fetch {' '.join(packages)}; {error}") from error
        tree.rename(target)


def _keyring() -> Path:
    """Return the keyring that Debian's own package of it holds."""
    for name in KEYRINGS:
        path = Path("/usr/share/keyrings", name)
        if path.exists():
            return path
    raise AptError("/usr/share/keyrings: no Debian archive keyring; install debian-archive-keyring")


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
