"""Distroless images: what their Dockerfiles say, which names they have, and how their files are put together."""

from pathlib import Path

import pytest

from kiln import render
from kiln.errors import CatalogError
from templates.distroless import assemble
from tests.images import expect
from tests.unit import family as f

PLAIN, DEBUG, SLIM = "3.13.5-distroless-trixie", "3.13.5-distroless-debug-trixie", "3.13.5-slim-trixie"


@pytest.fixture(scope="module")
def texts(ours):
    """Return the Dockerfiles of a few images by id."""
    return {name: render.dockerfile(ours.get(name), ours.catalog) for name in (PLAIN, DEBUG, SLIM)}


def final(text):
    """Return the lines of the last stage without comments."""
    return [line for line in text.rpartition("\nFROM ")[2].splitlines() if not line.startswith("#")]


def test_nothing_runs_in_the_image(texts):
    """The last stage begins with nothing, copies the system before Python, and runs no command; the user is not root."""
    for text in (texts[PLAIN], texts[DEBUG]):
        lines = final(text)
        assert lines[0] == "scratch"
        assert not [line for line in lines if line.startswith(("RUN", "ADD"))]
        assert [line for line in lines if line.startswith("COPY")][:2] == [
            "COPY --from=python /image/system/ /", "COPY --from=python /image/python/ /",
        ]  # fmt: skip
        assert {"USER 65532:65532", "WORKDIR /home/nonroot", 'CMD ["python3"]'} <= set(lines)


def test_only_the_debug_image_has_a_shell(texts):
    """BusyBox is a stage and a layer of its own, behind all that both images have."""
    assert "busybox-static" in texts[DEBUG]
    assert "busybox-static" not in texts[PLAIN]
    assert "COPY --from=shell /image/shell/ /" in final(texts[DEBUG])
    shared = [
        text[text.index("FROM base AS python") :].partition("\nFROM ")[0] for text in (texts[PLAIN], texts[DEBUG])
    ]
    assert shared[0] == shared[1]


def test_packages_are_installed_as_for_slim(texts):
    """The step that installs packages has slim's text, so that a build does it once."""
    steps = [text[text.index("FROM base AS python") :].partition("\nEOF\n")[0] for text in (texts[PLAIN], texts[SLIM])]
    assert steps[0] == steps[1]


def test_all_variants_share_a_compile(ours):
    """A family of four variants compiles Python once."""
    images = [ours.get(name) for name in ("3.13.5-trixie", SLIM, PLAIN, DEBUG)]
    assert len({render.compile_key(image, "linux/amd64", ours.catalog) for image in images}) == 1


def test_names(ours):
    """The tags follow from the variant; the default target may go without saying."""
    assert ours.get(PLAIN).tags.specific == (PLAIN, "3.13.5-distroless")
    assert ours.get(DEBUG).tags.specific == (DEBUG, "3.13.5-distroless-debug")
    assert ours.get("3.13.5-distroless-bookworm").tags.specific == ("3.13.5-distroless-bookworm",)
    newest = next(image for image in ours.images if image.id == "3.14.1-distroless-trixie")
    assert newest.tags.specific[-1] == "distroless"


def test_they_come_last(ours):
    """Whoever lists variants begins with those that most people want."""
    assert ours.catalog.variant_names == ["full", "slim", "distroless", "distroless-debug"]
    names = [image.variant for image in ours.images if image.python == "3.13.5" and image.target_name == "trixie"]
    assert names == ours.catalog.variant_names


def test_only_debians_packages_make_one(tmp_path):
    """Elsewhere, versions.json is told to do without."""
    data = f.family()
    data["variants"]["distroless"] = {"description": "less"}
    data["targets"]["alpine3.24"]["variants"]["distroless"] = {}
    with pytest.raises(CatalogError) as caught:
        f.load(tmp_path, data)
    where = "$.targets['alpine3.24'].variants['distroless']"
    assert str(caught.value).endswith(f"{where}: found it for alpine, but only Debian and Ubuntu have it; remove it")


def test_what_is_expected_of_them(ours):
    """No setuid file, another user, no module that is left out, and a folder more on PATH to debug."""
    plain, debug = ours.get(PLAIN), ours.get(DEBUG)
    assert expect.setuid(plain) == frozenset()
    assert expect.user(plain) == [65532, "/home/nonroot", "/home/nonroot"]
    assert "lib2to3.pgen2.driver" in expect.modules(ours.get("3.11.2-slim-bookworm"))
    assert not [name for name in expect.modules(ours.get("3.11.2-distroless-bookworm")) if name.startswith("lib2to3")]
    assert expect.environment(debug)["PATH"] == expect.environment(plain)["PATH"] + ":/busybox"
    assert expect.packages(ours.get(SLIM), "linux/amd64") - expect.packages(plain, "linux/amd64") == {"libzstd1"}


