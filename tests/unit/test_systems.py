"""Targets for systems that a family does not have yet."""

import pytest

from kiln import systems
from kiln.errors import ImportedError
from tests.unit import family as f
from tests.unit.test_library import FAMILY

SYSTEMS = [
    ("buster", "debian", "buster", "debian:buster-slim", "Debian 10 (buster)", "bookworm"),
    ("duke", "debian", "duke", "debian:duke-slim", "Debian 15 (duke)", "forky"),
    ("unheard", "debian", "unheard", "debian:unheard-slim", "Debian (unheard)", "forky"),
    ("focal", "ubuntu", "20.04", "ubuntu:focal", "Ubuntu 20.04 (focal)", "jammy"),
    ("unheard", "ubuntu", "unheard", "ubuntu:unheard", "Ubuntu (unheard)", "noble"),
    ("alpine3.9", "alpine", "3.9", "alpine:3.9", "Alpine 3.9", "alpine3.23"),
    ("alpine4.0", "alpine", "4.0", "alpine:4.0", "Alpine 4.0", "alpine3.24"),
    ("windowsservercore-1809", "windows", "1809", "mcr.microsoft.com/windows/servercore:1809", "Windows Server Core 1809", ""),
    ("nanoserver-ltsc2022", "windows", "ltsc2022", "mcr.microsoft.com/windows/nanoserver:ltsc2022", "Nano Server ltsc2022", ""),
]  # fmt: skip


@pytest.mark.parametrize("facts", SYSTEMS, ids=lambda facts: f"{facts[1]}-{facts[0]}")
def test_a_system_is_known_by_its_name(facts):
    """Its own release, image and title follow, and the target whose packages come closest."""
    name, distribution, release, image, title, nearest = facts
    system = systems.System(name=name, distribution=distribution)
    assert (system.release, system.image, system.title) == (release, image, title)
    target, lender = systems.target(system, FAMILY, ["linux/amd64"], ["slim"], "slim")
    assert lender == nearest
    assert target.packages.runtime == (FAMILY.targets[nearest].packages.runtime if nearest else [])


def test_a_target_that_the_family_has_stays_what_it_is():
    """But for what the import says of it: platforms and variants."""
    system = systems.System(name="trixie", distribution="debian")
    target, _ = systems.target(system, FAMILY, ["linux/s390x"], ["slim"], "slim")
    own = FAMILY.targets["trixie"]
    assert (target.title, target.packages, target.base.image) == (own.title, own.packages, own.base.image)
    assert (target.platforms, target.base.platforms) == (["linux/s390x"], ["linux/s390x"])
    assert target.variants == {"slim": own.variants["slim"]}


def test_a_family_without_the_distribution_cannot_lend_packages(tmp_path):
    """The message says where others may come from."""
    system = systems.System(name="noble", distribution="ubuntu")
    with pytest.raises(ImportedError, match=r"noble: the family has no target of ubuntu .* --versions"):
        systems.target(system, f.load(tmp_path, f.family()), [], ["slim"], "slim")
