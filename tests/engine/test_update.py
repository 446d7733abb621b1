"""`invoke update` against an index and a python.org on loopback, which answer well, badly and not at all."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kiln import catalog, paths, reach, update, web
from kiln.errors import UpdateError
from tests.unit import family as f
from tests.unit.test_packages import UVICORN

JSON, HTML = "application/vnd.pypi.simple.v1+json", "text/html; charset=utf-8"
PAGE = "/simple/uvicorn/"
LISTING, FILES = "/api/v2/downloads/release/", "/api/v2/downloads/release_file/"
TARBALL = b"\xfd7zXZ\x00" + bytes(1000)
SHA256 = hashlib.sha256(TARBALL).hexdigest()
HELD, NEXT = f.FAMILY["releases"][0]["version"], "3.13.6"
LATER = f"/ftp/python/{NEXT}/Python-{NEXT}.tar.xz"


class Reply:
    """One answer: status, headers and body, of which `cut` bytes are sent under the length of all."""

    def __init__(
        self, body: bytes = b"", *, kind: str = JSON, status: int = 200, cut: int | None = None, **headers: str
    ):
        """Answer with `body`; a header's underscores stand for hyphens."""
        self.body, self.status, self.cut = body, status, cut
        self.headers = {"Content-Type": kind} | {name.replace("_", "-"): value for name, value in headers.items()}


