"""A cross compile is the same stage with other programs: rendered, named and recorded apart from native ones."""

import re

import msgspec
import pytest

from kiln import bake, matrix, plan, render, stages
from kiln.bake import Inputs
from kiln.model import Interpreter, Training
from kiln.plan import Options, Wanted

ARM, PC = "linux/arm64", "linux/amd64"
INPUTS = Inputs(base="oci-layout:///arm@sha256:1", base_digest="sha256:1", source="/s", source_sha256="a" * 64)
CROSS = msgspec.structs.replace(INPUTS, toolchain="oci-layout:///pc@sha256:2", toolchain_digest="sha256:2")


@pytest.fixture(autouse=True)
def _no_git(monkeypatch):
    """Keep git out of it: the commit is the Dockerfile's first word."""
    monkeypatch.setattr(plan, "revision", lambda _, dockerfile, __: dockerfile.split()[0])


def expected(ours, inputs, *, quick=False, name="3.13.5-slim-trixie"):
    return plan.expected(Wanted(image=ours.get(name), platform=ARM), ours, inputs, Options(quick=quick))


def trained(ours):
    training = Training(tests=["test_json"], reason="It takes a minute under emulation.")
    family = msgspec.structs.replace(ours.catalog, interpreter=Interpreter(emulated=training))
    return matrix.expand(family)


def test_native_files_know_nothing_of_it(ours):
    """What is committed has no cross compiler and no second Python."""
    text = "".join(render.files(ours).values())
    assert not re.search("toolchain|--host=|build-python|add-architecture", text)


def test_programs_run_here_and_libraries_are_the_others(ours):
    """The compiler makes the other platform's programs; make and tar stay this machine's."""
    found = stages.compiled(ours.get("3.13.5-trixie"), cross=ARM)
    assert {"gcc-aarch64-linux-gnu", "libssl-dev:arm64", "tk-dev:arm64", "make", "dpkg-dev"} <= {
        *found.compile_packages
    }
    assert not {"gcc", "libssl-dev", "make:arm64"} & {*found.compile_packages}
    assert {"gcc", "make", "libc6-dev", "zlib1g-dev"} <= {*found.cross.build_packages}
    reverse = stages.compiled(ours.get("3.13.5-trixie"), cross=PC)
    assert "gcc-x86-64-linux-gnu" in reverse.compile_packages


def test_the_stage_compiles_for_the_other_platform(ours):
    """Its compiler, its hardening flags, its strip; the Python that helps is of the same version and flavour."""
    text = render.dockerfile(ours.get("3.13.5t-slim-trixie"), ours.catalog, ARM)
    assert "FROM --platform=$BUILDPLATFORM debian:trixie-slim AS toolchain\n" in text
    assert "--with-build-python=/usr/local/bin/python3.13t \\\n" in text
    assert "export DEB_HOST_ARCH=arm64\n" in text
    assert "AR=aarch64-linux-gnu-gcc-ar \\\n" in text
    assert "-exec aarch64-linux-gnu-strip --strip-unneeded" in text
    assert text.count("--disable-gil") == 2
    assert text.rpartition("\nFROM ")[2].startswith("base AS python\n")


def test_cross_and_native_are_never_one(ours):
    """Keys, targets and digests tell them apart, and so does another toolchain."""
    native, cross = expected(ours, INPUTS), expected(ours, CROSS)
    other = expected(ours, msgspec.structs.replace(CROSS, toolchain_digest="sha256:3"))
    assert len({native.digest, cross.digest, other.digest}) == 3
    assert native.compile_key != cross.compile_key == other.compile_key
    assert native.compile_target.startswith("compile-")
    assert cross.compile_target.startswith("cross-compile-")
    assert cross.inputs.revision == native.inputs.revision
    assert expected(ours, CROSS, name="3.13.5-trixie").compile_target == cross.compile_target


def test_a_build_has_its_toolchain_as_a_context(ours, tmp_path):
    """Beside the base of its own platform, and for that platform."""
    build = expected(ours, CROSS)
    targets = bake.definition([build], native=PC, folder=tmp_path, secrets={})["target"]
    for target in targets.values():
        assert target["contexts"] == {
            "base": "oci-layout:///arm@sha256:1", "source": "/s", "toolchain": "oci-layout:///pc@sha256:2",
        }  # fmt: skip
        assert target["platforms"] == [ARM]


def test_without_training_for_it_a_label_says_that_it_is_not_profile_guided(ours, tmp_path):
    """Neither quick builds, which say so themselves, nor native ones have it."""

    def labels(build):
        targets = bake.definition([build], native=PC, folder=tmp_path, secrets={})["target"]
        return {name for name in targets[build.target]["labels"] if name.startswith("io.kiln.")}

    plain = msgspec.structs.replace(ours.catalog, interpreter=Interpreter())
    family = matrix.expand(plain)
    assert labels(expected(family, CROSS)) == {"io.kiln.profile-guided"}
    assert labels(expected(family, CROSS, quick=True)) == {"io.kiln.quick"}
    assert labels(expected(family, INPUTS)) == set()
    assert "--enable-optimizations" not in expected(family, CROSS).dockerfile


def test_with_training_for_it_the_emulated_interpreter_learns(ours, tmp_path):
    """The tests are those of the family's, as for native builds."""
    build = expected(trained(ours), CROSS)
    assert build.profile_guided
    assert "set -- --enable-optimizations --with-lto" in build.dockerfile
    assert "for name in test_json; do" in build.dockerfile
    targets = bake.definition([build], native=PC, folder=tmp_path, secrets={})["target"]
    assert "io.kiln.profile-guided" not in targets[build.target]["labels"]


def test_a_package_is_built_on_the_same_cross_compile(ours, monkeypatch):
    """What Python images are to it does not depend on how they were compiled."""
    monkeypatch.setattr(plan.lock, "read", lambda _: "uvicorn==0.38.0")
    name = next(image.id for image in ours.packages if image.id.startswith("uvicorn:py3.13.5-slim-trixie-"))
    build = expected(ours, CROSS, name=name)
    assert {one.compile_target for one in build.on} == {expected(ours, CROSS).compile_target}
