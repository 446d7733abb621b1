"""The checks of distroless images: what takes the place of pip, a shell and a package manager, and that none is there."""

import pytest

from kiln.model import DISTROLESS
from tests.images import expect as known

pytestmark = pytest.mark.variant(*DISTROLESS)


def test_programs(expect, image, facts):
    """Python is the only command on PATH: no shell, no package manager, no pip; BusyBox's are in the debug image."""
    found = [path for path in facts["programs"] if not path.startswith("/busybox/")]
    expect("commands on PATH", sorted(known.programs(image)), found)


@pytest.mark.variant("distroless")
def test_no_shell(expect_none, facts):
    """No shell is anywhere."""
    expect_none("shells", facts["tree"]["shells"])


@pytest.mark.variant("distroless-debug")
def test_busybox(expect, facts, installs):
    """The debug image has a shell and the usual commands, in a folder of their own."""
    names = {path.rpartition("/")[2] for path in facts["programs"] if path.startswith("/busybox/")}
    wanted = {"sh", "ls", "cat", "ps", "wget", "vi", "env", "find", "grep"}
    expect("commands of BusyBox", sorted(wanted), sorted(wanted & names))
    expect("output of its shell", "3 python3", installs["shell"])


def test_nothing_to_build_with(expect_none, facts):
    """No header, no Makefile and no static library of Python's is there."""
    expect_none("files to build with", facts["tree"]["building"])


def test_unpacked_wheel(expect, installs):
    """A wheel that somebody puts into the image imports."""
    expect("folder of a package", "/home/nonroot/", installs["wheel"][: len("/home/nonroot/")])


def test_libraries_of_wheels(expect, facts):
    """The libraries load that wheels take for granted, and do not bring along."""
    expect("libraries that do not load", {}, facts["granted"])


def test_accounts(expect, facts):
    """The usual three users are known by name, so that `~` and file owners are."""
    users = {
        "root": [0, 0, "/root"], "nobody": [65534, 65534, "/nonexistent"],
        "nonroot": [65532, 65532, "/home/nonroot"],
    }  # fmt: skip
    expect("users", users, facts["system"]["users"])
    expect("groups", {"root": 0, "tty": 5, "nogroup": 65534, "nonroot": 65532}, facts["system"]["groups"])


def test_writable(expect, facts, installs):
    """The user can write to its home and to temporary files, and nowhere else."""
    expect("folders that the user can write to", list(known.FOLDERS), installs["writable"])
    expect("modes", known.FOLDERS, facts["system"]["modes"])


def test_localhost(expect, facts):
    """Names of hosts are looked up in /etc/hosts."""
    expect("an address of localhost", True, "127.0.0.1" in facts["system"]["localhost"] or facts["system"]["localhost"])


def test_every_library_has_its_package(expect, expect_none, facts):
    """Scanners find the package of each library, and its checksum."""
    recorded = facts["recorded"]
    system = [path for path, *_ in facts["tree"]["elf"] if not path.startswith("/usr/local/")]
    expect("libraries of the distribution", True, len(system) > 10)
    expect_none("libraries that no package lists", set(system) - set(recorded["listed"]))
    expect_none("files that are not what their package lists", recorded["wrong"])
    expect_none("packages without their licence", recorded["without_licence"])


def test_packages_have_files(expect, facts):
    """No package is named that nothing is there of."""
    names = {"libc6", "libgcc-s1", "libstdc++6", "base-files", "libc-bin", "netbase", "tzdata", "ca-certificates"}
    expect("packages", sorted(names), sorted(names & set(facts["packages"])))
    most = 40
    expect(f"at most {most} packages", True, len(facts["packages"]) <= most or facts["packages"])


def test_layers(expect, image, subject):
    """The system, Python and the folder that commands run in have a layer each, and BusyBox has one."""
    count = len(subject.config["RootFS"]["Layers"])
    expect("layers", 4 if image.variant == "distroless-debug" else 3, count)
