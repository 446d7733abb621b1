"""HTTP as the user's environment wants it, and what was learnt lately of who answers.

What is learnt is kept for minutes in the store, so that a dead host costs one time-out and not one
for every release, command and process.
"""

import hashlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from kiln import network, paths

if TYPE_CHECKING:
    import requests

CONNECT_SECONDS, READ_SECONDS = 4.0, 30.0
GOOD_SECONDS, BAD_SECONDS = 600.0, 300.0
# What decides how the network looks from here: when it changes, nothing learnt holds any longer.
ENVIRONMENT = (
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)


class Unavailable(Exception):  # noqa: N818 - a state of the origin, caught inside Kiln, never shown as such
    """An origin cannot serve a file: why, and whether that holds for its whole host."""

    def __init__(self, reason: str, *, host: bool = False, lasting: bool = True) -> None:
        super().__init__(reason)
        self.reason, self.host = reason, host
        self.lasting = lasting
        """Whether trying again within the minute is pointless."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a URL or a host answered: an empty `reason` means that the file can be had."""

    at: float
    pid: int
    reason: str = ""
    host: bool = False
    """The failure is the whole host's."""
    wrong: bool = False
    """It served other bytes than the pinned ones."""

    @property
    def missing(self) -> bool:
        """Tell whether the origin answered, and has no such file (now)."""
        return self.reason.startswith(("404 ", "410 ")) or self.reason in {"404", "410"}

    def fresh(self, now: float) -> bool:
        """Tell whether the answer may still be relied on at `now`, in seconds since the epoch."""
        return 0 <= now - self.at < (BAD_SECONDS if self.reason else GOOD_SECONDS)


def shown(url: str) -> str:
    """Return a URL without the credentials and the query that it may hold."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def host(url: str) -> str:
    """Return the scheme and host of a URL: `https://example.org`."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def surroundings(environment: Mapping[str, str]) -> str:
    """Return a short name for how `environment` reaches the network; it gives nothing of it away."""
    words = [environment.get(name, "") + "\n" + environment.get(name.upper(), "") for name in ENVIRONMENT]
    return hashlib.sha256("\n".join(words).encode(errors="surrogateescape")).hexdigest()[:12]


def known(url: str) -> Answer | None:
    """Return what was learnt lately of a URL or of its host, or nothing."""
    prefix, answers = surroundings(os.environ), _answers()
    dead = answers.get(f"{prefix} {host(url)}")
    return dead or answers.get(f"{prefix} {shown(url)}")


def remember(url: str, error: Unavailable | None = None, *, wrong: str = "") -> Answer:
    """Keep what a URL just answered: a failure, the `wrong` bytes, or all is well."""
    prefix = surroundings(os.environ)
    reason = wrong or (error.reason if error else "")
    dead = bool(error and error.host)
    answer = Answer(at=time.time(), pid=os.getpid(), reason=reason, host=dead, wrong=bool(wrong))
    key = f"{prefix} {host(url) if dead else shown(url)}"
    with paths.lock("answers"):
        answers = _answers()
        if not reason:
            answers.pop(f"{prefix} {host(url)}", None)
        paths.write_whole(_memory(), msgspec.json.encode({**answers, key: answer}), mode=0o600)
    return answer


def probe(url: str, size: int = 0) -> Answer:
    """Return whether `url` serves a file (of `size` bytes, where known), without reading it."""
    answer = known(url)
    if answer is not None:
        return answer
    try:
        _head(url, size)
    except Unavailable as error:
        return remember(url, error)
    return remember(url)


def _head(url: str, size: int) -> None:
    """Ask for the head of a URL; what speaks against having it is raised as `Unavailable`."""
    with session() as client:
        response = ask(client, "HEAD", url)
        if response.status_code in {403, 405, 501}:
            # Servers and signed URLs exist that know GET alone; its body is left unread.
            response = ask(client, "GET", url)
        response.close()
    accept(response)
    length = response.headers.get("Content-Length", "")
    if length.isdigit() and response.status_code == 200 and int(length) != (size or int(length) or -1):
        raise Unavailable(f"serves {length} bytes" + (f" instead of {size}" if size else ""))


