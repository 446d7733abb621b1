"""Debian's archive as this host is configured with it: real lists, real packages."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kiln import apt, paths
from kiln.bootstrap import Bootstrap, bootstrap
from kiln.errors import AptError
from tests.engine.command import debian


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give these tests a Kiln home of their own."""
    folder = tmp_path_factory.mktemp("home")
    apt.mirrors.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KILN_HOME", str(folder))
        yield folder
    apt.mirrors.cache_clear()


def state() -> dict[str, int]:
    """Return when the host's own apt and dpkg files changed last."""
    files = [*Path("/var/lib/apt").rglob("*"), *Path("/var/cache/apt").rglob("*"), Path("/var/lib/dpkg/status")]
    return {str(path): path.stat().st_mtime_ns for path in files}


def test_upstream_tarballs_are_found_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite that does not exist is left out; the host's own apt state stays as it is."""
    before = state()
    old = debian().catalog.releases[-1]
    name = f"python{old.series}"
    found = apt.source_files(["bookworm", "nosuch"], [name])
    assert [file.name for file in found] == [f"{name}_{old.version}.orig.tar.gz"]
    assert found[0].sha256 == old.artifacts[-1].sha256
    monkeypatch.setattr(apt, "_look_up", None)
    assert apt.source_files(["bookworm", "nosuch"], [name]) == found
    assert state() == before


def test_suites_that_do_not_exist_are_an_error() -> None:
    with pytest.raises(AptError, match=r"no sources of nosuch; see .*apt\.log"):
        apt.source_files(["nosuch"], ["python3.13"])


def test_programs_run_without_being_installed() -> None:
    """The folder is there whole, and the second call is the same folder."""
    tree = apt.unpack_only("trixie", ["docker-cli"])
    client = subprocess.run([tree / "usr/bin/docker", "--version"], capture_output=True, text=True, check=True)
    assert client.stdout.startswith("Docker version")
    assert apt.unpack_only("trixie", ["docker-cli"]) == tree


def test_a_package_that_does_not_exist_is_an_error_and_leaves_nothing(home: Path) -> None:
    with pytest.raises(AptError, match="apt: cannot fetch"):
        apt.unpack(["no-such-package-anywhere"])
    assert not list((home / "apt/unpacked").glob("no-such*"))


@pytest.mark.skipif(os.geteuid() != 0, reason="as root, this is what the private engine needs")
def test_a_bootstrap_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """The error names the log; neither output nor mounts remain."""
    mounts = Path("/proc/self/mountinfo").read_text()
    wanted = Bootstrap(suite="nosuch", output=tmp_path / "root.tar", log=paths.log("nosuch"))
    with pytest.raises(AptError, match=r"nosuch: no root file system could be made.*nosuch\.log"):
        bootstrap(wanted)
    assert list(tmp_path.iterdir()) == []
    assert Path("/proc/self/mountinfo").read_text() == mounts
