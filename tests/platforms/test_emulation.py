"""Emulators registered with this machine's kernel for real, and a base of another platform that runs."""

import os
import subprocess

import pytest

from kiln import bases, emulation, engine, foreign, paths
from kiln.errors import EngineError
from tests.engine.command import SLIM, debian

FOREIGN = "linux/arm64"
RARE = "linux/s390x"


@pytest.fixture(scope="module")
def brought():
    found = engine.bring()
    if found.platform == FOREIGN:
        pytest.skip("linux/arm64 is this machine's own platform")
    return found


@pytest.fixture
def entry():
    """Return the kernel's entry of an emulator that nobody else had registered, and take it out at the end."""
    path = emulation.FOLDER / "qemu-s390x"
    if path.exists():
        pytest.skip("the emulator was there before")
    yield path
    if path.exists():
        path.write_text("-1")


def test_an_emulator_is_registered_where_it_is_missing(entry, capfd):
    """It is said, done once, and good for any root file system."""
    assert emulation.bring([RARE]) == [RARE]
    assert f"until it restarts: {entry}" in capfd.readouterr().err
    assert emulation.emulated("s390x")
    assert emulation.bring([RARE]) == []


@pytest.mark.usefixtures("entry")
def test_one_that_is_no_use_in_containers_is_told():
    """It is somebody's setting, so it is not replaced."""
    if not emulation.emulated("arm64"):
        emulation.bring([FOREIGN])
    interpreter = paths.folder("emulators") / "aarch64-binfmt-P"
    magic = r"\x7fELF\x02\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x16"
    (emulation.FOLDER / "register").write_text(f":qemu-s390x:M::{magic}::{interpreter}:")
    with pytest.raises(EngineError, match="registered, but switched off or not for other root file systems"):
        emulation.bring([RARE])


def test_a_base_of_another_platform_is_bootstrapped_and_runs(brought, tmp_path):
    """From Debian's packages, under emulation, in the engine that was running before."""
    target = debian().get(SLIM).target
    assert foreign.ready([FOREIGN], brought) == {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KILN_BASES", "bootstrap")
        base = bases.resolve(target, FOREIGN, engine=brought)
    (tmp_path / "Dockerfile").write_text("FROM base\nRUN dpkg --print-architecture > /architecture\n")
    name, call = (
        f"kiln-foreign-{os.getpid()}",
        {"env": {**os.environ, **brought.env}, "text": True, "capture_output": True},
    )
    context = ("--build-context", f"base={base.context}")
    command = ("build", "--platform", FOREIGN, *context, "--load", "--provenance=false", "--tag", name, tmp_path)
    subprocess.run(brought.buildx(*command), check=True, **call)
    try:
        run = ("run", "--rm", "--platform", FOREIGN, name, "sh", "-c", "uname -m; cat /architecture")
        done = subprocess.run(brought.docker(*run), check=True, **call)
        assert done.stdout.split() == ["aarch64", "arm64"]
    finally:
        subprocess.run(brought.docker("rmi", name), check=True, **call)
