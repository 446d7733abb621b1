"""Small answers over HTTP, whole or not at all: bounded in size and time, tried again where that may help."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from kiln import console, reach
from kiln.download import LONGEST_PAUSE, Later, retry_after
from kiln.errors import UpdateError
from kiln.reach import Unavailable

if TYPE_CHECKING:
    import requests

ATTEMPTS = 3
LARGEST = 32_000_000
"""Most bytes of an answer: thousands of versions with a hundred files each."""
LONGEST_SECONDS = 120.0
CHUNK = 1 << 16


class Answer(Struct, frozen=True, kw_only=True):
    """What a URL answered."""

    url: str
    """Where the answer came from in the end."""
    kind: str
    """The media type, lower-case and without parameters."""
    body: bytes


class MissingError(UpdateError):
    """There is nothing under the URL."""


def get(client: "requests.Session", url: str, *, accept: str, what: str) -> Answer:
    """Return what a URL answers, the body unpacked by nobody; `what` is how errors call it.

    Busy and broken answers are asked for again, after the pause that a `Retry-After` names if it is
    no longer than a minute. Raises `MissingError` for 404 and 410, `UpdateError` for anything else that
    is not a whole answer.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _get(client, url, accept)
        except _Absent as error:
            raise MissingError(f"{what}: {reach.shown(url)}: {error.reason}") from None
        except Unavailable as error:
            pause = max(0.25 * 2.0**attempt, error.seconds if isinstance(error, Later) else 0.0)
            if error.lasting or attempt == ATTEMPTS or pause > LONGEST_PAUSE:
                raise UpdateError(_failure(what, url, error, pause)) from None
            console.say(f"{what}: {error.reason}; asking again in {pause:.1f} s")
            time.sleep(pause)
    raise AssertionError


class _Absent(Unavailable):
    """The server has nothing there."""


def _failure(what: str, url: str, error: Unavailable, pause: float) -> str:
    asks = f"; it asks to come back in {console.seconds(pause)}" if pause > LONGEST_PAUSE else ""
    return f"{what}: {reach.shown(url)}: {error.reason}{asks}; nothing was changed, try again later"


def _get(client: "requests.Session", url: str, accept: str) -> Answer:
    """Make one request and read all of its answer."""
    begin = time.monotonic()
    with reach.ask(client, "GET", url, {"Accept": accept}) as response:
        _refuse(response)
        body = bytearray()
        for chunk in chunks(response):
            body += chunk
            if len(body) > LARGEST:
                raise Unavailable(f"the answer is larger than {LARGEST // 10**6} MB")
            if time.monotonic() - begin > LONGEST_SECONDS:
                raise Unavailable(f"the answer did not end within {LONGEST_SECONDS:.0f} s", lasting=False)
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return Answer(url=response.url, kind=kind, body=bytes(body))


def _refuse(response: "requests.Response") -> None:
    """Raise what speaks against an answer, before its body is read."""
    status, words = response.status_code, f"{response.status_code} {response.reason or ''}".strip()
    if status in {404, 410}:
        raise _Absent(words)
    if status in {408, 425, 429} or status >= 500:
        raise Later(words, retry_after(response.headers.get("Retry-After", ""), time.time()))
    if status != 200:
        raise Unavailable(words if status >= 400 else f"unexpected answer {words}")


def chunks(response: "requests.Response") -> Iterator[bytes]:
    """Yield the body; a body cut short raises."""
    from urllib3.exceptions import HTTPError  # with requests, 100 ms

    try:
        # What is here already, so that a trickle cannot outwit the caller's clock. urllib3 counts:
        # fewer bytes than announced, or a broken chunk, are an error.
        while chunk := response.raw.read1(CHUNK, decode_content=True):
            yield chunk
    except (HTTPError, OSError) as error:
        raise Unavailable("the connection broke off in the middle of the answer", lasting=False) from error
