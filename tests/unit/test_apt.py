"""What is computed around the host's apt: configurations, source entries, tarballs in an index."""

from pathlib import Path

from kiln import apt, aptview, bootstrap
from kiln.apt import SourceFile

INDEX = b"""\
Package: python3.12
Binary: python3.12, python3.12-venv
Version: 3.12.1-1
Directory: pool/main/p/python3.12
Checksums-Sha256:
 00 1 python3.12_3.12.1.orig.tar.xz

Package: python3.13
Binary: python3.13,
 python3.13-venv
Version: 3.13.5-2
Files:
 11 22856016 python3.13_3.13.5.orig.tar.xz
Checksums-Sha256:
 aa 3145 python3.13_3.13.5-2.dsc
 bb 22856016 python3.13_3.13.5.orig.tar.xz
 cc 833 python3.13_3.13.5.orig.tar.xz.asc
 dd 99 python3.13_3.13.5.orig-docs.tar.xz
 ee 228412 python3.13_3.13.5-2.debian.tar.xz
Directory: pool/main/p/python3.13

Package: python3.11
Version: 3.11.2-6
Directory: pool/main/p/python3.11
Checksums-Sha256:
 ff 26437858 python3.11_3.11.2.orig.tgz
"""
KEYRING = Path("/usr/share/keyrings/debian.pgp")


def test_upstream_tarballs_are_read_from_an_index():
    """Signatures, further components, packaging and other packages are left out."""
    found = list(apt.parse(INDEX, "https://example.org/debian/", "trixie", ["python3.13", "python3.11"]))
    assert found == [
        SourceFile(
            name="python3.13_3.13.5.orig.tar.xz", sha256="bb", size=22856016, suite="trixie",
            url="https://example.org/debian/pool/main/p/python3.13/python3.13_3.13.5.orig.tar.xz",
            package="python3.13", version="3.13.5-2",
        ),
        SourceFile(
            name="python3.11_3.11.2.orig.tgz", sha256="ff", size=26437858, suite="trixie",
            url="https://example.org/debian/pool/main/p/python3.11/python3.11_3.11.2.orig.tgz",
            package="python3.11", version="3.11.2-6",
        ),
    ]  # fmt: skip


def test_a_package_is_found_by_its_whole_name():
    """The dot of a version is no wildcard."""
    assert list(apt.parse(INDEX, "https://example.org/debian", "sid", ["python3", "python3x13"])) == []


def test_a_view_keeps_its_state_in_its_own_folder():
    text = aptview.configuration(Path("/home/apt/host"), own_sources=False)
    assert 'Dir::State::Lists "/home/apt/host/lists";' in text
    assert 'Dir::Cache "/home/apt/host/cache";' in text
    assert "#clear APT::Update;" in text
    assert "Dir::Etc" not in text


def test_a_view_with_sources_of_its_own_ignores_the_hosts():
    text = aptview.configuration(Path("/home/apt/source-sid"), own_sources=True)
    assert 'Dir::Etc::sourcelist "/home/apt/source-sid/kiln.sources";' in text
    assert 'Dir::Etc::sourceparts "-";' in text


def test_a_source_entry_names_its_keyring():
    assert aptview.entry("deb-src", "https://example.org/debian", ["trixie", "sid"], KEYRING) == (
        "Types: deb-src\nURIs: https://example.org/debian\nSuites: trixie sid\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian.pgp\n"
    )


def test_an_address_loses_its_last_slash():
    assert apt.address("https://example.org/debian/") == "https://example.org/debian"


def test_a_file_of_mirrors_stands_for_its_first(tmp_path):
    """Debian's cloud images name such a file in place of an address."""
    file = tmp_path / "debian.list"
    file.write_text("# mirrors\nhttps://example.org/debian/ priority:1\nhttps://example.org/other\n")
    assert apt.address(f"mirror+file:{file}/") == "https://example.org/debian"


def test_perl_modules_are_found_below_an_unpacked_tree(tmp_path):
    """Whatever Perl's version and the machine's architecture."""
    for name in ("usr/share/perl/5.36.0", "usr/share/perl5", "usr/lib/aarch64-linux-gnu/perl/5.36", "usr/bin"):
        (tmp_path / name).mkdir(parents=True)
    found = [str(path.relative_to(tmp_path)) for path in bootstrap.perl_path(tmp_path)]
    assert found == ["usr/share/perl5", "usr/share/perl/5.36.0", "usr/lib/aarch64-linux-gnu/perl/5.36"]