# Putting the files together


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Return a small system with two packages, in which /lib is a link into /usr."""
    root = tmp_path / "root"
    for name, text in {
        "usr/lib/libz.so.1.3": "\x7fELF",
        "usr/share/doc/zlib1g/copyright": "free",
        "etc/services": "https 443/tcp",
        "var/lib/dpkg/status": "Package: zlib1g\nVersion: 1.3\n\nPackage: netbase\nVersion: 6.5\n\nPackage: dash\nVersion: 1\n",
        "var/lib/dpkg/info/zlib1g:amd64.list": "/.\n/lib\n/lib/libz.so.1\n/lib/libz.so.1.3\n",
        "var/lib/dpkg/info/zlib1g:amd64.md5sums": "aa  lib/libz.so.1.3\nbb  usr/share/doc/zlib1g/README\n",
        "var/lib/dpkg/info/netbase.list": "/.\n/etc/services\n/usr/lib\n",
        "var/lib/dpkg/info/dash.list": "/.\n/usr/bin/dash\n/usr/lib\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "lib").symlink_to("usr/lib")
    (root / "usr/lib/libz.so.1").symlink_to("libz.so.1.3")
    monkeypatch.setattr(assemble, "ROOT", root)
    monkeypatch.setattr(assemble, "DPKG", root / "var/lib/dpkg")
    return root


def test_a_library_comes_with_what_its_name_leads_to(root, tmp_path):
    """The loader looks for a name that is a link; both get to where they really are."""
    assemble.take(root / "lib/libz.so.1", tmp_path / "image")
    folder = tmp_path / "image/usr/lib"
    assert sorted(path.name for path in folder.iterdir()) == ["libz.so.1", "libz.so.1.3"]
    assert folder.joinpath("libz.so.1").readlink() == Path("libz.so.1.3")
    assert not (tmp_path / "image/lib").exists()


def test_each_package_of_a_file_is_recorded(root, tmp_path):
    """With what dpkg knows of it, the checksums of what is there, and its licence; others are not."""
    image = tmp_path / "image"
    for name in ("lib", "lib/libz.so.1", "etc/services"):
        assemble.take(root / name, image)
    assemble.record(image)
    found = {path.name: path.read_text() for path in (image / "var/lib/dpkg/status.d").iterdir()}
    # A file named as dpkg has it refers to the root, where the image's own link leads to it.
    assert found == {
        "netbase": "Package: netbase\nVersion: 6.5\n", "netbase.md5sums": "",
        "zlib1g": "Package: zlib1g\nVersion: 1.3\n", "zlib1g.md5sums": "aa  lib/libz.so.1.3\n",
    }  # fmt: skip
    assert (image / "usr/share/doc/zlib1g/copyright").read_text() == "free"


def test_a_library_without_a_package_ends_the_build(root, tmp_path):
    """No scanner would know of it."""
    (root / "usr/lib/libodd.so.1").write_text("\x7fELF")
    assemble.take(root / "usr/lib/libodd.so.1", tmp_path / "image")
    with pytest.raises(SystemExit, match=r"usr/lib/libodd\.so\.1 is in no package"):
        assemble.record(tmp_path / "image")


@pytest.mark.parametrize("series", ["3.11", "3.13t"])
def test_python_without_what_nobody_runs_there(tmp_path, series):
    """Modules, packages, scripts and headers go; the interpreter and the rest stay."""
    library = f"usr/local/lib/python{series}"
    kept = {f"usr/local/bin/python{series}", f"{library}/os.py", f"{library}/pydoc.py"}
    gone = {
        "usr/local/lib/libpython3.so", f"usr/local/lib/libpython{series}.so.1.0",
        "usr/local/bin/pip3", f"usr/local/bin/python{series}-config", "usr/local/include/python/Python.h",
        "usr/local/share/man/python.1", f"{library}/config-{series}-x/Makefile", f"{library}/ensurepip/__init__.py",
        f"{library}/site-packages/pip/__init__.py", f"{library}/site-packages/odd.pth", f"{library}/venv/__init__.py",
    }  # fmt: skip
    for name in kept | gone:
        (tmp_path / "from" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "from" / name).touch()
    (tmp_path / "from/usr/local/bin/pip").symlink_to("pip3")
    (tmp_path / "from/usr/local/bin/python").hardlink_to(tmp_path / f"from/usr/local/bin/python{series}")
    assemble.python(tmp_path / "from", tmp_path / "to")
    files = {str(path.relative_to(tmp_path / "to")) for path in (tmp_path / "to").rglob("*") if not path.is_dir()}
    assert files == kept | {"usr/local/bin/python"}
    assert (tmp_path / "to/usr/local/bin/python").samefile(tmp_path / f"to/usr/local/bin/python{series}")
