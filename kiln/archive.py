"""Look up upstream source tarballs in the source archives of Debian suites."""

import hashlib
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from kiln import apt, console, paths
from kiln.errors import AptError

RETRY_AGE = 600
"""Seconds after which suites that could not be had are asked again."""
_SUITE = re.compile(r"[a-z][a-z0-9.+-]*")
# Upstream's own tarball; not a signature beside it and not a further component.
_ORIG = re.compile(r"\.orig\.(tar\.\w+|tgz)$")


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


def _stored(store: Path) -> _Found | None:
    """Return a stored answer that is young enough, if there is one."""
    try:
        age = time.time() - store.stat().st_mtime
        found = msgspec.json.decode(store.read_bytes(), type=_Found)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return found if age < (apt.MAX_AGE if found.complete else RETRY_AGE) else None


def _look_up(suites: Sequence[str], packages: Sequence[str]) -> _Found:
    """Ask every suite at once."""
    for suite in suites:
        if not _SUITE.fullmatch(suite):
            raise AptError(f"{suite!r}: not the name of a Debian suite, such as `trixie`")
    mirrors = apt.mirrors()
    with console.step(f"Looking into the source archives of {', '.join(suites)}"):
        with ThreadPoolExecutor(max_workers=4) as pool:
            answers = list(pool.map(lambda suite: _in_suite(mirrors, suite, packages), suites))
    for answer in answers:
        if isinstance(answer, AptError):
            console.say(str(answer))
    had = [answer for answer in answers if not isinstance(answer, AptError)]
    if suites and not had:
        raise AptError(f"{mirrors.main}: no sources of {', '.join(suites)}; see {paths.log('apt')}")
    return _Found(complete=len(had) == len(answers), files=[file for answer in had for file in answer])


def _in_suite(mirrors: apt.Mirrors, suite: str, packages: Sequence[str]) -> list[SourceFile] | AptError:
    """Return one suite's tarballs, or why it cannot be had."""
    view = f"source-{suite}"
    try:
        apt.refresh(view, apt.entry("deb-src", mirrors.main, [suite], mirrors.keyring))
    except AptError as error:
        return AptError(f"{suite}: its source archive cannot be had; {error}")
    files: list[SourceFile] = []
    for index in apt.indices(view, "Sources"):
        text = subprocess.run([apt.HELPER, "cat-file", index.file], capture_output=True, check=False)
        if text.returncode:
            return AptError(f"{index.file}: cannot be read; {text.stderr.decode(errors='replace').strip()}")
        files.extend(parse(text.stdout, index.repository, suite, packages))
    return files


def _fields(stanza: str) -> dict[str, str]:
    """Return a deb822 stanza's fields; continuation lines keep their line breaks."""
    parts = re.split(r"^([A-Za-z0-9-]+):", stanza, flags=re.MULTILINE)[1:]
    return {name: value.strip() for name, value in zip(parts[::2], parts[1::2], strict=True)}
