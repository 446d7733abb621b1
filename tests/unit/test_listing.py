"""The matrix as a list, with what of it can be built from here."""

import pytest

from kiln import listing
from kiln.sources import Found
from tests.unit import family as f


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """Return the rows of a family whose trixie base is there for amd64."""
    monkeypatch.setattr("kiln.engine.seen", lambda: None)
    monkeypatch.setattr("kiln.foreign.native_platform", lambda: "linux/amd64")
    monkeypatch.setattr("kiln.sources.look", lambda *_, **__: Found(origin="python.org"))
    monkeypatch.setattr(
        "kiln.bases.available",
        lambda target, platform, **_: "registry" if (target.release, platform) == ("trixie", "linux/amd64") else None,
    )
    matrix = f.expand(tmp_path, f.family())
    return listing.rows(matrix, matrix.images, None)


def test_rows_for_machines(listed):
    """Everything that a script may want, by name; full and slim have one compile key."""
    full, slim, alpine = listed
    assert full["id"] == "3.13.5-trixie"
    assert full["dockerfile"] == "dockerfiles/3.13/trixie/full/Dockerfile"
    assert full["tags"]["shared"] == ["3.13.5", "3.13", "3", "latest"]
    assert full["bases"] == {"linux/amd64": "registry", "linux/arm64": None}
    assert full["compile_keys"] == slim["compile_keys"] != alpine["compile_keys"]
    assert full["compile_keys"]["linux/amd64"] != full["compile_keys"]["linux/arm64"]


def test_a_table_for_people(listed):
    """Platforms whose base cannot be had stand in brackets, and the last line counts."""
    lines = listing.table(listed).splitlines()
    assert lines[0].split() == ["ID", "COMPILE", "KEY", "PLATFORMS", "SOURCES", "BASE", "TAGS"]
    assert "amd64,(arm64+)" in lines[1]
    assert "yes" in lines[1]
    assert "(amd64)" in lines[3]
    assert lines[-1].startswith("3 images, 2 of them can be built from here")


def test_what_is_cross_compiled_is_marked(tmp_path, monkeypatch):
    """Without an engine, the one that would be brought is this machine's; without training, that is said."""
    monkeypatch.setattr("kiln.engine.seen", lambda: None)
    monkeypatch.setattr("kiln.foreign.native_platform", lambda: "linux/amd64")
    monkeypatch.setattr("kiln.sources.look", lambda *_, **__: Found(origin="python.org"))
    monkeypatch.setattr("kiln.bases.available", lambda *_, **__: "registry")
    matrix = f.expand(tmp_path, f.family())
    full, _, alpine = listing.rows(matrix, matrix.images, None)
    assert full["compiled"] == {"linux/amd64": "native", "linux/arm64": "cross"}
    assert full["profile_guided"] == {"linux/amd64": True, "linux/arm64": False}
    assert alpine["compiled"] == {"linux/amd64": "native"}
    text = listing.table([full, alpine])
    assert "amd64,arm64+" in text
    assert text.endswith("; +: cross compiled, not profile-guided")
    assert "cross" not in listing.table([alpine])
