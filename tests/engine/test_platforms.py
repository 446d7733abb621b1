"""What one platform alone needs, installed into an image for real."""

import pytest

from tests.engine.command import SLIM, Family, docker


@pytest.fixture
def family(engine, tmp_path):
    made = Family(tmp_path)
    yield made
    made.forget(engine)


def test_packages_of_the_platform_that_is_built(family, engine):
    """They are there; another platform's, which nobody has, are not asked for."""
    other = "linux/arm64" if engine.platform == "linux/amd64" else "linux/amd64"
    family.trixie["packages"]["platforms"] = {engine.platform: ["libatomic1"], other: ["no-such-package"]}
    done = family.build(SLIM)
    assert done.returncode == 0, done.stdout + done.stderr
    run = ("run", "--rm", family.record().reference)
    assert (
        docker(engine, *run, "dpkg-query", "--show", "--showformat=${Status}", "libatomic1") == "install ok installed"
    )
