"""What python.org has released, by its downloads API, and the digests of the files.

The API is `/api/v2/downloads/` of python/pythondotorg: `release/` lists every release, and
`release_file/?release=ID` the files of one, since December 2025 with `sha256_sum`; files that were
registered earlier have none.
"""

import datetime
import hashlib
import re
import tempfile
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import UNSET, Struct, structs
from packaging.version import Version

from kiln import console, paths, reach, sources, store, web
from kiln.checks import VERSION
from kiln.errors import SourceError, UpdateError
from kiln.model import Artifact, Origins, Release
from kiln.reach import Unavailable

T = TypeVar("T")
HOME = "https://www.python.org"
WHAT = "python.org"


class Listed(Struct, frozen=True, kw_only=True):
    """One release of the listing."""

    version: str
    """As PEP 440 normalises it: `3.15.0rc2`."""
    released: str
    """The day, `YYYY-MM-DD`."""
    number: int
    """What the API calls it by."""

    @property
    def parsed(self) -> Version:
        """Return the version as something that compares."""
        return Version(self.version)

    @property
    def series(self) -> str:
        """Return the series: `3.13` for `3.13.5`."""
        return f"{self.parsed.major}.{self.parsed.minor}"


class File(Struct, frozen=True):
    """One file of a release, with the API's names."""

    url: str
    sha256_sum: str | None = ""
    md5_sum: str | None = ""
    filesize: int = 0

    @property
    def name(self) -> str:
        """Return the file's name."""
        return self.url.rpartition("/")[2]


class _Release(Struct, frozen=True):
    """One release, with the API's names."""

    name: str
    is_published: bool
    release_date: datetime.datetime
    resource_uri: str


def releases(home: str = HOME) -> tuple[Listed, ...]:
    """Return every published release of CPython 3, oldest first."""
    return listed(_ask(f"{home}/api/v2/downloads/release/"))


def listed(answer: web.Answer) -> tuple[Listed, ...]:
    """Return the releases of the API's listing, oldest first; other products than CPython are passed over."""
    found = {}
    for raw in _decode(answer, list[_Release]):
        match = re.fullmatch(rf"Python ({VERSION})", raw.name)
        if match and raw.is_published and raw.name.startswith("Python 3."):
            version = str(Version(match[1]))
            found[version] = Listed(version=version, released=_day(raw), number=_number(raw))
    if not found:
        raise UpdateError(f"{WHAT}: {reach.shown(answer.url)}: lists no release of Python 3; nothing was changed")
    return tuple(sorted(found.values(), key=lambda one: one.parsed))


def _day(raw: _Release) -> str:
    day = raw.release_date.astimezone(datetime.UTC).date()
    if day > datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=1):
        raise UpdateError(f"{WHAT}: {raw.name} is said to be of {day}, a day to come; nothing was changed")
    return day.isoformat()


def _number(raw: _Release) -> int:
    match = re.search(r"/release/([0-9]{1,9})/?$", raw.resource_uri)
    if not match:
        raise UpdateError(f"{WHAT}: lists {raw.name} without the number of its files; nothing was changed")
    return int(match[1])


def _ask(url: str) -> web.Answer:
    with reach.session() as client:
        return web.get(client, url, accept="application/json", what=WHAT)


