"""What the image tests expect follows from the matrix."""

import re

import pytest

from tests.images import expect
from tests.unit.family import expand, family, release


@pytest.fixture
def images(tmp_path):
    found = expand(tmp_path, family(releases=[release("3.13.5"), release("3.14.10"), release("3.11.2")]))
    return {image.id: image for image in found.images}


@pytest.mark.parametrize(
    "name", ["gcc", "gcc-14", "x86_64-linux-gnu-gcc-14", "g++", "cc", "c++", "ld.bfd", "as", "make", "clang-19", "tcc"]
)
def test_compilers_are_known_by_name(name):
    """Compilers are found with a triplet before their name and a version behind it."""
    assert re.fullmatch(expect.COMPILERS, name)


@pytest.mark.parametrize("name", ["base64", "tar", "bash", "ldconfig", "ldd", "python3.13", "passwd", "md5sum", "last"])
def test_other_commands_are_no_compilers(name):
    """Commands whose names only look alike are left alone."""
    assert not re.fullmatch(expect.COMPILERS, name)


def test_builders_are_known_by_package():
    """Packages for building are found; those that only share a word with them are not."""
    other = ["gcc-14-base", "libgcc-s1", "make-guile-doc", "libstdc++6", "linux-libc", "patchutils", "musl"]
    builders = ["gcc", "gcc-14", "gcc-14-x86-64-linux-gnu", "binutils-common", "libc6-dev", "make", "build-base"]
    assert builders == expect.builders([*builders, *other])


def test_modules_follow_the_series(images):
    """compression.zstd came with 3.14; crypt went with 3.13."""
    assert "compression.zstd" in expect.modules(images["3.14.10-slim-trixie"])
    assert "compression.zstd" not in expect.modules(images["3.13.5-slim-trixie"])
    assert "crypt" in expect.modules(images["3.11.2-slim-trixie"])
    assert "crypt" not in expect.modules(images["3.13.5-slim-trixie"])


def test_tk_is_for_full_images(images):
    """Only full images must have tkinter."""
    assert "tkinter" in expect.modules(images["3.13.5-trixie"])
    assert "tkinter" not in expect.modules(images["3.13.5-slim-trixie"])


def test_names_have_the_letter_of_the_flavour(tmp_path):
    """A free-threaded Python's library, wheels and folder of packages are none of the other flavour's."""
    images = expand(tmp_path, family(releases=[release("3.14.1", flavours=["default", "freethreaded"])])).images
    plain, free = images[0], images[-1]
    told = [(expect.library(one), expect.wheel_tag(one), expect.site(one)) for one in (plain, free)]
    assert told == [
        ("libpython3.14.so.1.0", "cp314-cp314", "/usr/local/lib/python3.14/site-packages/"),
        ("libpython3.14t.so.1.0", "cp314-cp314t", "/usr/local/lib/python3.14t/site-packages/"),
    ]
    assert "python3.14t" in expect.commands(free)


def test_quick_builds_are_not_optimised(images):
    """The options of configure tell a quick build from a published one."""
    image = images["3.13.5-slim-trixie"]
    assert {"--enable-optimizations", "--with-lto"} == expect.configure(image, quick=False) - expect.configure(
        image, quick=True
    )


def test_setuid_files_follow_distribution_and_variant(images):
    """Alpine has no setuid file; ssh's agent is in full images only."""
    assert expect.setuid(images["3.13.5-alpine3.24"]) == frozenset()
    assert "/usr/bin/ssh-agent" in expect.setuid(images["3.13.5-trixie"])
    assert "/usr/bin/ssh-agent" not in expect.setuid(images["3.13.5-slim-trixie"])


def test_needles_are_addresses():
    """Numbers and flags of pip's configuration are no secrets; addresses are, without their last slash."""
    found = expect.needles([" true", " 15", " https://index.example.org/simple/ https://other.example.org/simple"])
    assert found == ["https://index.example.org/simple", "https://other.example.org/simple"]


@pytest.mark.parametrize(
    "path",
    [
        "/var/lib/apt/lists/example.org_Packages", "/var/cache/apt/archives/gcc.deb", "/var/cache/apt/pkgcache.bin",
        "/var/cache/apk/APKINDEX.tar.gz", "/var/log/dpkg.log", "/root/.cache/", "/usr/src/x", "/run/kiln/ca.crt",
        "/usr/src/python/", "/etc/apt/apt.conf.d/zz-kiln",
    ],
)  # fmt: skip
def test_leftovers_are_known(path):
    """What builds and package managers leave behind is found."""
    assert re.fullmatch(expect.LEFTOVERS, path)


@pytest.mark.parametrize(
    "path",
    ["/var/lib/apt/lists/", "/var/lib/apt/lists/lock", "/var/lib/apt/lists/partial/", "/usr/src/", "/root/.bashrc"],
)
def test_what_belongs_to_a_base_is_no_leftover(path):
    """The folders and files that every base has are left alone."""
    assert not re.fullmatch(expect.LEFTOVERS, path)


@pytest.mark.parametrize("path", ["/etc/pip.conf", "/root/.netrc", "/root/.docker/config.json", "/root/id_rsa"])
def test_secrets_are_known_by_name(path):
    """Files that hold credentials are found."""
    assert re.search(expect.SECRETS, path)


@pytest.fixture
def package(tmp_path):
    entry = {
        "command": ["start"], "description": "An ASGI server", "environment": {"A": "1"}, "port": 80, "pythons": ["3.13"],
        "requirements": ["uvicorn[standard]"], "targets": ["trixie"], "variants": ["slim"], "versions": ["0.18.3"],
        "test": {"imports": ["uvicorn"], "kind": "http"},
    }  # fmt: skip
    return expand(tmp_path, family(releases=[release("3.13.5")], packages={"uvicorn": entry})).packages[0]


def test_packages_have_a_user_and_a_port(package, images):
    """How an image with a package is run follows from its entry; a Python image is run as the official ones are."""
    assert expect.command(package) == {
        "Cmd": ["start"], "ExposedPorts": {"80/tcp": {}}, "User": "1000:1000", "WorkingDir": "/app",
    }  # fmt: skip
    assert expect.command(images["3.13.5-slim-trixie"])["User"] == ""
    assert expect.user(package) == [1000, "/app", "/app"]
    assert expect.site(package) == "/app/.local/lib/python3.13/site-packages/"
    assert expect.site(images["3.13.5-slim-trixie"]) == "/usr/local/lib/python3.13/site-packages/"


def test_packages_add_to_the_environment_and_the_size(package, images):
    """What the entry sets is there beside what Python's image has."""
    assert expect.environment(package) == expect.environment(images["3.13.5-slim-trixie"]) | {"A": "1"}
    budget = expect.budget(images["3.13.5-slim-trixie"])
    assert budget is None or expect.budget(package) > budget


def test_the_version_of_a_package_is_that_of_its_first_requirement(package):
    """Extras are no part of its name."""
    assert expect.versions(package) == {"uvicorn": "0.18.3"}
