"""What of a bootstrapped system becomes an image, and with which settings."""

import gzip
import io
import tarfile

import pytest

from kiln import rootfs, slim
from kiln.errors import BaseError

SOURCES = """\
deb [signed-by=/keys.gpg] http://mirror.example.org/debian trixie main
deb http://mirror.example.org/debian trixie-updates main
deb http://security.example.org/debian-security trixie-security main
"""
PACKAGED, NOW = 1_700_000_000, 1_800_000_000


def _tar(path, clock, extra=()):
    """Write a small system as mmdebstrap does, with `clock` on what the bootstrap itself wrote."""
    files = [
        ("./", None, clock), ("./dev/", None, clock), ("./dev/null", tarfile.CHRTYPE, clock),
        ("./etc/", None, clock), ("./etc/hostname", b"builder", clock),
        (f"./{rootfs.DEFAULT_SOURCES}", SOURCES.encode(), clock),
        ("./etc/machine-id", b"", clock), ("./etc/resolv.conf", b"nameserver 192.0.2.1", clock),
        ("./etc/shadow", f"root:*:{clock // 86400}:0:99999:7:::\n".encode(), clock),
        ("./run/", None, clock), ("./run/lock/", None, clock), ("./run/utab", b"x", clock),
        ("./usr/bin/true", b"true", PACKAGED), ("./usr/share/keyrings/debian-archive-keyring.gpg", b"key", 1),
        ("./var/cache/debconf/templates.dat-old", b"x", clock), ("./var/lib/apt/lists/lock", b"", clock),
        ("./var/log/dpkg.log", b"now", clock), ("./var/log/wtmp", b"", clock), *extra,
    ]  # fmt: skip
    with tarfile.open(path, "w") as target:
        for name, content, mtime in files:
            info = tarfile.TarInfo(name.rstrip("/") or ".")
            info.mtime, info.uname, info.mode = mtime, "builder", 0o644
            if isinstance(content, bytes):
                info.size = len(content)
                target.addfile(info, io.BytesIO(content))
            else:
                info.type = content or tarfile.DIRTYPE
                target.addfile(info)


def _pack(tmp_path, clock):
    _tar(tmp_path / "in.tar", clock)
    return rootfs.pack(tmp_path / "in.tar", tmp_path / "layer", started=clock)


@pytest.fixture
def layer(tmp_path):
    done = _pack(tmp_path, NOW)
    with tarfile.open(done.file) as file:
        yield {member.name: (member, member.isfile() and file.extractfile(member).read()) for member in file}


def test_nothing_of_the_machine_and_its_clock_stays(layer):
    """Host name, resolver, devices, logs, caches and user names are gone; empty logs stay."""
    gone = {"etc/hostname", "etc/resolv.conf", "dev/null", "run/utab", "var/log/dpkg.log", rootfs.DEFAULT_SOURCES,
            "var/cache/debconf/templates.dat-old", "var/lib/apt/lists/lock", "."}  # fmt: skip
    assert not gone & layer.keys()
    assert {"dev", "run/lock", "var/log/wtmp", "etc/machine-id"} <= layer.keys()
    assert {""} == {member.uname for member, _ in layer.values()}
    assert max(member.mtime for member, _ in layer.values()) == PACKAGED


def test_two_clocks_give_the_same_bytes(tmp_path):
    """The layer depends on the packages alone, password dates included."""
    first = _pack(tmp_path, NOW)
    bytes_then = first.file.read_bytes()
    second = _pack(tmp_path, NOW + 40 * 86400)

    assert (first, bytes_then) == (second, second.file.read_bytes())


def test_the_digest_is_that_of_the_uncompressed_tar(tmp_path):
    """Engines check it when they unpack the layer."""
    import hashlib

    done = _pack(tmp_path, NOW)
    digest = hashlib.sha256(gzip.decompress(done.file.read_bytes())).hexdigest()

    assert f"sha256:{digest}" == done.diff_id


def test_entries_are_sorted(layer):
    """A folder comes before what is in it, and siblings are in order."""
    assert sorted(layer, key=lambda name: name.split("/")) == list(layer)


def test_the_settings_of_debians_own_images_are_there(layer):
    """No caches, documentation or services, and suggestions do not keep packages."""
    assert b'Apt::AutoRemove::SuggestsImportant "false";' in layer["etc/apt/apt.conf.d/docker-autoremove-suggests"][1]
    assert b'Acquire::GzipIndexes "true";' in layer["etc/apt/apt.conf.d/docker-gzip-indexes"][1]
    assert b'Acquire::Languages "none";' in layer["etc/apt/apt.conf.d/docker-no-languages"][1]
    assert b"DPkg::Post-Invoke" in layer["etc/apt/apt.conf.d/docker-clean"][1]
    assert b"path-exclude /usr/share/man/*\n" in layer["etc/dpkg/dpkg.cfg.d/docker"][1]
    assert layer["usr/sbin/policy-rc.d"][0].mode == 0o755
    assert layer["usr/sbin/policy-rc.d"][1].endswith(b"exit 101\n")


def test_sources_join_the_suites_of_an_archive():
    """One stanza per archive, signed by Debian's own keyring instead of the host's."""
    expected = """\
Types: deb
URIs: http://mirror.example.org/debian
Suites: trixie trixie-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://security.example.org/debian-security
Suites: trixie-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
    assert expected == slim.deb822(SOURCES, slim.KEYRINGS[-1])


@pytest.mark.parametrize(
    ("name", "unwanted"),
    [
        ("usr/share/info/dir", True),
        ("usr/share/doc/apt/changelog.gz", True),
        ("usr/share/doc/apt/copyright", False),
        ("usr/share/locale/locale.alias", False),
        ("usr/share/locale/de/LC_MESSAGES/apt.mo", True),
        ("usr/share/documentation", False),
    ],
)
def test_documentation_and_translations_are_unwanted(name, unwanted):
    """Licences and what programs read stay."""
    assert unwanted == slim.unwanted(name)


def test_a_tar_without_a_system_is_refused(tmp_path):
    """The message says where to look."""
    with tarfile.open(tmp_path / "in.tar", "w"):
        pass

    with pytest.raises(BaseError, match="not a bootstrapped system; see the log"):
        rootfs.pack(tmp_path / "in.tar", tmp_path / "layer", started=NOW)


def test_password_dates_are_clamped_and_nothing_else_changes():
    """Accounts without a date keep having none."""
    text = "root:*:20759:0:99999:7:::\nold:*:10:0:99999:7:::\nnone:!::::::\n"

    assert text.replace("20759", "19675") == rootfs.aged(text, PACKAGED)