def session() -> "requests.Session":
    """Return an HTTP client with the proxies and certificates of the user's environment."""
    import requests  # 100 ms, which a command that downloads nothing need not pay

    client = requests.Session()
    # The file as it is: a .tgz must not be taken for a compressed transfer of a .tar.
    client.headers.update({"Accept-Encoding": "identity", "User-Agent": "kiln"})
    # requests itself reads REQUESTS_CA_BUNDLE, but neither SSL_CERT_FILE nor the system's bundle.
    client.verify = str(network.bundle() or "") or True
    return client


def ask(
    client: "requests.Session", method: str, url: str, headers: Mapping[str, str] | None = None
) -> "requests.Response":
    """Send a request and return its response, body unread; raise `Unavailable` if none comes."""
    import requests

    try:
        limits = (CONNECT_SECONDS, READ_SECONDS)
        return client.request(method, url, headers=headers, stream=True, allow_redirects=True, timeout=limits)
    except requests.exceptions.RequestException as error:
        raise _refusal(error) from error
    except OSError as error:
        # requests says so when the configured bundle is not there.
        raise Unavailable(f"{error}; look at SSL_CERT_FILE and REQUESTS_CA_BUNDLE", host=True) from error


def accept(response: "requests.Response") -> None:
    """Raise `Unavailable` unless the response carries a file."""
    status = response.status_code
    if status >= 400:
        passing = status in {408, 425, 429} or status >= 500
        raise Unavailable(f"{status} {response.reason or ''}".strip(), lasting=not passing)
    if status not in {200, 206}:
        raise Unavailable(f"unexpected answer {status} {response.reason or ''}".strip())
    if response.headers.get("Content-Type", "").partition(";")[0].strip().lower() == "text/html":
        raise Unavailable("answers with a web page instead of the file (a proxy's, or a login page?)")


def _refusal(error: Exception) -> Unavailable:
    """Return why no response came, in a few words and without anything secret."""
    from requests import exceptions

    text = str(error)
    if isinstance(error, exceptions.ProxyError):
        return Unavailable("the proxy refuses or cannot be reached; look at https_proxy", host=True)
    if isinstance(error, exceptions.SSLError):
        why = "does not trust its certificate" if "CERTIFICATE_VERIFY" in text else "cannot talk TLS to it"
        return Unavailable(f"this machine {why}; a company's certificates go into SSL_CERT_FILE", host=True)
    if isinstance(error, exceptions.ConnectTimeout):
        return Unavailable(f"no connection within {CONNECT_SECONDS:.0f} s", host=True)
    if isinstance(error, exceptions.ReadTimeout):
        return Unavailable(f"no answer within {READ_SECONDS:.0f} s", host=True, lasting=False)
    if isinstance(error, exceptions.ConnectionError):
        reason = next((reason for sign, reason in _SIGNS.items() if sign in text), "")
        return Unavailable(reason or "the connection was dropped", host=bool(reason), lasting=False)
    return Unavailable(f"no usable address or answer ({type(error).__name__})")


_SIGNS = {
    "resolve": "the host name cannot be resolved",
    "Connection refused": "the connection is refused",
    "unreachable": "the network is unreachable",
    "Failed to establish": "no connection can be made",
}


def _memory() -> Path:
    """Return the file that keeps the answers."""
    return paths.folder("sources") / "answers.json"


def _answers() -> dict[str, Answer]:
    """Return the answers that still hold, by network and URL."""
    try:
        answers = msgspec.json.decode(_memory().read_bytes(), type=dict[str, Answer])
    except (FileNotFoundError, msgspec.MsgspecError):
        # It is only a memory: one that another version of Kiln wrote is no loss.
        return {}
    now = time.time()
    return {key: answer for key, answer in answers.items() if answer.fresh(now)}
