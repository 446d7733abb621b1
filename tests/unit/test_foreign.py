"""Nodes are read from what `buildx inspect` prints, and each platform goes to one of them."""

import msgspec
import pytest

from kiln import foreign
from tests.unit.fixtures import wide

TARGETS = wide().catalog.targets

# The engine's own builder, by buildx 0.13.
ONE = """\
Name:          default
Driver:        docker
Last Activity: 2026-11-21 13:48:24 +0000 UTC

Nodes:
Name:             default
Endpoint:         default
Status:           running
BuildKit version: v0.0.0+unknown
Platforms:        linux/amd64, linux/amd64/v2, linux/amd64/v3, linux/386{emulated}
Labels:
 org.mobyproject.buildkit.worker.hostname: vm
 Name: no node
GC Policy rule#0:
 All:           false
 Filters:       type==source.local
"""
# A node of each platform, as Docker's manual shows it; the second one was made with --platform.
TWO = """\
Name:          elated_tesla
Driver:        docker-container
Last Activity: 2022-11-30 12:42:47 +0100 CET

Nodes:
Name:           elated_tesla0
Endpoint:       unix:///var/run/docker.sock
Driver Options: env.BUILDKIT_STEP_LOG_MAX_SIZE="10485760"
Status:         running
Flags:          --debug --allow-insecure-entitlement security.insecure
Buildkit:       v0.10.6
Platforms:      linux/amd64{emulated}

Name:           elated_tesla1
Endpoint:       ssh://ubuntu@1.2.3.4
Status:         {status}
Buildkit:       v0.10.6
Platforms:      {second}
"""
ARM = "linux/arm64*, linux/arm/v7, linux/arm/v6"


def two(*, emulated="", second=ARM, status="running"):
    return foreign.nodes(TWO.format(emulated=emulated, second=second, status=status))


def test_a_node_has_its_own_platform_first():
    """Names and platforms only; labels and rules are none."""
    (node,) = foreign.nodes(ONE.format(emulated=", linux/arm64"))
    assert node.name == "default"
    assert node.platforms == ("linux/amd64", "linux/amd64/v2", "linux/amd64/v3", "linux/386", "linux/arm64")
    assert node.chosen == ()
    assert [node.native(name) for name in ("linux/amd64", "linux/386", "linux/arm64")] == [True, True, False]


def test_newer_versions_count_variants_in_brackets():
    """The count is no part of the name."""
    (node,) = foreign.nodes("Name: default\nPlatforms: linux/amd64 (+3), linux/arm64, linux/arm (+2)\n")
    assert node.platforms == ("linux/amd64", "linux/arm64", "linux/arm")


@pytest.mark.parametrize("emulated", ["", ", linux/arm64, linux/riscv64"])
def test_a_node_that_was_made_for_a_platform_gets_it(emulated):
    """Also where another node, before it, emulates the platform."""
    found = two(emulated=emulated)
    node = foreign.node_for(found, "linux/arm64")
    assert (node.name, node.native("linux/arm64"), node.native("linux/arm/v7")) == ("elated_tesla1", True, True)


def test_without_a_word_of_the_user_the_first_node_that_runs_it_gets_it():
    """That is how buildx chooses, though the second node would not have to emulate."""
    found = two(emulated=", linux/arm64", second=ARM.replace("*", ""))
    node = foreign.node_for(found, "linux/arm64")
    assert (node.name, node.native("linux/arm64")) == ("elated_tesla0", False)
    node = foreign.node_for(two(second=ARM.replace("*", "")), "linux/arm64")
    assert (node.name, node.native("linux/arm64")) == ("elated_tesla1", True)


def test_a_node_that_is_down_gets_nothing():
    """It has no platforms until it runs."""
    found = two(second="", status="inactive")
    assert [node.name for node in found] == ["elated_tesla0"]
    assert foreign.node_for(found, "linux/arm64") is None


@pytest.mark.parametrize(
    ("text", "target", "expected"),
    [
        (ONE.format(emulated=", linux/arm64"), "trixie", ("cross", "linux/amd64")),
        (ONE.format(emulated=""), "bookworm", ("cross", "linux/amd64")),
        (ONE.format(emulated=", linux/arm64"), "noble", ("emulated", "")),
        (ONE.format(emulated=", linux/arm64"), "alpine3.24", ("emulated", "")),
        (TWO.format(emulated=", linux/arm64", second=ARM, status="running"), "trixie", ("native", "")),
        (TWO.format(emulated="*, linux/arm64*", second="", status="inactive"), "trixie", ("native", "")),
        (TWO.format(emulated=", linux/arm64", second="", status="inactive"), "trixie", ("cross", "linux/amd64")),
    ],
    ids=[
        "emulating node",
        "not yet emulating",
        "Ubuntu",
        "Alpine",
        "node of its own",
        "made for both",
        "node of its own is down",
    ],
)
def test_debian_is_cross_compiled_where_no_node_is_native(text, target, expected):
    """An engine's own compiler is faster than an emulated one; a machine of that platform is as fast, and tests too."""
    found = foreign.nodes(text)
    told = [getattr(foreign, name)(TARGETS[target], "linux/arm64", found) for name in ("how", "toolchain")]
    assert tuple(told) == expected


def test_the_reverse_is_cross_compiled_too():
    """On a machine with an ARM processor, images for PCs."""
    found = foreign.nodes("Name: arm\nPlatforms: linux/arm64, linux/arm/v7, linux/amd64\n")
    assert foreign.toolchain(TARGETS["trixie"], "linux/amd64", found) == "linux/arm64"
    assert foreign.how(TARGETS["trixie"], "linux/arm64", found) == "native"


def test_a_platform_that_nobody_tried_is_emulated():
    """A rare platform's compiler is Debian's as well, but nothing says that all modules come out of it."""
    found = foreign.nodes(ONE.format(emulated=", linux/s390x"))
    target = msgspec.structs.replace(TARGETS["trixie"], platforms=["linux/s390x"])
    assert foreign.how(target, "linux/s390x", found) == "emulated"
