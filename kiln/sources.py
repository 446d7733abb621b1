"""Source tarballs, each known by its sha256: from the store, a folder, or any origin that has it."""

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from kiln import console, download, paths, reach, store, transfer
from kiln.download import Wanted
from kiln.errors import KilnError, SourceError
from kiln.model import PYTHON_ORG, Artifact, Origins, Release
from kiln.reach import Unavailable
from kiln.store import DiskError, WrongBytesError, disk_errors


class Source(Struct, frozen=True, kw_only=True):
    """A release's tarball on this machine, with the pinned digest."""

    path: Path
    """In the store; the only file of its folder."""
    artifact: Artifact
    origin: str
    """Where its bytes came from, for people to read."""


class Candidate(Struct, frozen=True, kw_only=True):
    """A URL that may serve an artifact."""

    artifact: Artifact
    url: str
    origin: str
    size: int = 0


def fetch(release: Release, origins: Origins, *, folder: Path | None = None) -> Source:
    """Return a release's tarball, from the first that has it: store, `folder`, mirrors, python.org, Debian.

    Any one of the release's artifacts will do. Raises `SourceError` with every origin's reason if
    none has it, or at once if one serves other bytes under the pinned name.
    """
    with disk_errors(paths.home()):
        reasons: list[str] = []
        if (found := _stored(release, reasons)) is not None:
            return found
        if folder is not None and (local := store.find(release, folder)) is not None:
            path, artifact = local
            copy = store.adopt(path, artifact)
            return Source(path=copy, artifact=artifact, origin=str(path.absolute()))
        for candidate in _hopeful_first(candidates(release, origins, reasons), reasons):
            try:
                return _download(candidate)
            except Unavailable as error:
                reasons.append(f"{reach.shown(candidate.url)}: {error.reason}")
    raise SourceError(_nowhere(release, folder, reasons))


class Found(Struct, frozen=True, kw_only=True):
    """Whether a release's tarball is available."""

    origin: str | None = None
    """From where; None if from nowhere."""
    announced: bool = False
    """Whether an origin that lists it, or should have it, answers that it does not serve it: it may later."""


def available(release: Release, origins: Origins, *, folder: Path | None = None) -> str | None:
    """Return from where a release's tarball is available now, nothing if from nowhere; downloads nothing.

    Raises `SourceError` if `folder` does not exist.
    """
    return look(release, origins, folder=folder).origin


def look(release: Release, origins: Origins, *, folder: Path | None = None) -> Found:
    """Return whether a release's tarball is available now, and if not, whether it is announced; downloads nothing.

    What an origin answered is believed for minutes. Raises `SourceError` if `folder` does not exist.
    """
    with disk_errors(paths.home()):
        if (found := _stored(release, [])) is not None:
            return Found(origin=found.origin)
        if folder is not None:
            try:
                local = store.find(release, folder)
            except WrongBytesError:
                return Found()
            if local is not None:
                return Found(origin=str(local[0]))
        announced = False
        for candidate in candidates(release, origins, [], quick=True):
            answer = reach.probe(candidate.url, candidate.size)
            if answer.wrong or not answer.reason:
                # `fetch` stops at wrong bytes, so what comes after does not count.
                return Found() if answer.wrong else Found(origin=candidate.origin)
            announced = announced or answer.missing
        return Found(announced=announced)


def carry(releases: Iterable[Release], origins: Origins, into: Path, *, folder: Path | None = None) -> list[Path]:
    """Fetch the tarballs of releases and copy them to `into`, to be used there with `--sources`.

    Returns the copies. What cannot be had does not keep the others back: it is raised at the end.
    """
    copies, failures = [], []
    for release in releases:
        try:
            source = fetch(release, origins, folder=folder)
        except DiskError:
            raise
        except SourceError as error:
            failures.append(str(error))
            continue
        copies.append(store.export(source.path, source.artifact, into))
    if failures:
        raise SourceError("\n".join(failures))
    return copies


def stored(release: Release) -> Source | None:
    """Return a release's tarball if the store has it."""
    return _stored(release, [])


def _stored(release: Release, reasons: list[str]) -> Source | None:
    """Return what the store has of a release."""
    for artifact in release.artifacts:
        path = store.place(artifact)
        if not path.is_file():
            continue
        if store.digest(path) == artifact.sha256:
            return Source(path=path, artifact=artifact, origin=store.origin(artifact))
        reasons.append(f"{path}: is damaged")
    return None


