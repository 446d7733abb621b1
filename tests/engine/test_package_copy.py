"""Packages can be taken out of their image into another one of the same Python."""

import pytest

from kiln import catalog, matrix, paths, records
from tests.engine.command import docker
from tests.engine.test_broken_images import derive, engine, family, record  # noqa: F401 - fixtures

SITE = "/usr/local/lib/python3.13/site-packages"


@pytest.fixture(scope="module", params=["uvicorn", "gunicorn"])
def package(request, engine):  # noqa: F811 - the fixture
    """Return a recorded image with a package on 3.13.5-slim-trixie, with its version."""
    found = matrix.expand(catalog.load(paths.ROOT / "versions.json"))
    image = found.select([f"{request.param}:py3.13.5-slim-trixie-latest"])[0]
    if built := records.find(found.repository_of(image), image.id, engine.platforms[0]):
        return image.installed, built.reference
    pytest.fail(f"it is not recorded: ./run invoke build --quick {image.id}", pytrace=False)


def test_packages_can_be_copied_out(package, derive, engine, record):  # noqa: F811 - fixtures
    """They import in a plain Python image, compile nothing there, and `pip check` finds all that they need."""
    if record.id != "3.13.5-slim-trixie":
        pytest.fail("3.13.5-slim-trixie is not recorded: ./run invoke build --quick 3.13.5-slim-trixie", pytrace=False)
    installed, reference = package
    copy = derive(f"copied-{installed.name}", f"COPY --from={reference} {SITE}/ {SITE}/\n")
    code = f"import {installed.name} as module; print(module.__version__, module.__cached__)"
    version, cached = docker(engine, "run", "--rm", "--network=none", copy, "python3", "-c", code).split()
    assert (version, cached[-4:]) == (installed.version, ".pyc")
    for words in (("-m", installed.name, "--version"), ("-m", "pip", "check")):
        docker(engine, "run", "--rm", "--network=none", copy, "python3", *words)
