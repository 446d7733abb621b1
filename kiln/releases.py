"""What is known of a release of Python: its files, with their digests, and its day; and who says so.

python.org's API is asked first, then Debian's signed index of sources, then the mirrors of the family.
"""

import datetime
import re
import tarfile
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct, structs
from packaging.version import InvalidVersion, Version

from kiln import apt, console, pythonorg, reach, sources
from kiln.apt import SourceFile
from kiln.errors import KilnError, SourceError, UpdateError
from kiln.model import Artifact, Catalog, Origins, Release
from kiln.pythonorg import Listed


class Known(Struct, frozen=True, kw_only=True):
    """What the origins of a family list."""

    origins: Origins
    home: str
    """python.org, or a mirror of its API and files."""
    listed: tuple[Listed, ...] = ()
    debian: tuple[SourceFile, ...] = ()
    asked: tuple[str, ...] = ()
    """The origins that answer, for people."""
    silent: tuple[str, ...] = ()
    """Why an origin says nothing, for each that does not answer."""

    def versions(self) -> set[str]:
        """Return every version that an origin lists."""
        return {one.version for one in self.listed} | {upstream(file) for file in self.debian} - {""}


class Found(Struct, frozen=True, kw_only=True):
    """A release as far as it is known."""

    release: Release
    available: bool
    """Whether its files were fetched, and have their digests."""
    origin: str
    """Who knows it, and where its day is from, for people."""


def ask(origins: Origins, home: str, wanted: Iterable[Version]) -> Known:
    """Return what python.org and Debian's index list; the series of `wanted` say where to look in the latter."""
    asked, silent = list[str](), list[str]()
    listed, files = tuple[Listed, ...](), list[SourceFile]()
    try:
        with console.step(f"asking {reach.shown(home)}"):
            listed = pythonorg.releases(home)
        asked.append(reach.shown(home))
    except UpdateError as error:
        silent.append(str(error).replace("; nothing was changed, try again later", ""))
    names = sorted({f"python3.{minor}" for one in wanted for minor in _decade(one.minor)})
    if origins.debian:
        try:
            files = apt.source_files(origins.debian, names)
            asked.append(f"Debian ({', '.join(origins.debian)})")
        except KilnError as error:
            silent.append(str(error))
    return Known(
        origins=origins, home=home, listed=listed, debian=tuple(files), asked=tuple(asked), silent=tuple(silent)
    )  # fmt: skip


