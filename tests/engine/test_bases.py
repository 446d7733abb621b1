"""Bases bootstrapped for real, and a build on one of them."""

import json
import os
import tarfile
from pathlib import Path

import pytest

from kiln import bases, engine, oci, process
from kiln.paths import ROOT
from tests.engine.command import debian

OFFICIAL_MB = {"trixie": 29.8, "bookworm": 28.2}
"""Compressed sizes of Debian's own slim images for amd64, in MB (10^6 bytes)."""
FIXTURE = ROOT / "tests/fixtures/official-python/images/3.13.15-slim-trixie.json"
# What the official Python image adds to its base: the packages it installs, and what those need.
ADDED_BY_PYTHON = {
    "ca-certificates", "libffi8", "libgdbm6t64", "libncursesw6", "libreadline8t64", "netbase", "openssl",
    "readline-common",
}  # fmt: skip
PLATFORM = "linux/amd64"


@pytest.fixture(scope="module")
def brought():
    return engine.bring()


@pytest.fixture(scope="module")
def homes(brought, tmp_path_factory):  # noqa: ARG001 - the engine lives in the user's own folder
    """Bootstrap trixie twice, each time from nothing, in a home of its own."""
    return [tmp_path_factory.mktemp("home") for _ in range(2)]


def _resolve(home, suite, brought, **pinned):
    import msgspec

    target = debian().catalog.targets[suite]
    target = msgspec.structs.replace(target, base=msgspec.structs.replace(target.base, **pinned))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KILN_HOME", str(home))
        patch.setenv("KILN_BASES", "bootstrap")
        return bases.resolve(target, PLATFORM, engine=brought)


def _layout(base):
    return Path(base.context.removeprefix("oci-layout://").partition("@")[0])


def _files(base):
    """Return the entries of a base's one layer, with the content of small files."""
    layer = max((_layout(base) / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    with tarfile.open(layer) as file:
        return {
            member.name: (member, file.extractfile(member).read() if member.isfile() and member.size < 1e6 else None)
            for member in file
        }


@pytest.fixture(scope="module")
def base(homes, brought):
    return _resolve(homes[0], "trixie", brought)


def test_two_runs_give_one_digest(base, homes, brought):
    """Everything depends on the packages alone."""
    assert _resolve(homes[1], "trixie", brought).digest == base.digest


@pytest.mark.parametrize("suite", ["trixie", "bookworm"])
def test_the_size_is_within_5_percent_of_the_official_image(suite, homes, brought):
    """Compressed, as it is pulled."""
    [image] = oci.images(_layout(_resolve(homes[0], suite, brought)))

    assert image.platform == PLATFORM
    assert image.size / 1e6 == pytest.approx(OFFICIAL_MB[suite], rel=0.05)


def test_the_packages_are_those_of_the_official_image(base):
    """Beside those that the official Python image adds to its base."""
    status = _files(base)["var/lib/dpkg/status"][1]
    found = {line.split()[1] for line in status.decode().splitlines() if line.startswith("Package: ")}

    assert found == set(json.loads(FIXTURE.read_text())["packages"]) - ADDED_BY_PYTHON


def test_the_image_holds_nothing_of_this_machine(base):
    """No host name, resolver, host mirror, devices, lists, logs, caches or documentation."""
    files = _files(base)
    for folder in ("dev", "run", "tmp", "var/cache/apt", "var/lib/apt/lists", "usr/share/man", "usr/share/info"):
        inside = {name for name in files if name.startswith(f"{folder}/")} - {"run/lock"}
        assert not {name for name in inside if not files[name][0].isdir()}, folder
    assert not {"etc/hostname", "etc/resolv.conf", "etc/apt/sources.list"} & files.keys()
    assert files.get("etc/machine-id", (None, b""))[1] == b""
    assert not [
        name for name in files if name.startswith(("etc/apt/", "etc/dpkg/")) and ("kiln" in name or "mmdeb" in name)
    ]
    assert not [name for name, (member, _) in files.items() if name.startswith("var/log/") and member.size]
    assert {"copyright"} == {
        Path(name).name for name, (member, _) in files.items() if name.startswith("usr/share/doc/") and member.isfile()
    }
    stanzas = files["etc/apt/sources.list.d/debian.sources"][1].decode().split("\n\n")
    assert [part.splitlines()[2] for part in stanzas] == ["Suites: trixie trixie-updates", "Suites: trixie-security"]


def test_a_fresh_base_is_used_without_asking_and_an_old_one_after_asking(base, homes, brought):
    """An unchanged archive means no new bootstrap and the same digest."""
    written = (_layout(base) / "index.json").stat().st_mtime_ns
    stamp = homes[0] / "bases/trixie-linux-amd64/current"
    os.utime(stamp, (1, 1))

    assert _resolve(homes[0], "trixie", brought) == base
    assert (_layout(base) / "index.json").stat().st_mtime_ns == written
    assert stamp.stat().st_mtime > 1

    log = homes[0] / "logs/base-trixie-linux-amd64-check.log"
    log.unlink()
    assert _resolve(homes[0], "trixie", brought) == base
    assert not log.exists()


def test_an_old_base_does_where_the_archive_cannot_be_asked(base, homes, brought, monkeypatch, capsys):
    """A machine without network keeps building, and is told."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    os.utime(homes[0] / "bases/trixie-linux-amd64/current", (1, 1))

    assert _resolve(homes[0], "trixie", brought) == base
    assert "cannot ask for newer packages, so the base stays as it is" in capsys.readouterr().err


def test_a_pinned_base_says_that_it_was_not_pulled(base, homes, brought):
    """The pin is not replaced silently."""
    pinned = _resolve(homes[0], "trixie", brought, digest=f"sha256:{'a' * 64}")

    assert base.digest == pinned.digest
    assert pinned.origin.endswith(f", because the pinned sha256:{'a' * 64} cannot be pulled")


def test_an_image_builds_on_it_and_packages_install(base, brought, tmp_path):
    """The build takes it as a named context; apt reaches the archive, keeps nothing, needs nothing more."""
    (tmp_path / "Dockerfile").write_text(
        "FROM base\n"
        'RUN test -z "$(apt-mark showmanual)" && apt-get update && apt-get install -y --no-install-recommends netbase\n'
        'RUN test -f /etc/protocols && test -z "$(ls /var/cache/apt/*.bin /var/cache/apt/archives/*.deb 2>/dev/null)"\n'
        "RUN apt-get -s autoremove | grep -q '^0 upgraded, 0 newly installed, 0 to remove'\n"
        "RUN ! ls /usr/share/doc/netbase/changelog*\n"
    )
    out = tmp_path / "out.tar"
    command = brought.buildx(
        "build", "--network=host", "--build-context", f"base={base.context}", "--output", f"type=oci,dest={out}",
        tmp_path,
    )  # fmt: skip
    process.run(command, env=brought.env, log=tmp_path / "log")

    [image] = oci.images(out)
    assert image.platform == PLATFORM


def test_what_killed_runs_left_is_cleared(base, homes, brought):
    """Parts are never taken for a base."""
    part = homes[0] / "bases/trixie-linux-amd64/.0123.x.part"
    part.mkdir()
    os.utime(homes[0] / "bases/trixie-linux-amd64/current", (1, 1))

    assert _resolve(homes[0], "trixie", brought) == base
    assert not part.exists()
