"""Pinned packages, compiled into images for real."""

import pytest

from tests.engine.command import SERIES, SITE, SLIM, Family, docker, summary

PINS = {"pip": "25.0.1", "setuptools": "79.0.1"}


@pytest.fixture(scope="module")
def family(engine, tmp_path_factory):
    made = Family(tmp_path_factory.mktemp("pins"))
    yield made
    made.forget(engine)


def test_pins_are_in_the_image(family, engine):
    """An older pip and a setuptools that ensurepip has not, at their places, and nothing of the network that gave them."""
    family.data["releases"][0]["pins"] = PINS
    done = family.build(SLIM)
    assert done.returncode == 0, done.stdout + done.stderr
    run = ("run", "--rm", family.record().reference)
    listed = dict(line.split("==") for line in docker(engine, *run, "pip", "list", "--format=freeze").splitlines())
    assert listed == PINS
    assert docker(engine, *run, "head", "--lines=1", "/usr/local/bin/pip") == f"#!/usr/local/bin/python{SERIES}"
    found = f"find / -xdev -name pip.conf -o -path /run/kiln -o -path {SITE}/pip-25.1*"
    assert docker(engine, *run, "sh", "-c", found) == ""


def test_a_pin_that_needs_another_package_fails(family):
    """What is not pinned is not installed, and pip's own check says what is missing."""
    family.data["releases"][0]["pins"] = {"wheel": "0.46.1"}
    done = family.build(SLIM)
    assert done.returncode == 1
    assert summary(done)[SLIM].startswith("failed")
    assert "wheel 0.46.1 requires packaging, which is not installed" in done.stdout + done.stderr
