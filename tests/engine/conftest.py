"""What the engine tests share: the engine, and images of the tests' family, each built when a test first asks."""

import pytest

from kiln import engine as engines
from tests.engine.command import SLIM, recorded


@pytest.fixture(scope="session")
def engine():
    return engines.bring()


@pytest.fixture(scope="session")
def slim(engine):
    """Return the record of the slim image, which others are derived from."""
    return recorded(engine, SLIM)


@pytest.fixture(scope="session")
def uvicorn(engine):
    """Return the record of Uvicorn on the slim image."""
    return recorded(engine, "uvicorn:*")
