"""The doctor says what is lacking, and what to do, each once."""

import pytest

from kiln import doctor, plan
from kiln.errors import EngineError
from tests.unit import family


@pytest.fixture
def no_engine(tmp_path, monkeypatch):
    """Make a machine whose user named an engine that does not answer."""

    def find():
        raise EngineError("DOCKER_HOST=unix:///x: no Docker engine answers there; start it, or unset DOCKER_HOST")

    monkeypatch.setenv("KILN_HOME", str(tmp_path))
    monkeypatch.setattr("kiln.engine.find", find)
    monkeypatch.setattr("kiln.bases.available", lambda *_, **__: "registry")
    monkeypatch.setattr("kiln.sources.available", lambda *_, **__: "python.org")


@pytest.mark.usefixtures("no_engine")
def test_a_missing_engine_is_told_with_its_remedy_and_promises_no_build(tmp_path, monkeypatch):
    """What would be built is said, but not that it can be."""
    monkeypatch.setattr(plan, "default", lambda *_, **__: ([], "3.13.5-slim-trixie"))
    text, well = doctor.report(family.expand(tmp_path, family.family()))
    assert not well
    assert text.splitlines()[0].endswith(
        "engine           DOCKER_HOST=unix:///x: no Docker engine answers there; start it, or unset DOCKER_HOST"
    )
    assert text.endswith("once the engine is mended, `invoke build` builds 3.13.5-slim-trixie")
