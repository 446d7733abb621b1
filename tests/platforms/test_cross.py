"""A Python that is cross compiled passes, under emulation, every test that images have to pass."""

import subprocess
import sys

import pytest

from kiln import engine, foreign, paths
from tests.engine.command import SLIM, Family, debian, docker

FOREIGN = {"linux/amd64": "linux/arm64", "linux/arm64": "linux/amd64"}
MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}


@pytest.fixture(scope="module")
def brought():
    return engine.bring()


@pytest.fixture(scope="module")
def other(brought):
    return FOREIGN[brought.platform]


@pytest.fixture(scope="module")
def family(brought, tmp_path_factory):
    made = Family(tmp_path_factory.mktemp("family"))
    yield made
    made.forget(brought)


@pytest.fixture(scope="module")
def built(family, other):
    """Build the slim image for the platform that is not the engine's own, and return the command that ended."""
    done = family.build("--platform", other, SLIM)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_the_plan_says_that_it_is_a_cross_compile(built, family, brought, other):
    """So does the record, with the system that compiled."""
    if foreign.toolchain(debian().get(SLIM).target, other, foreign.inspect(brought)) != brought.platform:
        pytest.skip(f"this builder has a node for {other}")
    assert f"{SLIM} {other}: cross-compile-" in built.stderr
    assert family.record().toolchain.startswith("sha256:")
    assert family.record().platform == other


@pytest.mark.usefixtures("built")
def test_users_extensions_are_built_by_the_images_own_compiler(family, brought):
    """The compiler's plain name, and the platform's own include folder."""
    code = "import platform, sysconfig; print(platform.machine(), *(sysconfig.get_config_var(n) for n in ('CC', 'AR')))"
    told = docker(brought, "run", "--rm", family.record().reference, "python", "-c", code).split()
    assert told == [MACHINES[family.record().platform], "gcc", "ar"]


@pytest.mark.usefixtures("built")
def test_it_passes_all_tests_of_images(family, other):
    """The same as native images, with every extension module there."""
    command = [sys.executable, "-m", "pytest", "tests/images", "-q", "--versions", str(family.file)]
    done = subprocess.run(
        [*command, "--platform", other, "--force", SLIM], cwd=paths.ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped, it passed" not in done.stdout
