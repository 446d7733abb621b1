"""Downloads from a real server that misbehaves, and from Debian's own archive."""

import hashlib
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kiln import download, reach, sources, store
from kiln.errors import SourceError
from kiln.model import PYTHON_ORG, Artifact, Origins, Release
from kiln.paths import ROOT
from kiln.store import DiskError
from tests.engine.command import PYTHON, debian

BODY = bytes(range(256)) * 4096
FILE = f"Python-{PYTHON}.tar.xz"
LINK = f"/{PYTHON}/{FILE}"
# The last form of each tarball is the one that Debian has under another name.
HELD = [(release.version, release.artifacts[-1]) for release in debian().catalog.releases]


class Reply:
    """One scripted answer: a status, what its headers say and how much of the body comes."""

    def __init__(  # noqa: PLR0913
        self, *, status: int = 200, body: bytes = BODY, cut: int | None = None, ranges: bool = True,
        length: bool = True, headers: dict[str, str] | None = None, pause: float = 0.0, hang: float = 0.0,
    ) -> None:  # fmt: skip
        """Answer with `body`, of which `cut` bytes are sent; `ranges` says whether Range is honoured."""
        self.status, self.body, self.cut, self.ranges, self.length = status, body, cut, ranges, length
        self.headers, self.pause = headers or {}, pause
        self.hang = hang

    def send(self, handler: "Handler") -> None:
        """Write the answer to a request."""
        time.sleep(self.pause)
        first = self.first(handler.headers.get("Range"), handler.headers.get("If-Range"))
        body, status = self.body[first:], self.status
        if first >= len(self.body) > 0:
            status, body = 416, b""
        handler.send_response(206 if first and status == 200 else status)
        if first:
            span = f"{first}-{len(self.body) - 1}" if body else "*"
            handler.send_header("Content-Range", f"bytes {span}/{len(self.body)}")
        if self.length:
            handler.send_header("Content-Length", str(len(body)))
        for name, value in self.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command == "GET":
            handler.wfile.write(body if self.cut is None else body[: self.cut])
            handler.wfile.flush()
            time.sleep(self.hang)

    def first(self, wanted: str | None, validator: str | None) -> int:
        """Return the byte that a request wants first, as a server that honours If-Range sees it."""
        match = re.fullmatch(r"bytes=(\d+)-", wanted or "")
        if not match or not self.ranges or self.status != 200:
            return 0
        stale = validator and validator not in {self.headers.get("ETag"), self.headers.get("Last-Modified")}
        return 0 if stale else int(match[1])


class Handler(BaseHTTPRequestHandler):
    """Answers with the next reply of the script; the last one stays."""

    server: "Server"

    def do_GET(self) -> None:
        """Note the request and answer it, then hang up."""
        with self.server.turn:
            self.server.seen.append((self.command, self.path, self.headers.get("Range")))
            script = self.server.script
            reply = script.pop(0) if len(script) > 1 else script[0]
        (reply if self.path == LINK else Reply(status=404, body=b"")).send(self)
        self.close_connection = True

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """A server on loopback with a script."""

    daemon_threads = True

    def __init__(self) -> None:
        """Listen at a free port."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.turn = threading.Lock()
        self.script: list[Reply] = [Reply()]
        self.seen: list[tuple[str, str, str | None]] = []

    @property
    def origins(self) -> Origins:
        """Return the server as the one mirror."""
        return Origins(mirrors=[f"http://127.0.0.1:{self.server_port}"], debian=[])

    @property
    def ranges(self) -> list[str | None]:
        """Return the Range of each download so far."""
        return [wanted for method, _, wanted in self.seen if method == "GET"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test a store of its own; loopback is reached without a proxy; waits are short."""
    monkeypatch.setenv("KILN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("CI", "1")
    reach.remember(PYTHON_ORG, reach.Unavailable("left alone in this test", host=True))
    return tmp_path / "home"


@pytest.fixture
def server() -> Iterator[Server]:
    """Run a server for a test."""
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True).start()
        yield running
        running.shutdown()


def release(content: bytes = BODY) -> Release:
    """Return the release whose tarball is `content`."""
    artifact = Artifact(file=FILE, sha256=hashlib.sha256(content).hexdigest())
    return Release(version=PYTHON, released="2025-06-11", artifacts=[artifact], flavours=["default"], targets=[])


def left(home: Path) -> list[str]:
    """Return the parts that are left in the store."""
    return [path.name for path in (home / "sources").rglob("*.part*")]


