"""`invoke lock` with the real uv, against the user's own index and one on loopback that wants credentials."""

import base64
import hashlib
import io
import os
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kiln import lock, network
from tests.engine.command import FAMILY, OLD, PYTHON, SERIES
from tests.unit import family as f
from tests.unit.test_packages import UVICORN

OLDER = OLD.rpartition(".")[0]
LOGIN = "Basic " + base64.b64encode(b"me:secret").decode()


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let locks be written to a folder of the test, and pip's settings be read anew."""
    monkeypatch.setenv("KILN_HOME", str(tmp_path / "kiln"))
    network.pip_list.cache_clear()
    yield tmp_path
    network.pip_list.cache_clear()


def family(folder: Path, releases: tuple[str, ...] = (PYTHON, OLD), **changes: object):
    """Return a matrix with uvicorn 0.34.0 on two series."""
    package = {**UVICORN, "versions": ["0.34.0"], "pythons": [SERIES, OLDER], **changes}
    return f.expand(folder, f.family(releases=[f.release(one) for one in releases], packages={"uvicorn": package}))


def wheel(name: str, version: str, *needs: str) -> bytes:
    """Return the smallest wheel there can be."""
    info, file = f"{name}-{version}.dist-info", io.BytesIO()
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {one}" for one in needs),
    ]
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{info}/METADATA", "\n".join(lines) + "\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return file.getvalue()


@pytest.fixture
def private(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """Configure pip for an index on loopback that has, by file name, what is put into the result."""
    files: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.strip("/").rpartition("/")[2]
            links = "".join(
                f'<a href="/files/{file}#sha256={hashlib.sha256(data).hexdigest()}">{file}</a>'
                for file, data in files.items() if file.startswith(f"{name}-")
            )  # fmt: skip
            body = files.get(name) or links.encode()
            known = self.headers.get("Authorization") == LOGIN
            self.send_response(200 if body and known else 404 if known else 401)
            self.send_header("Content-Type", "application/octet-stream" if name in files else "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - the library's name

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"http://me:secret@127.0.0.1:{server.server_port}/simple")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    yield files
    server.shutdown()
    server.server_close()


def test_locks_of_the_real_index(root: Path) -> None:
    """They name every file by hash and no URL, are kept, and pip takes what they say."""
    matrix = family(root)
    assert lock.write(matrix, []) == ("2 of 2 locks written, 0 kept, 0 removed", [])
    assert lock.check(matrix) == []
    image = next(one for one in matrix.packages if one.release.series == OLDER)
    text = lock.read(image)
    assert "\nuvicorn==0.34.0 ; " in text
    assert "\nuvloop==" in text
    # Wheels for each architecture and C library, and the sources.
    assert text.partition("\nuvloop==")[2].partition("\nwatchfiles==")[0].count("--hash=sha256:") > 10
    assert "://" not in text
    before = lock.path(image).stat().st_mtime_ns
    assert lock.write(matrix, []) == ("0 of 2 locks written, 2 kept, 0 removed", [])
    assert lock.path(image).stat().st_mtime_ns == before
    assert lock.write(matrix, ["uvicorn"], upgrade=True)[0].startswith("2 of 2 locks written")
    check = ["--dry-run", "--ignore-installed", "--require-hashes", "--no-deps", "--quiet", "--report", "-"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *check, "-r", str(lock.path(image))], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_cell_that_fails_leaves_the_others(root: Path) -> None:
    """One line says package, version, Python and uv's reason."""
    matrix = family(root, versions=["0.34.0", "0.34.99"], pythons=[SERIES])
    summary, (failure,) = lock.write(matrix, [])
    assert summary == "1 of 2 locks written, 0 kept, 0 removed"
    assert failure.startswith(f"uvicorn 0.34.99 on Python {SERIES}: No solution found")
    assert "uvicorn[standard]==0.34.99" in failure
    assert "\n" not in failure
    (problem,) = lock.check(matrix)
    assert problem.startswith(f"uvicorn 0.34.99 on Python {SERIES}: has no lock; run: ./run invoke lock ")


def test_uv_asks_the_users_own_index(root: Path, private: dict[str, bytes]) -> None:
    """With its credentials, which are in no lock; only what is for Linux and the series is locked."""
    private["uvicorn-0.34.0-py3-none-any.whl"] = wheel(
        "uvicorn", "0.34.0", "tiny>=1", "far; sys_platform == 'win32'", f"early; python_version < '{SERIES}'",
        "arm; platform_machine == 'aarch64'",
    )  # fmt: skip
    for name in ("tiny", "far", "early", "arm"):
        private[f"{name}-1.5-py3-none-any.whl"] = wheel(name, "1.5")
    matrix = family(root, requirements=["uvicorn"])
    assert lock.write(matrix, [])[1] == []
    texts = {image.release.series: lock.read(image) for image in matrix.packages}
    names = {series: set(re.findall(r"^([a-z]+)==", text, re.MULTILINE)) for series, text in texts.items()}
    assert names == {SERIES: {"uvicorn", "tiny", "arm"}, OLDER: {"uvicorn", "tiny", "arm", "early"}}
    digest = hashlib.sha256(private["tiny-1.5-py3-none-any.whl"]).hexdigest()
    assert all(f"--hash=sha256:{digest}" in text for text in texts.values())
    assert not any(word in text for word in ("secret", "127.0.0.1", "://") for text in texts.values())


def test_what_goes_wrong_on_an_index_shows_no_credentials(root: Path, private: dict[str, bytes]) -> None:
    """A package that is needed is not there."""
    private["uvicorn-0.34.0-py3-none-any.whl"] = wheel("uvicorn", "0.34.0", "tiny>=1")
    _, failures = lock.write(family(root, requirements=["uvicorn"]), [])
    assert len(failures) == 2
    assert all("tiny was not found" in line and "secret" not in line for line in failures)
    assert not list(root.glob("packages/*/locks/*/*"))


def test_a_lock_that_cannot_be_renewed_stays(root: Path, private: dict[str, bytes]) -> None:
    """The file is written whole, or not at all."""
    private["uvicorn-0.34.0-py3-none-any.whl"] = wheel("uvicorn", "0.34.0")
    matrix = family(root, requirements=["uvicorn"])
    lock.write(matrix, [])
    before = lock.read(matrix.packages[0])
    private.clear()
    assert len(lock.write(matrix, [], upgrade=True)[1]) == 2
    assert lock.read(matrix.packages[0]) == before


def test_the_command_says_so_and_fails() -> None:
    """An unknown package is one line; exit code 1."""
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "lock", "nginx", "--versions", str(FAMILY)], cwd=Path(__file__).parents[2], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error: 'nginx' is no package of the family; name some of: gunicorn, uvicorn")
