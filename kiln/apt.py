"""The Debian archive that the host is configured with: mirrors, programs, upstream tarballs.

Nothing is installed, and the host's own apt state stays as it is.
"""

import hashlib
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec

from kiln import aptview, console, paths, process
from kiln.errors import AptError, CommandError

RETRY_AGE = 600
"""Seconds after which suites that could not be had are asked again."""
DPKG_STATUS = Path("/var/lib/dpkg/status")
HELPER = "/usr/lib/apt/apt-helper"
KEYRINGS = ("debian-archive-keyring.pgp", "debian-archive-keyring.gpg")
_INSTALL = ("install", "--yes", "--download-only", "--no-install-recommends")
_SUITE = re.compile(r"[a-z][a-z0-9.+-]*")
# Upstream's own tarball; not a signature beside it and not a further component.
_ORIG = re.compile(r"\.orig\.(tar\.\w+|tgz)$")


@dataclass(frozen=True, kw_only=True)
class Mirrors:
    """Where the host has the Debian archive from."""

    main: str
    """The archive's address, as it stands in a source entry."""
    security: str | None
    """The address of the security archive, where the host has one."""
    keyring: Path
    """The keys that Debian signs with."""


class SourceFile(msgspec.Struct, frozen=True, kw_only=True):
    """One upstream tarball in a distribution's signed index of sources."""

    name: str
    url: str
    sha256: str
    size: int
    """Bytes."""
    suite: str
    package: str
    version: str


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """A stored answer, and whether every suite took part in it."""

    complete: bool
    files: list[SourceFile]


@cache
def mirrors() -> Mirrors:
    """Return the Debian archive that this host is configured with; AptError where there is none."""
    aptview.refresh("host")
    debian = [index for index in aptview.indices("host", "Packages") if index.origin == "Debian"]
    main = [index.repository for index in debian if index.label == "Debian" and index.component == "main"]
    security = [index.repository for index in debian if index.label == "Debian-Security"]
    if not main:
        raise AptError(
            "apt: no Debian archive among this machine's package sources answers; "
            "name one under /etc/apt/sources.list.d (`apt-get update` shows what fails)"
        )
    return Mirrors(main=address(main[0]), security=address(security[0]) if security else None, keyring=_keyring())


def unpack(packages: Sequence[str]) -> Path:
    """Return a folder with `packages`, and those dependencies that the host lacks, unpacked in it.

    Nothing is installed: programs run from the folder. What the host has installed is not in it.
    """
    key = hashlib.sha256(DPKG_STATUS.read_bytes() if DPKG_STATUS.exists() else b"").hexdigest()[:12]
    target = paths.folder("apt", "unpacked") / f"{'+'.join(packages)}-{key}"
    if target.is_dir():
        return target
    aptview.refresh("host")
    with paths.lock("apt-unpack"):
        if not target.is_dir():
            with console.step(f"Fetching {' and '.join(packages)} (for Kiln alone, not installed)"):
                _unpack("host", [*_INSTALL, *packages], target)
    return target


def source_files(suites: Sequence[str], packages: Sequence[str]) -> list[SourceFile]:
    """Return the upstream tarballs of source packages in Debian suites, suite by suite.

    A suite that cannot be had is reported and left out; AptError if none can.
    The answer is kept for hours, so that asking again costs nothing.
    """
    key = hashlib.sha256("\n".join([*suites, "", *packages]).encode()).hexdigest()[:16]
    store = paths.folder("apt", "source-files") / f"{key}.json"
    stored = _stored(store)
    if stored is not None:
        return stored.files
    found = _look_up(suites, packages)
    paths.write_whole(store, msgspec.json.encode(found))
    return found.files


def parse(text: bytes, repository: str, suite: str, packages: Sequence[str]) -> Iterator[SourceFile]:
    """Yield the upstream tarballs of `packages` from a Sources index."""
    names = b"|".join(re.escape(name.encode()) for name in packages)
    stanza = re.compile(rb"^Package: (?:" + names + rb")\n(?:.+\n?)+", re.MULTILINE)
    for match in stanza.finditer(text):
        fields = _fields(match.group().decode())
        for line in fields.get("Checksums-Sha256", "").splitlines():
            sha256, _, rest = line.strip().partition(" ")
            size, _, name = rest.partition(" ")
            if _ORIG.search(name):
                yield SourceFile(
                    name=name, url=f"{repository.rstrip('/')}/{fields['Directory']}/{name}", sha256=sha256,
                    size=int(size), suite=suite, package=fields["Package"], version=fields["Version"],
                )  # fmt: skip


def has_suite(repository: str, suite: str) -> bool:
    """Tell whether an archive carries a suite; AptError where the archive does not say."""
    config = paths.folder("apt", "host") / "apt.conf"
    with tempfile.TemporaryDirectory(dir=paths.folder("tmp")) as folder:
        url = f"{repository.rstrip('/')}/dists/{suite}/InRelease"
        command = [HELPER, "-c", str(config), "download-file", url, str(Path(folder) / "InRelease")]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode == 0:
        return True
    problem = next((line for line in done.stderr.splitlines() if line.startswith("E: ")), "E: it says nothing")
    # A web server's answer, and that of a folder (file:, copy:).
    if re.search(r" 40[34] |File not found|No such file", problem):
        return False
    raise AptError(f"{suite}: its archive does not answer; {problem.removeprefix('E: ')}")


