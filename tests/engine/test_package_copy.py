"""Packages can be taken out of their image into another one of the same Python."""

import pytest

from tests.engine.command import SITE, debian, docker, recorded
from tests.engine.test_broken_images import derive  # noqa: F401 - a fixture


@pytest.fixture(scope="module", params=["uvicorn", "gunicorn"])
def package(request, engine):
    """Return what is installed in an image with a package, and its reference."""
    built = recorded(engine, f"{request.param}:*")
    return debian().get(built.id).installed, built.reference


def test_packages_can_be_copied_out(package, derive, engine, slim):  # noqa: F811 - the fixture
    """They import in a plain Python image, compile nothing there, and `pip check` finds all that they need."""
    installed, reference = package
    copy = derive(f"copied-{installed.name}", slim, f"COPY --from={reference} {SITE}/ {SITE}/\n")
    code = f"import {installed.name} as module; print(module.__version__, module.__cached__)"
    version, cached = docker(engine, "run", "--rm", "--network=none", copy, "python3", "-c", code).split()
    assert (version, cached[-4:]) == (installed.version, ".pyc")
    for words in (("-m", installed.name, "--version"), ("-m", "pip", "check")):
        docker(engine, "run", "--rm", "--network=none", copy, "python3", *words)
