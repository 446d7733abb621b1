"""Which origin a base is taken from, as far as no process is needed to tell."""

import time

import msgspec
import pytest

from kiln import bases, debian, emulation, registry
from kiln.errors import BaseError
from kiln.model import BaseImage, Packages, Target

IMAGE, DIGEST = "debian:trixie-slim", f"sha256:{'a' * 64}"


def _target(distribution="debian", image=IMAGE, **pinned):
    return Target(
        distribution=distribution, release="trixie", title="Debian 13 (trixie)",
        base=BaseImage(image=image, platforms=["linux/amd64"], **pinned), platforms=["linux/amd64"],
        variants={}, default_variant="slim", packages=Packages(compile=[], full=[], runtime=[]),
    )  # fmt: skip


class _Silent:
    """An engine that nobody may call."""

    env = {}  # noqa: RUF012

    def buildx(self, *args):
        raise AssertionError(args)


def _remember(age=0.0, **found):
    known = registry.Found(at=time.time() - age, **found)
    registry._file().write_bytes(msgspec.json.encode({IMAGE: known}))  # noqa: SLF001


@pytest.fixture(autouse=True)
def _machine(monkeypatch):
    """Take this machine for a Debian one of the usual kind."""
    monkeypatch.delenv("KILN_BASES", raising=False)
    monkeypatch.setattr(bases.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(emulation.machine, "machine", lambda: "x86_64")
    monkeypatch.setattr(emulation, "_may_register", lambda: False)


def test_a_base_that_a_registry_has_is_taken_from_it():
    """The context pins what the registry answered."""
    _remember(digest=DIGEST)

    expected = bases.Base(
        context=f"docker-image://{IMAGE}@{DIGEST}", digest=DIGEST, name=IMAGE, origin="registry", created=0
    )
    assert expected == bases.resolve(_target(), "linux/amd64", engine=_Silent())
    assert bases.available(_target(), "linux/amd64") == "registry"


@pytest.mark.parametrize(
    ("found", "age", "known"),
    [({"digest": DIGEST}, 60, True), ({"digest": DIGEST}, 1000, False), ({"reason": "x"}, 60, True),
     ({"reason": "x"}, 400, False), ({"digest": DIGEST}, -60, False)],
)  # fmt: skip
def test_answers_are_remembered_for_minutes(found, age, known):
    """A failure for a shorter time, and never one from the future."""
    _remember(age, **found)

    assert known == (registry.known(IMAGE) is not None)


def test_a_memory_that_cannot_be_read_is_no_memory():
    """Kiln asks again instead of failing."""
    registry._file().write_bytes(b'{"a": 1')  # noqa: SLF001

    assert registry.known(IMAGE) is None


def test_a_pinned_image_is_asked_for_by_its_digest():
    """What the tag points to by now does not matter."""
    assert f"{IMAGE}@{DIGEST}" == registry.reference(_target(digest=DIGEST).base)
    assert registry.reference(_target().base) == IMAGE


@pytest.mark.parametrize("distribution", ["ubuntu", "alpine"])
def test_only_debian_is_bootstrapped(distribution):
    """The message gives the registry's reason and both remedies."""
    _remember(reason="no such host")

    assert bases.available(_target(distribution), "linux/amd64") is None
    with pytest.raises(BaseError) as error:
        bases.resolve(_target(distribution), "linux/amd64", engine=_Silent())
    assert str(error.value) == (
        "debian:trixie-slim for linux/amd64: not from its registry (no such host); only Debian bases can be "
        "bootstrapped; make the registry reachable, or choose a Debian target"
    )


def test_a_foreign_architecture_needs_an_emulator(monkeypatch):
    """Without one, the message says what to install."""
    monkeypatch.setattr(emulation, "emulated", lambda architecture: architecture == "riscv64")
    _remember(reason="no such host")

    assert bases.available(_target(), "linux/amd64") == "bootstrap"
    assert bases.available(_target(), "linux/riscv64") == "bootstrap"
    with pytest.raises(BaseError, match="arm64 programs cannot run here, and only root on the host may register"):
        bases.resolve(_target(), "linux/arm64", engine=_Silent())


def test_one_origin_can_be_forced(monkeypatch):
    """`KILN_BASES` rules the other one out, and a word it does not know is an error."""
    _remember(digest=DIGEST)
    monkeypatch.setenv("KILN_BASES", "bootstrap")
    assert bases.available(_target(), "linux/amd64") == "bootstrap"

    _remember(reason="no such host")
    monkeypatch.setenv("KILN_BASES", "registry")
    assert bases.available(_target(), "linux/amd64") is None
    with pytest.raises(BaseError, match="KILN_BASES=registry rules out a bootstrap"):
        bases.resolve(_target(), "linux/amd64", engine=_Silent())

    monkeypatch.setenv("KILN_BASES", "both")
    with pytest.raises(BaseError, match="KILN_BASES=both: no such origin; set it to registry or bootstrap"):
        bases.available(_target(), "linux/amd64")


def test_packages_are_read_from_a_simulation():
    """Each package once, in order, whatever apt says besides."""
    log = (
        "Reading package lists...\n"
        "Inst tzdata (2026f-0+deb13u1 Debian:13-updates/stable-updates [all])\n"
        "Inst libc6 (2.41-12+deb13u4 Debian:13.7/stable [amd64]) []\n"
        "Conf libc6 (2.41-12+deb13u4 Debian:13.7/stable [amd64])\n"
        "Inst libc6 (2.41-12+deb13u4 Debian:13.7/stable [amd64])\n"
    )

    assert debian.simulated(log) == ["libc6 2.41-12+deb13u4", "tzdata 2026f-0+deb13u1"]