def address(repository: str) -> str:
    """Return a plain address for one that names a file of mirrors, as Debian's cloud images do."""
    kind, _, file = repository.rstrip("/").partition(":")
    if kind != "mirror+file":
        return repository.rstrip("/")
    lines = Path(file).read_text(encoding="utf-8").split()
    return next((line.rstrip("/") for line in lines if "://" in line), repository)


def unpack_only(suite: str, packages: Sequence[str]) -> Path:
    """Return a folder with a suite's `packages` unpacked in it, without what they depend on."""
    target = paths.folder("apt", "unpacked") / f"{'+'.join(packages)}-{suite}"
    if target.is_dir():
        return target
    here = mirrors()
    view = f"binary-{suite}"
    aptview.refresh(view, aptview.entry("deb", here.main, [suite], here.keyring))
    with paths.lock("apt-unpack"):
        if not target.is_dir():
            with console.step(f"Fetching {' and '.join(packages)} (for Kiln alone, not installed)"):
                _unpack(view, ["download", *packages], target)
    return target


def _unpack(view: str, command: Sequence[str], target: Path) -> None:
    """Let apt download packages, and unpack them at `target`, whole or not at all."""
    config = paths.folder("apt", view) / "apt.conf"
    # Beside the target, because a folder of the cache may be a link to another disk.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".part-") as name:
        archives = Path(name, "archives")
        tree = Path(name, "tree")
        archives.joinpath("partial").mkdir(parents=True)
        tree.mkdir(mode=0o755)
        options = ["-o", f"Dir::Cache::archives={archives}", "-o", "Debug::NoLocking=1"]
        try:
            process.run(["apt-get", "-c", config, *options, *command], cwd=archives, log=paths.log("apt"))
            for archive in sorted(archives.glob("*.deb")):
                process.run(["dpkg", "-x", archive, tree])
        except CommandError as error:
            raise AptError(f"apt: cannot fetch what {target.name} is made of; {error}") from error
        tree.rename(target)


def _keyring() -> Path:
    """Return the keyring that Debian's own package of it holds."""
    for name in KEYRINGS:
        path = Path("/usr/share/keyrings", name)
        if path.exists():
            return path
    raise AptError("/usr/share/keyrings: no Debian archive keyring; install debian-archive-keyring")


def _stored(store: Path) -> _Found | None:
    """Return a stored answer that is young enough, if there is one."""
    try:
        age = time.time() - store.stat().st_mtime
        found = msgspec.json.decode(store.read_bytes(), type=_Found)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return found if age < (aptview.MAX_AGE if found.complete else RETRY_AGE) else None


def _look_up(suites: Sequence[str], packages: Sequence[str]) -> _Found:
    """Ask every suite at once."""
    for suite in suites:
        if not _SUITE.fullmatch(suite):
            raise AptError(f"{suite!r}: not the name of a Debian suite, such as `trixie`")
    here = mirrors()
    title = f"Looking into the source archives of {', '.join(suites)}"
    with console.step(title), ThreadPoolExecutor(max_workers=4) as pool:
        answers = list(pool.map(lambda suite: _in_suite(here, suite, packages), suites))
    for answer in answers:
        if isinstance(answer, AptError):
            console.say(str(answer))
    had = [answer for answer in answers if not isinstance(answer, AptError)]
    if suites and not had:
        raise AptError(f"{here.main}: no sources of {', '.join(suites)}; see {paths.log('apt')}")
    return _Found(complete=len(had) == len(answers), files=[file for answer in had for file in answer])


def _in_suite(archive: Mirrors, suite: str, packages: Sequence[str]) -> list[SourceFile] | AptError:
    """Return one suite's tarballs, or why it cannot be had."""
    view = f"source-{suite}"
    try:
        aptview.refresh(view, aptview.entry("deb-src", archive.main, [suite], archive.keyring))
    except AptError as error:
        return AptError(f"{suite}: its source archive cannot be had; {error}")
    files: list[SourceFile] = []
    for index in aptview.indices(view, "Sources"):
        text = subprocess.run([HELPER, "cat-file", index.file], capture_output=True, check=False)
        if text.returncode:
            return AptError(f"{index.file}: cannot be read; {text.stderr.decode(errors='replace').strip()}")
        files.extend(parse(text.stdout, index.repository, suite, packages))
    return files


def _fields(stanza: str) -> dict[str, str]:
    """Return a deb822 stanza's fields; continuation lines keep their line breaks."""
    parts = re.split(r"^([A-Za-z0-9-]+):", stanza, flags=re.MULTILINE)[1:]
    return {name: value.strip() for name, value in zip(parts[::2], parts[1::2], strict=True)}