def candidates(release: Release, origins: Origins, reasons: list[str], *, quick: bool = False) -> Iterator[Candidate]:
    """Yield the URLs that may serve a release, in order; Debian's index is read only if it comes to that.

    With `quick`, what another process learnt minutes ago is believed.
    """
    for folder in [*origins.mirrors, PYTHON_ORG]:
        for artifact in release.artifacts:
            url = release.url(artifact, folder)
            yield Candidate(artifact=artifact, url=url, origin=reach.shown(url))
    yield from _debian(release, origins.debian, reasons, quick=quick)


def _debian(release: Release, suites: list[str], reasons: list[str], *, quick: bool) -> Iterator[Candidate]:
    """Yield the files of Debian's source archive that have a digest of the release, whatever their name."""
    # Installers for Windows are not there.
    if not suites or not any(artifact.file.startswith("Python-") for artifact in release.artifacts):
        return
    from kiln import apt

    name = f"Debian's source archive ({', '.join(suites)})"
    # Where no list can be had, apt takes its time-outs to say so: once, not for each release.
    key = f"apt:{'+'.join(suites)}"
    answer = reach.known(key)
    if answer is not None and answer.reason and (quick or answer.pid == os.getpid()):
        reasons.append(f"{name}: {answer.reason}")
        return
    try:
        files = apt.source_files(suites, packages(release))
    except KilnError as error:
        reach.remember(key, Unavailable(str(error)))
        reasons.append(f"{name}: {error}")
        return
    wanted = {artifact.sha256: artifact for artifact in release.artifacts}
    found = {file.url: file for file in files if file.sha256 in wanted}
    if not found:
        reasons.append(f"{name}: no file with a pinned digest")
    for url, file in found.items():
        origin = f"Debian's source archive ({file.suite}, {file.package} {file.version})"
        yield Candidate(artifact=wanted[file.sha256], url=url, origin=origin, size=file.size)


def packages(release: Release) -> list[str]:
    """Return the names of Debian's packages of the ten series that a release is among.

    Reading the indices takes seconds: one look for `python3.10` to `python3.19` serves all of them.
    """
    major, tens = release.parsed.major, release.parsed.minor // 10 * 10
    return [f"python{major}.{minor}" for minor in range(tens, tens + 10)]


def _hopeful_first(found: Iterable[Candidate], reasons: list[str]) -> Iterator[Candidate]:
    """Yield candidates, those that failed lately last; hosts that this process found dead, never."""
    late = []
    for candidate in found:
        answer = reach.known(candidate.url)
        if answer is None or answer.wrong or not answer.reason:
            yield candidate
        else:
            late.append(candidate)
    for candidate in late:
        answer = reach.known(candidate.url)
        if answer is not None and answer.host and answer.pid == os.getpid():
            reasons.append(f"{reach.shown(candidate.url)}: {answer.reason}")
        else:
            # Another process found so, minutes ago: the user may have mended it since.
            yield candidate


def _download(candidate: Candidate) -> Source:
    """Download an artifact into the store, once for all Kilns; keep in mind how its URL answered."""
    artifact = candidate.artifact
    path = store.place(artifact)
    wanted = Wanted(
        url=candidate.url,
        sha256=artifact.sha256,
        path=path,
        part=store.part(artifact),
        size=candidate.size,
    )
    busy = f"{artifact.file}: another Kiln fetches it; waiting ..."
    with paths.lock(store.lock_name(artifact), waiting=busy):
        if path.is_file() and store.digest(path) == artifact.sha256:
            return Source(path=path, artifact=artifact, origin=candidate.origin)
        begin = time.monotonic()
        console.say(f"{artifact.file}: from {candidate.origin}")
        try:
            download.download(wanted)
        except Unavailable as error:
            reach.remember(candidate.url, error)
            raise
        except WrongBytesError as error:
            reach.remember(candidate.url, wrong=str(error))
            raise
        reach.remember(candidate.url)
        store.write_origin(artifact, candidate.origin)
        took = console.seconds(time.monotonic() - begin)
        console.say(f"{artifact.file}: {transfer.size(path.stat().st_size)} in {took}")
    return Source(path=path, artifact=artifact, origin=candidate.origin)


def _nowhere(release: Release, folder: Path | None, reasons: list[str]) -> str:
    """Return the message that no origin has a release: each with its reason, and what to do."""
    if folder is not None:
        reasons = [f"--sources {folder}: no file with a pinned digest", *reasons]
    first = release.artifacts[0]
    remedy = (
        f"Put {first.file} (sha256 {first.sha256}) into a folder and add --sources FOLDER, "
        "or add a mirror that has it to $.sources.mirrors of versions.json."
    )
    head = f"{release.version}: its sources cannot be had from anywhere:"
    return "\n".join([head, *(f"  {reason}" for reason in dict.fromkeys(reasons)), remedy])