def _decode(answer: web.Answer, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        what = "a web page" if answer.kind == "text/html" else "malformed or cut short"
        raise UpdateError(
            f"{WHAT}: {reach.shown(answer.url)}: is no answer of its API ({what}); nothing was changed"
        ) from None


def pin(old: Release, new: Listed, origins: Origins, home: str = HOME) -> Release | None:
    """Return a release to take an older one's place, each digest checked against the file itself.

    None if python.org has not registered the sources, or nobody serves them, yet. Without an installer
    for Windows, which releases of old series do not have, `windows` is left out.
    """
    files = _decode(_ask(f"{home}/api/v2/downloads/release_file/?release={new.number}"), list[File])
    by_name = {file.name: file for file in files}
    suffixes = [one.file.removeprefix(f"Python-{old.version}") for one in old.artifacts] or [".tar.xz"]
    names = [f"Python-{new.version}{suffix}" for suffix in suffixes]
    place = _Place(release=new, folders=(*origins.mirrors, f"{home}/ftp/python"))
    try:
        artifacts = [_pinned(by_name[name], place) for name in names if name in by_name]
    except _AnnouncedError:
        return None
    if not artifacts or artifacts[0].file != names[0]:
        return None
    release = structs.replace(old, version=new.version, released=new.released, artifacts=artifacts)
    installer = by_name.get(release.installer) if old.windows else None
    return structs.replace(release, windows=_pinned(installer, place) if installer else UNSET)


class _AnnouncedError(UpdateError):
    """A file that python.org lists and nobody serves yet."""


class _Place(Struct, frozen=True, kw_only=True):
    """Where the files of a release lie."""

    release: Listed
    folders: tuple[str, ...]
    """Mirrors, and python.org last."""


def _pinned(file: File, place: _Place) -> Artifact:
    """Return a file with the digest that it really has."""
    sha256 = (file.sha256_sum or "").lower()
    if file.filesize > store.LARGEST:
        raise UpdateError(f"{WHAT}: {file.name}: is said to have {file.filesize} bytes; nothing was changed")
    if not sha256:
        return _hashed(file, place)
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        raise UpdateError(f"{WHAT}: {file.name}: has no sha256 but {sha256[:80]!r}; nothing was changed")
    artifact = Artifact(file=file.name, sha256=sha256)
    origins = Origins(mirrors=list(place.folders), debian=[])
    release = Release(
        version=place.release.version, released=place.release.released, artifacts=[artifact], flavours=[], targets=[]
    )
    try:
        sources.fetch(release, origins)
    except store.DiskError:
        raise
    except store.WrongBytesError:
        raise UpdateError(
            f"{WHAT}: {file.name}: the file does not have the sha256 of the API, {sha256}; nothing was changed: "
            "this may be tampering, or a release made again; compare with its announcement"
        ) from None
    except SourceError as error:
        if sources.look(release, origins).announced:
            raise _AnnouncedError from None
        reasons = "; ".join(line.strip() for line in str(error).splitlines()[1:-1])
        raise UpdateError(f"{WHAT}: {file.name}: cannot be had to check its digest ({reasons})") from None
    return artifact


def _hashed(file: File, place: _Place) -> Artifact:
    """Return a file with the digest of what python.org serves, where its API gives none: size and MD5 must agree."""
    url = f"{place.folders[-1]}/{place.release.parsed.base_version}/{file.name}"
    console.say(f"{file.name}: python.org gives no sha256; downloading it for its digest ...")
    return hashed(file.name, url, md5=file.md5_sum or "", size=file.filesize)


def hashed(name: str, url: str, *, md5: str = "", size: int = 0) -> Artifact:
    """Return a file of unknown digest with that of what a URL serves; MD5 and size must agree where they are known.

    The file is kept in the store. Raises UpdateError if the URL does not serve it.
    """
    with tempfile.TemporaryDirectory(dir=paths.folder("sources")) as folder:
        path = Path(folder) / name
        _download(url, path)
        found = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        if found != (md5 or found) or path.stat().st_size != (size or path.stat().st_size):
            raise UpdateError(f"{WHAT}: {name}: has other bytes than its API says; nothing was changed, try again")
        artifact = Artifact(file=name, sha256=store.read_digest(path))
        store.adopt(path, artifact)
    store.write_origin(artifact, reach.shown(url))
    return artifact


def _download(url: str, path: Path) -> None:
    """Write a file of unknown digest."""
    size = 0
    try:
        with reach.session() as client, reach.ask(client, "GET", url) as response, path.open("wb") as file:
            reach.accept(response)
            for chunk in web.chunks(response):
                size += file.write(chunk)
                if size > store.LARGEST:
                    raise Unavailable(f"is larger than {store.LARGEST // 10**6} MB")  # noqa: TRY301 - one line
    except Unavailable as error:
        if error.reason.startswith("404"):
            raise _AnnouncedError(f"{reach.shown(url)}: {error.reason}") from None
        raise UpdateError(f"{WHAT}: {reach.shown(url)}: {error.reason}; nothing was changed, try again later") from None