class Site:
    """A server whose answers are set by path: a reply, replies one after the other, or a function of the request."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        """Serve nothing yet."""
        self.answers: dict[str, Reply | list[Reply] | Callable[..., Reply]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.times: list[float] = []
        self.port = server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def reply(self, path: str, headers: dict[str, str]) -> Reply:
        """Return the answer to a request."""
        self.requests.append((path, headers))
        self.times.append(time.monotonic())
        answer = self.answers.get(path.partition("?")[0], Reply(status=404))
        if isinstance(answer, list):
            return answer.pop(0) if len(answer) > 1 else answer[0]
        return answer if isinstance(answer, Reply) else answer(headers)

    def page(self, *versions: str, yanked: tuple[str, ...] = (), **changes: object) -> None:
        """Let the index have versions of uvicorn."""
        self.answers[PAGE] = Reply(page(*versions, yanked=yanked, **changes))

    def releases(self, *versions: str, files: list[dict[str, object]] | None = None) -> None:
        """Let python.org have releases, and the next one its sources."""
        self.answers[LISTING] = Reply(json.dumps([release(one) for one in versions]).encode(), kind="application/json")
        found = [source()] if files is None else files
        self.answers[FILES] = Reply(json.dumps(found).encode(), kind="application/json")
        self.answers[LATER] = Reply(TARBALL, kind="application/x-xz")


def page(*versions: str, yanked: tuple[str, ...] = (), **changes: object) -> bytes:
    """Return a page of the Simple API."""
    files = [
        {
            "filename": f"uvicorn-{one}.tar.gz", "url": f"/f/uvicorn-{one}.tar.gz", "hashes": {},
            "yanked": one in yanked,
        }
        for one in versions
    ]  # fmt: skip
    return json.dumps({"meta": {"api-version": "1.1"}, "name": "uvicorn", "files": files, **changes}).encode()


def release(version: str) -> dict[str, object]:
    return {
        "name": f"Python {version}", "is_published": True, "release_date": "2025-08-06T13:30:00Z",
        "resource_uri": "https://www.python.org/api/v2/downloads/release/1042/",
    }  # fmt: skip


def source(name: str = f"Python-{NEXT}.tar.xz", **changes: object) -> dict[str, object]:
    url = f"https://www.python.org/ftp/python/{NEXT}/{name}"
    return {"url": url, "sha256_sum": SHA256, "md5_sum": "", "filesize": len(TARBALL), **changes}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer a request."""
        reply = self.server.site.reply(self.path, dict(self.headers))
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        try:
            self.wfile.write(reply.body[: reply.cut])
        except OSError:
            return
        self.close_connection = reply.cut is not None

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[Site]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.site = Site(server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.site
    server.shutdown()
    server.server_close()


class Command:
    """`invoke update` on a family file of its own."""

    def __init__(self, folder: Path, site: Site) -> None:
        """Describe a Python with uvicorn 0.9.0 and 0.18.3, of which two versions are kept."""
        self.file, self.home, self.site = folder / "versions.json", folder / "kiln", site
        self.write()

    def write(self, **changes: object) -> None:
        """Write the family with changes of the package."""
        package = {**UVICORN, "keep": 2, "versions": ["0.18.3", "0.9.0"], **changes}
        f.write(self.file, f.family(packages={"uvicorn": package}))
        self.file.write_text(catalog.dumps(catalog.load(self.file)), "utf-8")

    def run(self, *words: str, index: str = "", expected: int = 0) -> subprocess.CompletedProcess[str]:
        """Run it, against the site's index unless another one is given."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
        env |= {
            "KILN_HOME": str(self.home), "PIP_INDEX_URL": index or f"{self.site.url}/simple", "PIP_CONFIG_FILE": os.devnull,
            "no_proxy": "127.0.0.1,localhost",
        }  # fmt: skip
        # Who names packages alone asks nothing of python.org.
        names = [word for word in words if not word.startswith("--")]
        asks = ("--python-org", self.site.url) if not names or "python" in names else ()
        words = ("update", "--versions", str(self.file), *asks, *words)
        done = subprocess.run(
            [sys.executable, "-m", "invoke", *words], cwd=paths.ROOT, env=env, capture_output=True, text=True, check=False,
            timeout=300,
        )  # fmt: skip
        assert done.returncode == expected, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def refused(self, *words: str, index: str = "") -> str:
        """Run it, and return the one line that says why it left the file untouched."""
        before = self.file.read_bytes()
        done = self.run(*words, "--write", "--exit-code", index=index, expected=1)
        assert self.file.read_bytes() == before
        assert not done.stdout
        (line,) = (line for line in done.stderr.splitlines() if line.startswith("error: "))
        assert done.stderr.rstrip().endswith(line)
        return line

    @property
    def package(self):
        """Return the package as the file has it."""
        return catalog.load(self.file).packages["uvicorn"]

    @property
    def release(self):
        """Return the first release of the file."""
        return catalog.load(self.file).releases[0]


@pytest.fixture
def command(tmp_path: Path, site: Site) -> Command:
    return Command(tmp_path, site)


def test_the_difference_is_shown_and_nothing_is_written(command: Command) -> None:
    """Without --write; --exit-code tells a workflow that there is something."""
    command.site.page("0.9.0", "0.18.3", "0.19.0")
    before = command.file.read_bytes()
    done = command.run("uvicorn")
    assert '-        "0.9.0"\n' in done.stdout
    assert '+        "0.19.0",\n' in done.stdout
    assert done.stdout.endswith("not written; --write does\n")
    command.run("uvicorn", "--exit-code", expected=2)
    assert command.file.read_bytes() == before


@pytest.mark.parametrize("form", ["json", "html"])
def test_new_versions_are_written_once(command: Command, form: str) -> None:
    """The exit code is 2 where a workflow asks; the next run finds nothing new."""
    command.site.page("0.9.0", "0.18.3", "0.19.0")
    if form == "html":
        links = "".join(
            f'<a href="/uvicorn-{one}.tar.gz">uvicorn-{one}.tar.gz</a><br/>' for one in ("0.18.3", "0.19.0")
        )
        command.site.answers[PAGE] = Reply(f"<!DOCTYPE html><html><body>{links}</body></html>".encode(), kind=HTML)
        command.write(versions=["0.18.3"])
    done = command.run("uvicorn", "--write", "--exit-code", expected=2)
    assert done.stdout.endswith("written; run `invoke lock` and `invoke generate` now\n")
    assert command.package.versions == ["0.19.0", "0.18.3"]
    assert command.file.read_text("utf-8") == catalog.dumps(catalog.load(command.file))
    assert command.run("uvicorn", "--write", "--exit-code").stdout == f"{command.file}: nothing new\n"


def test_a_yanked_version_goes_and_stays_away(command: Command) -> None:
    """Even where an index that lags behind has it once more; with --allow-removal it is taken again."""
    command.site.page("0.8.0", "0.9.0", "0.18.3", yanked=("0.18.3",))
    assert "uvicorn: 0.18.3 was yanked and is dropped" in command.run("uvicorn", "--write").stdout
    assert (command.package.versions, command.package.yanked) == (["0.9.0", "0.8.0"], ["0.18.3"])
    command.site.page("0.8.0", "0.9.0", "0.18.3")
    assert "nothing new" in command.run("uvicorn", "--write", "--exit-code").stdout
    command.run("uvicorn", "--write", "--allow-removal")
    assert command.package.versions == ["0.18.3", "0.9.0"]


def test_an_answer_that_goes_back_changes_nothing(command: Command) -> None:
    """However often it comes; --allow-removal believes it."""
    command.site.page("0.8.0", "0.9.0")
    for _ in range(2):
        done = command.run("uvicorn", "--write", "--exit-code")
        assert "does not list 0.18.3, which stays" in done.stdout
        assert done.stdout.endswith("nothing new\n")
    command.run("uvicorn", "--write", "--exit-code", "--allow-removal", expected=2)
    assert command.package.versions == ["0.9.0", "0.8.0"]


REFUSED = {
    "not there": (Reply(status=404), "404 Not Found; look at the name"),
    "not for you": (Reply(status=403), "403 Forbidden"),
    "busy for long": (Reply(status=429, Retry_After="3600"), "429 Too Many Requests; it asks to come back in 1h00m"),
    "broken": (Reply(status=500), "500 Internal Server Error"),
    "cut short": (Reply(page("0.19.0"), cut=40), "the connection broke off"),
    "JSON cut short": (Reply(page("0.19.0")[:-20]), "is no page of an index"),
    "HTML cut short": (Reply(b"<html><a href=x>uvicorn-0.19.0.tar.gz</a>", kind=HTML), "was cut short"),
    "a login page": (Reply(b"<html><a href=x>Sign in</a></html>", kind=HTML), "lists no file of uvicorn"),
    "HTML as JSON": (Reply(b"<html><a href=x>Sign in</a></html>"), "is no page of an index"),
    "another type": (Reply(page("0.19.0"), kind="application/octet-stream"), "is 'application/octet-stream'"),
    "another project": (Reply(page("0.19.0", name="requests")), "answers for 'requests'"),
    "another shape": (Reply(b'{"versions": ["0.19.0"]}'), "is no page of an index"),
    "no version": (Reply(page("latest", "0.x")), "lists no file of uvicorn"),
    "a hostile version": (Reply(page("0.18.3", "0.19.0$(id)")), "'uvicorn-0.19.0$(id).tar.gz', which no file"),
    "an endless name": (Reply(page("0.18.3", "0." + "1" * 150)), "the update leads to no valid family"),
    "no file": (Reply(page()), "lists no file of uvicorn"),
    "everything yanked": (Reply(page("0.9.0", "0.18.3", yanked=("0.9.0", "0.18.3"))), "no version is left"),
    "too much": (Reply(bytes(web.LARGEST + 1)), "the answer is larger than 32 MB"),
    "a loop": (Reply(status=302, Location=PAGE), "TooManyRedirects"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_answer_leaves_the_file_untouched(command: Command, case: str) -> None:
    """One line says where and what was wrong."""
    command.site.answers[PAGE], words = REFUSED[case]
    line = command.refused("uvicorn")
    assert words in line
    assert len(line) < 700


def test_a_trickle_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then keeps a connection alive for ever."""
    sent: list[bytes] = []

    class Trickle(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            for _ in range(100):
                self.wfile.write(b"x")
                sent.append(b"x")
                time.sleep(0.05)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    monkeypatch.setattr(web, "LONGEST_SECONDS", 0.5)
    monkeypatch.setattr(web, "ATTEMPTS", 1)
    with ThreadingHTTPServer(("127.0.0.1", 0), Trickle) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.daemon_threads = True
        url = f"http://127.0.0.1:{server.server_port}/"
        with reach.session() as client, pytest.raises(UpdateError, match="did not end within"):
            web.get(client, url, accept="*/*", what="it")
        assert len(sent) < 100
        server.shutdown()


def test_a_dead_index_leaves_the_file_untouched(command: Command) -> None:
    """As offline machines have it."""
    assert "the connection is refused" in command.refused("uvicorn", index="http://127.0.0.1:9/simple")


def test_a_busy_index_is_asked_again(command: Command) -> None:
    """After the pause that it asks for."""
    command.site.answers[PAGE] = [
        Reply(status=429, Retry_After="2"),
        Reply(status=503),
        Reply(page("0.18.3", "0.19.0")),
    ]
    assert "429 Too Many Requests; asking again in 2.0 s" in command.run("uvicorn", "--write").stderr
    assert command.site.times[1] - command.site.times[0] >= 2
    assert command.package.versions == ["0.19.0", "0.18.3"]


def test_credentials_are_used_and_never_shown(command: Command) -> None:
    """Neither in a success nor in a failure, nor to another host that is redirected to."""
    given = "Basic " + base64.b64encode(b"me:pass/word").decode()
    good = Reply(page("0.18.3", "0.19.0"))
    command.site.answers[PAGE] = lambda headers: good if headers.get("Authorization") == given else Reply(status=401)
    index = f"http://me:pass%2Fword@127.0.0.1:{command.site.port}/simple"
    done = command.run("uvicorn", index=index)
    assert "0.19.0" in done.stdout
    command.site.answers[PAGE] = Reply(status=302, Location=f"http://localhost:{command.site.port}/elsewhere")
    command.site.answers["/elsewhere"] = Reply(status=401)
    line = command.refused("uvicorn", index=index)
    assert "Authorization" not in command.site.requests[-1][1]
    assert not re.search("pass|Basic", line + done.stdout + done.stderr)


def test_several_indexes_count_together(command: Command) -> None:
    """One that does not have the project is no failure, one that does not answer is."""
    command.site.page("0.18.3", "0.19.0")
    other = f"{command.site.url}/other {command.site.url}/simple"
    assert "0.19.0" in command.run("uvicorn", index=other).stdout
    command.site.answers["/other/uvicorn/"] = Reply(status=403)
    assert "403 Forbidden" in command.refused("uvicorn", index=other)


def test_a_package_without_keep_is_left_to_its_maintainer(command: Command) -> None:
    """The index is not even asked."""
    data = json.loads(command.file.read_text("utf-8"))
    del data["packages"]["uvicorn"]["keep"]
    f.write(command.file, data)
    assert "uvicorn: has no `keep`" in command.run("uvicorn").stdout
    assert command.site.requests == []


def test_an_unknown_name_is_refused(command: Command) -> None:
    """With the names that there are."""
    assert "'nginx' is no package of the family; name some of: python, uvicorn" in command.refused("nginx")


def test_a_new_release_of_python_takes_the_old_ones_place(command: Command) -> None:
    """With its digest, which the file itself bears out, and its day; the tarball is at hand for the build."""
    command.site.releases(HELD, NEXT, "3.14.0")
    done = command.run("python", "--write", "--exit-code", expected=2)
    assert "there is Python 3.14 (3.14.0); add a release of it to follow it" in done.stdout
    found = command.release
    assert (found.version, found.released, found.targets) == (NEXT, "2025-08-06", ["trixie", "alpine3.24"])
    assert [(one.file, one.sha256) for one in found.artifacts] == [(f"Python-{NEXT}.tar.xz", SHA256)]
    assert command.home.joinpath("sources", SHA256, f"Python-{NEXT}.tar.xz").read_bytes() == TARBALL
    assert "nothing new" in command.run("python", "--write", "--exit-code").stdout


def test_a_digest_that_python_org_lacks_is_computed(command: Command) -> None:
    """Size and MD5 must be those of its API."""
    md5 = hashlib.md5(TARBALL, usedforsecurity=False).hexdigest()
    command.site.releases(HELD, NEXT, files=[source(sha256_sum="", md5_sum=md5)])
    assert "gives no sha256; downloading it for its digest" in command.run("python", "--write").stderr
    assert command.release.artifacts[0].sha256 == SHA256
    command.write()
    command.site.releases(HELD, NEXT, files=[source(sha256_sum=None, md5_sum="0" * 32)])
    assert "has other bytes than its API says" in command.refused("python")


def test_windows_installers_are_pinned_where_a_release_has_one(command: Command) -> None:
    """And all forms of tarballs that it has."""
    data = json.loads(command.file.read_text("utf-8"))
    data["releases"][0]["windows"] = {"file": f"python-{HELD}-amd64.exe", "sha256": "b" * 64}
    data["releases"][0]["artifacts"].append({"file": f"Python-{HELD}.tgz", "sha256": "c" * 64})
    f.write(command.file, data)
    exe = b"MZ" + bytes(100)
    installer = source(f"python-{NEXT}-amd64.exe", sha256_sum=hashlib.sha256(exe).hexdigest(), filesize=len(exe))
    command.site.releases(HELD, NEXT, files=[source(), installer])
    command.site.answers[f"/ftp/python/{NEXT}/python-{NEXT}-amd64.exe"] = Reply(exe, kind="application/octet-stream")
    command.run("python", "--write")
    assert command.release.windows.sha256 == hashlib.sha256(exe).hexdigest()
    assert [one.file for one in command.release.artifacts] == [f"Python-{NEXT}.tar.xz"]


def test_a_release_without_files_is_left_for_next_time(command: Command) -> None:
    """python.org lists it before everything is in place; that is no failure."""
    command.site.releases(HELD, NEXT, files=[])
    done = command.run("python", "--write", "--exit-code")
    assert f"{NEXT} is announced, and its sources are not available yet" in done.stdout


@pytest.mark.parametrize("changes", [{}, {"sha256_sum": ""}])
def test_a_release_whose_file_nobody_serves_holds_nothing_up(command: Command, changes: dict[str, object]) -> None:
    """The index may run ahead of the files: it is left for next time, and the packages are updated."""
    command.site.page("0.18.3", "0.19.0")
    command.site.releases(HELD, NEXT, files=[source(**changes)])
    command.site.answers[LATER] = Reply(status=404)
    done = command.run("--write")
    assert f"{NEXT} is announced, and its sources are not available yet" in done.stdout
    assert (command.release.version, command.package.versions[0]) == (HELD, "0.19.0")


def test_a_listing_that_goes_back_changes_nothing(command: Command) -> None:
    """The newest release stays, unless the listing is to be believed."""
    command.site.releases("3.13.3", "3.13.4")
    assert f"does not list {HELD}, which stays" in command.run("python", "--write", "--exit-code").stdout


@pytest.mark.parametrize(
    ("path", "reply", "words"),
    [
        (LISTING, Reply(b"<html>Sign in</html>", kind=HTML), "is no answer of its API (a web page)"),
        (LISTING, Reply(b"[]", kind="application/json"), "lists no release of Python 3"),
        (LISTING, Reply(b"[{", kind="application/json"), "malformed or cut short"),
        (LISTING, Reply(status=429, Retry_After="600"), "429 Too Many Requests; it asks to come back in 10m00s"),
        (FILES, Reply(b'[{"url": 1}]', kind="application/json"), "malformed or cut short"),
        (FILES, Reply(json.dumps([source(sha256_sum="a" * 63)]).encode()), "has no sha256 but"),
        (FILES, Reply(json.dumps([source(filesize=10**12)]).encode()), "is said to have 1000000000000 bytes"),
        (FILES, Reply(json.dumps([source(sha256_sum="a" * 64)]).encode()), "does not have the sha256 of the API"),
        (LATER, Reply(status=403), "cannot be had to check its digest"),
    ],
)  # fmt: skip
def test_a_bad_answer_of_python_org_leaves_the_file_untouched(
    command: Command, path: str, reply: Reply, words: str
) -> None:
    """A digest is believed only where the file has it."""
    command.site.page("0.18.3", "0.19.0")
    command.site.releases(HELD, NEXT)
    command.site.answers[path] = reply
    assert words in command.refused()


def test_one_origin_that_fails_keeps_back_the_other(command: Command) -> None:
    """Half an update would look like a whole one; what can be updated alone is said."""
    command.site.page("0.18.3", "0.19.0")
    line = command.refused()
    assert "404" in line
    assert "packages alone: invoke update uvicorn" in line
    command.run("uvicorn", "--write")
    assert command.package.versions == ["0.19.0", "0.18.3"]
    command.site.answers[PAGE] = Reply(status=500)
    command.site.releases(HELD, NEXT)
    assert "uvicorn: " in command.refused()


def test_everything_is_updated_in_one_go(command: Command) -> None:
    """A package that names a series moves to its new release."""
    command.site.page("0.18.3", "0.19.0")
    command.site.releases(HELD, NEXT)
    command.run("--write")
    assert (command.release.version, command.package.versions) == (NEXT, ["0.19.0", "0.18.3"])


def test_a_file_that_changed_meanwhile_is_not_overwritten(command: Command) -> None:
    """Another one's work would be lost."""
    found = update.Update(file=command.file, old="", new="{}", remarks=())
    before = command.file.read_bytes()
    with pytest.raises(UpdateError, match="was changed by someone else; nothing was written"):
        found.write()
    assert command.file.read_bytes() == before


def test_the_real_index_answers(tmp_path: Path, site: Site) -> None:
    """Through the user's own configuration: a version of long ago is followed by today's."""
    command = Command(tmp_path, site)
    before = command.package.versions
    words = ("update", "uvicorn", "--versions", str(command.file), "--write")
    done = subprocess.run(
        [sys.executable, "-m", "invoke", *words], cwd=paths.ROOT, env={**os.environ, "KILN_HOME": str(command.home)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(command.package.versions) == 2
    assert not set(command.package.versions) & set(before)


def test_a_package_without_versions_is_filled_in(command: Command) -> None:
    """Its `keep` says with how many; nobody types the first one."""
    command.write(versions=[])
    command.site.page("0.9.0", "0.18.3", "0.19.0")
    command.run("uvicorn", "--write")
    assert command.package.versions == ["0.19.0", "0.18.3"]
