"""One file over HTTP: resumed, tried again, checked against its digest, and landed whole."""

import email.utils
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from kiln import console, paths, reach, store, transfer
from kiln.reach import Unavailable
from kiln.store import WrongBytesError, disk_errors

if TYPE_CHECKING:
    import requests

ATTEMPTS, FIRST_ATTEMPTS = 6, 2
LONGEST_PAUSE = 60.0
CHUNK = 1 << 17


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A file to download: from where, what it must be, and where it lands."""

    url: str
    sha256: str
    path: Path
    part: Path
    """Where its bytes gather; kept after a failure, to resume from."""
    size: int = 0
    """In bytes; 0 where it is not known before."""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """Whose bytes a part holds: the URL and the validator that names this very file there."""

    url: str
    validator: str = ""
    """A strong ETag or a Last-Modified date; empty if the server gives neither."""


def download(wanted: Wanted) -> None:
    """Download a file, or go on with a download that was broken off.

    Raises `Unavailable` if the origin cannot serve it now, `WrongBytesError` if it serves another
    file, `DiskError` if the store cannot be written.
    """
    with disk_errors(wanted.part):
        failures, most = 0, 0
        while True:
            try:
                return _attempt(wanted)
            except Unavailable as error:
                here = _length(wanted.part)
                # A poor line that carries something each time is worth more patience.
                failures = 1 if here > most + CHUNK else failures + 1
                most = max(most, here)
                pause = _pause(error, failures)
                # A host that never answered is given up soon: the next origin may have the file.
                limit = FIRST_ATTEMPTS if error.host and not most else ATTEMPTS
                if error.lasting or failures >= limit:
                    raise
                if pause > LONGEST_PAUSE:
                    wait = console.seconds(pause)
                    raise Unavailable(f"{error.reason}; it asks to come back in {wait}") from error
                console.say(f"{wanted.path.name}: {error.reason}; trying again in {pause:.1f} s")
                time.sleep(pause)


class Later(Unavailable):
    """An origin that is busy and may say for how many seconds."""

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(reason, lasting=False)
        self.seconds = seconds


def _pause(error: Unavailable, failures: int) -> float:
    """Return how many seconds to wait: doubling, and never less than the origin asks for."""
    return max(0.25 * 2.0**failures, error.seconds if isinstance(error, Later) else 0.0)


def retry_after(value: str, now: float) -> float:
    """Return the seconds that a `Retry-After` header asks for: a number, or a date."""
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now)
    except (TypeError, ValueError):
        return 0.0


def validator(etag: str, modified: str) -> str:
    """Return what names this very file in `If-Range`: weak ETags are not allowed there."""
    return etag if etag and not etag.startswith("W/") else modified


def range_of(value: str) -> tuple[int, int]:
    """Return start and total of a `Content-Range`: -1 where it does not tell."""
    span, _, total = value.removeprefix("bytes").strip().partition("/")
    start = span.partition("-")[0]
    return int(start) if start.isdigit() else -1, int(total) if total.isdigit() else -1


def _attempt(wanted: Wanted) -> None:
    """Make one request, take its body, check the digest and land the file."""
    have, mark = _length(wanted.part), _read_mark(wanted)
    if mark is None:
        have = 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    if have and mark and mark.validator:
        headers["If-Range"] = mark.validator
    with reach.session() as client, reach.ask(client, "GET", wanted.url, headers) as response:
        start = _start(wanted, response, have, mark)
        whole = response.status_code != 416 and _body(wanted, response, start)
    _land(wanted, whole=whole and not start)


def _start(wanted: Wanted, response: "requests.Response", have: int, mark: Mark | None) -> int:
    """Return at which byte the body starts: 0 unless the server goes on with the same file."""
    if response.status_code in {408, 425, 429} or response.status_code >= 500:
        wait = retry_after(response.headers.get("Retry-After", ""), time.time())
        raise Later(f"{response.status_code} {response.reason}", wait)
    start, total = range_of(response.headers.get("Content-Range", ""))
    if response.status_code == 416 and have and total in {-1, have}:
        return have
    if response.status_code == 206 or (response.status_code == 416 and have):
        same = not mark or not mark.validator or _validator(response) in {"", mark.validator}
        if start != have or not same:
            _drop(wanted)
            raise Unavailable("the file there has changed; starting again", lasting=False)
        return have
    reach.accept(response)
    return 0


def _body(wanted: Wanted, response: "requests.Response", start: int) -> bool:
    """Append the body to the part; return whether a body cut short would have been noticed."""
    length = response.headers.get("Content-Length", "")
    total = start + int(length) if length.isdigit() else wanted.size
    with wanted.part.open("r+b" if start else "wb") as file:
        file.seek(start)
        mark = Mark(url=wanted.url, validator=_validator(response))
        paths.write_whole(_mark(wanted), msgspec.json.encode(mark), mode=0o600)
        with transfer.transfer(wanted.path.name, total, start) as tell:
            for chunk in _chunks(response):
                file.write(chunk)
                tell(file.tell())
        # On the disk before the name says that it is whole.
        file.flush()
        os.fsync(file.fileno())
    return length.isdigit() or bool(response.raw.chunked)


def _chunks(response: "requests.Response") -> Iterator[bytes]:
    """Yield the body as it is sent: `iter_content` would unpack a `.tgz` that is marked as encoded."""
    from urllib3.exceptions import HTTPError  # with requests, 100 ms

    try:
        yield from response.raw.stream(CHUNK, decode_content=False)
    except (HTTPError, OSError) as error:
        raise Unavailable("the connection broke off in the middle of the file", lasting=False) from error


def _land(wanted: Wanted, *, whole: bool) -> None:
    """Give a part with the right digest its name; throw away any other."""
    found = store.read_digest(wanted.part)
    if found == wanted.sha256:
        wanted.path.parent.mkdir(parents=True, exist_ok=True)
        wanted.part.replace(wanted.path)
        return _mark(wanted).unlink(missing_ok=True)
    length = _length(wanted.part)
    _drop(wanted)
    if not whole:
        # Halves of two files, or a body of no declared length that was cut: no proof of anything.
        raise Unavailable(f"{length} bytes with sha256 {found} came, not the pinned file", lasting=False)
    raise WrongBytesError(
        f"DIGEST MISMATCH: {reach.shown(wanted.url)} served {length} bytes with sha256 {found}, "
        f"but versions.json pins {wanted.sha256} for {wanted.path.name}. {_ADVICE}"
    )


_ADVICE = (
    "This may be tampering, a broken mirror, or a release that was made again under the same version. "
    "The file was thrown away. Compare with the release's announcement and signature: only if they confirm "
    "the new digest, write it into versions.json; else use another origin (--sources DIR, $.sources.mirrors) "
    "and tell this one's keeper."
)


def _validator(response: "requests.Response") -> str:
    """Return the validator of a response, or nothing."""
    return validator(response.headers.get("ETag", ""), response.headers.get("Last-Modified", ""))


def _mark(wanted: Wanted) -> Path:
    """Return the file beside a part that says whose bytes it holds."""
    return wanted.part.with_name(wanted.part.name + ".json")


def _read_mark(wanted: Wanted) -> Mark | None:
    """Return whose bytes the part holds, if it is this URL."""
    try:
        mark = msgspec.json.decode(_mark(wanted).read_bytes(), type=Mark)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
    return mark if mark.url == wanted.url else None


def _length(path: Path) -> int:
    """Return a file's length, 0 if it is missing."""
    return path.stat().st_size if path.exists() else 0


def _drop(wanted: Wanted) -> None:
    """Throw the part away."""
    wanted.part.unlink(missing_ok=True)
    _mark(wanted).unlink(missing_ok=True)
