"""What is in images, what archives have now, and what follows from the two; databases as distributions write them."""

import gzip
import io
import json
import tarfile

import pytest

from kiln import candidates, catalog, contents, paths, stale, verdicts
from kiln.contents import Contents, Package
from kiln.errors import AptError, KilnError
from kiln.verdicts import Change, Verdict
from tests.unit.family import family

DPKG = """\
Package: libssl3t64
Status: install ok installed
Priority: optional
Architecture: amd64
Version: 3.5.1-1
Description: Secure Sockets Layer toolkit
 Version: of a line that is not a field
 .
 more

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0

Package: tzdata
Status: hold ok installed
Architecture: all
Version: 2025a-1
"""

APK = """\
C:Q1abc=
P:musl
V:1.2.5-r21
A:x86_64
S:401234
T:the musl c library (libc) implementation
D:so:libc.musl-x86_64.so.1
F:lib
R:ld-musl-x86_64.so.1
a:0:0:755
Z:Q1def=

P:zlib
V:1.3.1-r2
A:x86_64
"""

POLICY = """\
libssl3t64:
  Installed: (none)
  Candidate: 3.5.4-1~deb13u1
  Version table:
     3.5.4-1~deb13u1 500
        500 http://example.org/debian-security trixie-security/main amd64 Packages
     3.5.1-1 500
        500 http://example.org/debian trixie/main amd64 Packages
of-our-own:
  Installed: (none)
  Candidate: (none)
  Version table:
"""

VERDICTS = [
    Verdict(id="3.13.5-slim-trixie", platform="linux/amd64", reference="r", built="b", state="fresh"),
    Verdict(
        id="3.13.5-trixie", platform="linux/arm/v7", reference="r", built="b", state="stale",
        packages=(Change(name="bash", old="1", new="2"),), reasons=("its base moved",),
    ),
    Verdict(id="3.12-noble", platform="linux/amd64", reference="r", built="b", state="unknown", reasons=("lost",)),
]  # fmt: skip


def inside(*packages, system="dpkg", **files):
    found = tuple(Package(name=name, version=version, architecture="amd64") for name, version in packages)
    return Contents(system=system, packages=found, files=files, base="")


def archive(*members, mode="w"):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as tar:
        for name, content, link in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if link:
                info.type, info.linkname = tarfile.SYMTYPE, link
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def test_dpkg_tells_what_is_installed():
    """Packages that are removed but for their settings are not there; those on hold are marked."""
    found = contents.dpkg_packages(DPKG)
    assert [(one.name, one.version, one.held) for one in found] == [
        ("libssl3t64", "3.5.1-1", False), ("tzdata", "2025a-1", True),
    ]  # fmt: skip


def test_images_without_dpkg_have_no_status():
    """A package of `status.d` is installed without saying so."""
    (found,) = contents.dpkg_packages("Package: libc6\nVersion: 2.41-12\nArchitecture: arm64\n")
    assert (found.name, found.version, found.architecture) == ("libc6", "2.41-12", "arm64")


def test_apk_database_and_index_have_one_form():
    """Files and their modes, which stand between packages, are passed over."""
    assert [(one.name, one.version) for one in contents.apk_packages(APK)] == [
        ("musl", "1.2.5-r21"), ("zlib", "1.3.1-r2"),
    ]  # fmt: skip


def test_copied_files_have_their_paths_and_links_their_content():
    """What `docker cp` gives of a folder is found by its path in the image, links within it by their target."""
    members = [("apt/keys/a.pgp", b"key", ""), ("apt/keys/a.gpg", b"", "a.pgp"), ("apt/lost", b"", "/nowhere")]
    assert contents.unpacked(archive(*members), "/etc") == {
        "/etc/apt/keys/a.pgp": b"key", "/etc/apt/keys/a.gpg": b"key",
    }  # fmt: skip


def test_apt_names_its_candidates():
    """A package that no repository has is left out."""
    assert candidates.policy(POLICY) == {"libssl3t64": "3.5.4-1~deb13u1"}


def test_alpines_index_stands_behind_its_signature():
    """An APKINDEX.tar.gz is two archives in one file, the first without an end."""
    signature = gzip.compress(archive((".SIGN.RSA.x.rsa.pub", b"s" * 256, ""))[:1024])
    index = archive(("DESCRIPTION", b"v3.23", ""), ("APKINDEX", APK.encode(), ""), mode="w:gz")
    assert candidates.apk_index(signature + index) == APK


@pytest.mark.parametrize(
    "wrong",
    [b"", b"<html>", gzip.compress(b"x"), archive(("other", b"", ""), mode="w:gz")],
    ids=["empty", "text", "gzip", "tar"],
)
def test_another_file_is_no_index(wrong):
    """A web page or a part of a file is told from an index without packages."""
    with pytest.raises(ValueError, match=r"\S"):
        candidates.apk_index(wrong)


def test_alpines_repositories():
    """Comments, folders and tagged repositories are not asked."""
    text = "# https://example.org/no\nhttps://example.org/v3.23/main/\n\n@edge https://example.org/edge\n/media/apks\n"
    assert candidates.repositories(text) == ["https://example.org/v3.23/main"]