def test_a_file_is_fetched_once(server: Server, home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The second time it comes from the store, and nothing but file and origin is left there."""
    first = sources.fetch(release(), server.origins)
    assert (first.path.read_bytes(), first) == (BODY, sources.fetch(release(), server.origins))
    assert (server.ranges, left(home)) == ([None], [])
    start, end = capfd.readouterr().err.splitlines()
    assert start == f"{FILE}: from {server.origins.mirrors[0]}{LINK}"
    assert end.startswith(f"{FILE}: 1.0 MB in ")


@pytest.mark.parametrize("headers", [{}, {"ETag": '"a"'}, {"Last-Modified": "Thu, 01 Jan 1970 00:01:40 GMT"}])
def test_a_dropped_connection_is_resumed(server: Server, headers: dict[str, str]) -> None:
    """The second request asks for the rest only, with a validator and without."""
    server.script = [Reply(cut=300_000, headers=headers), Reply(headers=headers)]
    assert sources.fetch(release(), server.origins).path.read_bytes() == BODY
    assert server.ranges == [None, "bytes=300000-"]


def test_many_drops_with_progress_are_borne(server: Server) -> None:
    """A poor line that carries something each time gets the file through in the end."""
    server.script = [Reply(cut=140_000) for _ in range(8)]
    assert sources.fetch(release(), server.origins).path.read_bytes() == BODY
    assert len(server.ranges) == 8


def test_a_server_that_ignores_range_is_read_from_the_start(server: Server) -> None:
    """A 200 where a 206 was asked for starts the file again."""
    server.script = [Reply(cut=300_000, ranges=False), Reply(ranges=False)]
    assert sources.fetch(release(), server.origins).path.read_bytes() == BODY
    assert server.ranges == [None, "bytes=300000-"]


@pytest.mark.parametrize("honest", [True, False])
def test_a_file_that_changed_between_is_read_anew(server: Server, honest: bool) -> None:
    """Halves of two files are never joined, even if the server does not look at If-Range."""
    old = Reply(body=b"x" * len(BODY), cut=300_000, headers={"ETag": '"old"'})
    new = Reply(headers={"ETag": '"new"'})
    if not honest:
        new.first = lambda wanted, validator: Reply().first(wanted, None)  # type: ignore[method-assign]  # noqa: ARG005
    server.script = [old, new]
    assert sources.fetch(release(), server.origins).path.read_bytes() == BODY
    assert server.ranges == [None, "bytes=300000-"] + ([] if honest else [None])


def test_joined_halves_without_validator_are_no_proof_of_tampering(server: Server) -> None:
    """A resumed file with a wrong digest is thrown away and read whole."""
    server.script = [Reply(body=b"x" * len(BODY), cut=300_000), Reply()]
    assert sources.fetch(release(), server.origins).path.read_bytes() == BODY
    assert server.ranges == [None, "bytes=300000-", None]


def test_a_complete_part_needs_no_body(server: Server, home: Path) -> None:
    """Killed between the last byte and the name: the server's 416 confirms the length."""
    part = home / "sources" / f"{release().artifacts[0].sha256}.part"
    part.write_bytes(BODY)
    part.with_name(f"{part.name}.json").write_text(f'{{"url": "{server.origins.mirrors[0]}{LINK}"}}')
    assert sources.fetch(release(), server.origins).path.read_bytes() == BODY
    assert (server.ranges, left(home)) == ([f"bytes={len(BODY)}-"], [])


def test_a_body_without_length_that_was_cut_is_read_again(server: Server) -> None:
    """HTTP/1.0 cannot tell an end from a break, so the digest does."""
    server.script = [Reply(cut=300_000, length=False), Reply(length=False)]
    assert sources.fetch(release(), server.origins).path.read_bytes() == BODY


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(server: Server, status: int) -> None:
    """Retry-After is kept to."""
    server.script = [Reply(status=status, body=b"", headers={"Retry-After": "1"}), Reply()]
    begin = time.monotonic()
    assert sources.fetch(release(), server.origins).path.read_bytes() == BODY
    assert time.monotonic() - begin >= 1.0


def test_a_server_that_asks_for_an_hour_is_left(server: Server) -> None:
    """Nobody waits an hour at a prompt."""
    server.script = [Reply(status=503, body=b"", headers={"Retry-After": "3600"})]
    with pytest.raises(SourceError, match="503 Service Unavailable; it asks to come back in 1h00m"):
        sources.fetch(release(), server.origins)
    assert len(server.ranges) == 1


def test_a_missing_file_is_not_asked_for_again(server: Server) -> None:
    """A 404 is final, and the error says which URL gave it."""
    server.script = [Reply(status=404, body=b"")]
    with pytest.raises(SourceError, match=rf"127\.0\.0\.1:\d+{LINK}: 404 Not Found"):
        sources.fetch(release(), server.origins)
    assert len(server.ranges) == 1


def test_wrong_bytes_are_loud(server: Server, home: Path) -> None:
    """The error names the URL, both digests and what to do; nothing is kept; nothing else is tried."""
    server.script = [Reply(body=b"other")]
    with pytest.raises(SourceError, match="DIGEST MISMATCH") as caught:
        sources.fetch(release(), server.origins)
    for part in (server.origins.mirrors[0] + LINK, hashlib.sha256(b"other").hexdigest(), "tampering", "--sources"):
        assert part in str(caught.value)
    assert left(home) == []
    assert sources.available(release(), server.origins) is None


def test_a_login_page_is_not_tampering(server: Server) -> None:
    """A network's web page in place of the file is a reason, not an alarm."""
    server.script = [Reply(body=b"<html>", headers={"Content-Type": "text/html; charset=utf-8"})]
    assert sources.available(release(), server.origins) is None
    with pytest.raises(SourceError, match="web page instead of the file"):
        sources.fetch(release(), server.origins)


def test_a_busy_head_does_not_keep_fetch_from_trying(server: Server) -> None:
    """What `available` found passing is tried in earnest, in the same process."""
    server.script = [Reply(status=503, body=b""), Reply()]
    assert sources.available(release(), server.origins) is None
    assert sources.fetch(release(), server.origins).path.read_bytes() == BODY


def test_availability_is_asked_once_without_a_download(server: Server) -> None:
    """One HEAD request answers for minutes."""
    for _ in range(10):
        assert sources.available(release(), server.origins) == server.origins.mirrors[0] + LINK
    assert ([seen[0] for seen in server.seen], server.ranges) == (["HEAD"], [])


def test_a_server_without_head_is_asked_with_get(server: Server) -> None:
    """Its body is left unread."""
    server.script = [Reply(status=405, body=b""), Reply()]
    assert sources.available(release(), server.origins)


def test_a_dead_mirror_gives_way_to_a_living_one(server: Server) -> None:
    """The next mirror is asked; if none has the file, the error names the refused connection."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{taken.getsockname()[1]}"
        both = Origins(mirrors=[dead, *server.origins.mirrors], debian=[])
        assert sources.fetch(release(), both).path.read_bytes() == BODY
        with pytest.raises(SourceError, match="the connection is refused"):
            sources.fetch(release(b"other"), Origins(mirrors=[dead], debian=[]))


def test_two_kilns_download_once(server: Server) -> None:
    """The second waits for the first and takes its file."""
    server.script = [Reply(pause=0.5)]
    found: list[sources.Source] = []
    fetch: Callable[[], None] = lambda: found.append(sources.fetch(release(), server.origins))  # noqa: E731
    threads = [threading.Thread(target=fetch) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ([source.path.read_bytes() == BODY for source in found], len(server.ranges)) == ([True] * 3, 1)


def test_a_killed_download_is_resumed_by_the_next_process(server: Server, home: Path) -> None:
    """`kill -9` leaves a part and no lock; the file never had its name before it was whole."""
    server.script = [Reply(cut=600_000, hang=30.0), Reply()]
    artifact = release().artifacts[0]
    url = server.origins.mirrors[0]
    program = (
        "from kiln import sources, model; "
        f"artifact = model.Artifact(file={artifact.file!r}, sha256={artifact.sha256!r}); "
        f"release = model.Release(version={PYTHON!r}, released='', artifacts=[artifact], flavours=[], targets=[]); "
        f"sources.fetch(release, model.Origins(mirrors=[{url!r}], debian=[]))"
    )
    part = home / "sources" / f"{artifact.sha256}.part"
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT) as process:
        limit = time.monotonic() + 30
        while not (part.exists() and part.stat().st_size) and time.monotonic() < limit:
            time.sleep(0.05)
        process.kill()
    have = part.stat().st_size
    assert (0 < have < len(BODY), store.place(artifact).exists()) == (True, False)
    assert sources.fetch(release(), server.origins).path.read_bytes() == BODY
    assert server.ranges == [None, f"bytes={have}-"]


def test_a_full_disk_is_a_clear_error(server: Server, home: Path) -> None:
    """A real full device takes the bytes; no further origin is tried."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("only Linux has a device that is always full")
    wanted = download.Wanted(
        url=server.origins.mirrors[0] + LINK, sha256="0" * 64, path=home / "sources" / "x",
        part=home / "sources" / "full.part",
    )  # fmt: skip
    wanted.part.symlink_to(full)
    with pytest.raises(DiskError, match="the disk is full"):
        download.download(wanted)


@pytest.mark.parametrize(("version", "wanted"), HELD, ids=[artifact.file for _, artifact in HELD])
def test_debian_serves_what_python_org_published(version: str, wanted: Artifact) -> None:
    """The pinned digests of both releases come out of the signed archive under other names."""
    absent = Artifact(file=f"Python-{version}.tar.bz2", sha256="0" * 64)
    python = Release(
        version=version, released="2025-06-11", artifacts=[absent, wanted], flavours=["default"], targets=[]
    )
    origins = Origins(mirrors=[], debian=["bookworm", "trixie"])
    assert str(sources.available(python, origins)).startswith("Debian's source archive")
    source = sources.fetch(python, origins)
    assert (source.path.name, store.digest(source.path)) == (wanted.file, wanted.sha256)