def _decade(minor: int) -> range:
    """Return ten series at once: one stored answer of the index serves all of them."""
    return range(minor // 10 * 10, minor // 10 * 10 + 10)


def upstream(file: SourceFile) -> str:
    """Return the version of Python that a source package of Debian holds: `3.15.0b2` for `3.15.0~b2-1`."""
    try:
        version = Version(file.version.rpartition("-")[0].replace("~", ""))
    except InvalidVersion:
        return ""
    return "" if version.local else str(version)


def newest(series: str, known: Known, *, prerelease: bool) -> list[str]:
    """Return the versions of a series that any origin lists, newest first; prereleases only if asked for."""
    found = [Version(one) for one in known.versions()]
    mine = [one for one in found if f"{one.major}.{one.minor}" == series and (prerelease or not one.is_prerelease)]
    return [str(one) for one in sorted(mine, reverse=True)]


def find(old: Release, version: str, known: Known) -> Found | None:
    """Return a release with what is known of it, and all else as `old` has it; None if no origin knows it.

    Its files are fetched, so that no digest stands for a file that nobody has seen.
    Raises UpdateError for answers that contradict each other or the file.
    """
    if version != old.version:
        old = structs.replace(old, version=version, released="", artifacts=[])
    ways = (_python_org, _debian, _mirrors)
    return next((found for way in ways if (found := way(old, known))), None)


def _python_org(old: Release, known: Known) -> Found | None:
    listed = next((one for one in known.listed if one.version == old.version), None)
    if listed is None:
        return None
    origin = f"{old.version}: file, sha256 and day from {reach.shown(known.home)}"
    release = pythonorg.pin(old, listed, known.origins, known.home)
    if release:
        return Found(release=release, available=True, origin=origin)
    known_files = structs.replace(old, released=listed.released, artifacts=_indexed(old, known))
    return Found(release=known_files, available=False, origin=f"{old.version}: day from {reach.shown(known.home)}")


def _indexed(old: Release, known: Known) -> list[Artifact]:
    """Return the files of a release that Debian's signed index has digests of."""
    files = {file.sha256: file for file in known.debian if upstream(file) == old.version}
    return [Artifact(file=f"Python-{old.version}{_suffix(file)}", sha256=sha256) for sha256, file in files.items()]


def _suffix(file: SourceFile) -> str:
    return ".tgz" if file.name.endswith((".gz", ".tgz")) else "." + file.name.partition(".orig.")[2]


def _debian(old: Release, known: Known) -> Found | None:
    release = structs.replace(old, artifacts=_indexed(old, known))
    if not release.artifacts:
        return None
    suites = dict.fromkeys(file.suite for file in known.debian if upstream(file) == old.version)
    origin = f"{old.version}: file and sha256 from Debian's signed index of sources ({', '.join(suites)})"
    return _dated(release, known, origin)


def _dated(release: Release, known: Known, origin: str) -> Found:
    """Return a release with the day that its files are of, if an origin serves them."""
    try:
        source = sources.fetch(release, known.origins)
    except SourceError:
        if not sources.look(release, known.origins).announced:
            raise
        return Found(release=release, available=False, origin=origin)
    day = release.released or newest_file(source.path)
    told = "" if release.released else ", day of the newest file in the tarball"
    # The one that was seen comes first: it is what a standalone Dockerfile downloads.
    rest = [one for one in release.artifacts if one != source.artifact]
    release = structs.replace(release, released=day, artifacts=[source.artifact, *rest])
    return Found(release=release, available=True, origin=f"{origin}{told}")


def newest_file(tarball: Path) -> str:
    """Return the day of the newest file in a tarball: that on which the release manager packed it."""
    try:
        with tarfile.open(tarball) as tar:
            newest_one = max((member.mtime for member in tar), default=0)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise SourceError(f"{tarball}: cannot be read for the day of its files ({error}); fetch it again") from None
    return datetime.datetime.fromtimestamp(newest_one, datetime.UTC).date().isoformat()


def _mirrors(old: Release, known: Known) -> Found | None:
    """Return a release by what one of the family's mirrors serves: nobody else vouches for it."""
    name = f"Python-{old.version}.tar.xz"
    for folder in known.origins.mirrors:
        url = old.url(Artifact(file=name, sha256=""), folder)
        if reach.probe(url).reason:
            continue
        artifact = pythonorg.hashed(name, url)
        origin = f"{old.version}: sha256 of the file that {reach.shown(url)} serves, which nobody else vouches for"
        return _dated(structs.replace(old, artifacts=[artifact]), known, origin)
    return None


def unknown(version: str, known: Known) -> str:
    """Return why no origin knows a release, and what to do."""
    lists = f"not listed by {' or '.join(known.asked)}" if known.asked else "no origin answers"
    silent = "".join(f"; {reason}" for reason in known.silent)
    return (
        f"{version}: {lists}{silent}; write `released`, and `file` and `sha256` of its tarball to `artifacts`, "
        "from the release's page, or add an origin to $.sources"
    )


def lacking(catalog: Catalog) -> list[Release]:
    """Return the releases of which the day or the files are not known yet."""
    return [one for one in catalog.releases if not (one.released and one.artifacts)]


def complete(release: Release, known: Known) -> Found | None:
    """Return a release of the family with what it lacks; what it has stays. None if no origin knows it."""
    if release.artifacts:
        listed = next((one for one in known.listed if one.version == release.version), None)
        if listed:
            day = structs.replace(release, released=listed.released)
            return Found(release=day, available=True, origin=f"{release.version}: day from {reach.shown(known.home)}")
        return _dated(release, known, f"{release.version}: has its files")
    found = find(release, release.version, known)
    if found is None or not release.released:
        return found
    return structs.replace(found, release=structs.replace(found.release, released=release.released))


def current(pattern: str) -> bool:
    """Tell whether a text is a series, and not a version: `3.13`."""
    return bool(re.fullmatch(r"[0-9]+\.[0-9]+", pattern))