APK_ORDER = [
    "0.9.9", "1.0_alpha", "1.0_alpha2", "1.0_beta1", "1.0_rc1", "1.0", "1.0-r1", "1.0-r9", "1.0-r10", "1.0_git20240101",
    "1.0_p1", "1.0_p1-r1", "1.0a", "1.0.1", "1.05", "1.1", "1.2", "1.10", "10",
]  # fmt: skip


def test_versions_in_apks_order():
    """Suffixes, revisions, letters and fractions order as apk orders them."""
    assert sorted(set(APK_ORDER), key=candidates.apk_order) == APK_ORDER
    assert candidates.later("apk", "1.0-r10", "1.0-r9")
    assert not candidates.later("apk", "1.0", "1.0")


def test_a_version_that_apk_would_not_take():
    """What is no version is named, for guessing an order would call an image fresh."""
    with pytest.raises(KilnError, match="not a version of an Alpine package"):
        candidates.apk_order("1..2")


def test_newer_packages_of_the_archive_count():
    """Of a base that is made of the archive, each package that has a newer version is a change, sorted by name."""
    found = inside(("zlib", "1.3.1-r2"), ("musl", "1.2.5-r9"), ("own", "1"), ("back", "2"), system="apk")
    newest = {"musl": "1.2.5-r21", "zlib": "1.3.2-r0", "back": "1"}
    assert stale.changes(found, None, newest) == (
        Change(name="musl", old="1.2.5-r9", new="1.2.5-r21"), Change(name="zlib", old="1.3.1-r2", new="1.3.2-r0"),
    )  # fmt: skip


def test_packages_of_a_registrys_base_change_with_the_base():
    """The archive's newer version does not get into an image whose base brings the older one; another base's does."""
    found = inside(("musl", "1.2.5-r9"), ("busybox", "2-r0"), ("zlib", "1.3.1-r2"), system="apk")
    base = {"musl": "1.2.5-r9", "busybox": "1-r0"}
    newest = {"musl": "1.2.5-r21", "zlib": "1.3.1-r3"}
    assert stale.changes(found, base, newest) == (
        Change(name="busybox", old="2-r0", new="1-r0"), Change(name="zlib", old="1.3.1-r2", new="1.3.1-r3"),
    )  # fmt: skip


def test_held_packages_do_not_change():
    """A package on hold stays whatever the archive has."""
    held = Package(name="musl", version="1", architecture="x86_64", held=True)
    found = Contents(system="apk", packages=(held,), files={}, base="")
    assert stale.changes(found, None, {"musl": "2"}) == ()


def test_contents_are_kept_whole():
    """What was learnt of an image is read back as it was, with its files; another version's file counts as none."""
    found = Contents(
        system="dpkg",
        packages=tuple(contents.dpkg_packages(DPKG)),
        files={"/etc/apt/key": b"\x00\xff"},
        base="sha256:1",
    )
    contents.keep("sha256:2", found)
    assert contents.find("sha256:2") == found
    (file,) = paths.home().rglob("sha256-2.json")
    file.write_text('{"system": "dpkg"}')
    assert contents.find("sha256:2") is None


def test_an_image_that_names_no_source_is_an_error(target):
    """Nothing is called fresh because nobody could be asked."""
    with pytest.raises(KilnError, match="names no Alpine repository"):
        candidates.newest(target, "linux/amd64", inside(("musl", "1"), system="apk"), ["musl"])
    for found, platform in ((inside(system=""), "linux/amd64"), (inside(("a", "1")), "windows/amd64")):
        with pytest.raises(AptError, match="cannot read the packages of such images"):
            candidates.newest(target, platform, found, ["a"])


@pytest.fixture
def target():
    return catalog.loads(json.dumps(family()), "versions.json").targets["alpine3.24"]


def test_the_table_says_what_changes():
    """Each image has a line, each package one below it with both versions, and the end sums up."""
    assert verdicts.table(VERDICTS) == (
        "3.13.5-slim-trixie  linux/amd64   fresh\n"
        "3.13.5-trixie       linux/arm/v7  stale (1 package)\n"
        "    bash: 1 -> 2\n"
        "    its base moved\n"
        "3.12-noble          linux/amd64   unknown\n"
        "    lost\n"
        "\n"
        "1 of 3 images would change if built today; `invoke build --no-cache ID` takes newer packages; "
        "1 cannot be judged"
    )
    narrow = verdicts.table(VERDICTS, 40)
    assert max(map(len, narrow.splitlines())) <= 40
    assert sorted(narrow.split()) == sorted(verdicts.table(VERDICTS).split())
    assert verdicts.table(VERDICTS[:1]).endswith("\n\nnothing to do: of 1 image none would change")


@pytest.mark.parametrize(("which", "code"), [((0,), 0), ((0, 1, 2), 2), ((0, 2), 1)])
def test_the_exit_code_tells_stale_from_unknown(which, code):
    """2 for a stale image, else 1 for one that cannot be judged, else 0."""
    assert verdicts.exit_code([VERDICTS[index] for index in which]) == code


def test_machines_read_the_same():
    """JSON has every verdict with all its values."""
    found = json.loads(verdicts.dumps(VERDICTS))
    assert found[1]["packages"] == [{"name": "bash", "old": "1", "new": "2"}]
    assert [one["state"] for one in found] == ["fresh", "stale", "unknown"]
