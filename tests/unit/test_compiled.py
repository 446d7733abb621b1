"""Compiled interpreters: where they are kept, what names them, and what is taken for one."""

import json
import os

import pytest
from msgspec import structs

from kiln import bake, compiled, compiled_folder, oci
from kiln.bake import Build, Inputs
from kiln.compiled import Store
from kiln.errors import BuildError, SelectionError
from tests.unit import family as f

BASE = f"sha256:{'b' * 64}"


@pytest.fixture
def build(tmp_path):
    """Return the build of 3.13.5 on trixie."""
    inputs = Inputs(base="oci-layout:///b", base_digest=BASE, source="/s", source_sha256="a" * 64)
    return Build(
        image=f.expand(tmp_path, f.family()).images[0], repository="kiln/python", platform="linux/amd64",
        compile_key="c0ffee", dockerfile="FROM scratch", inputs=inputs,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("", None),
        ("/srv/compiled", "/srv/compiled"),
        ("ghcr.io/me/compiled", "ghcr.io/me/compiled"),
        ("127.0.0.1:5000/compiled", "127.0.0.1:5000/compiled"),
        ("me/compiled", "me/compiled"),
    ],
)
def test_places(where, expected):
    """A folder says so by how it begins."""
    found = compiled.chosen(where)
    assert (str(found) if found else found) == expected
    assert found is None or (found.folder is not None) == where.startswith("/")


def test_the_variable_stands_for_the_option(monkeypatch):
    """The option wins; a mistake in the variable is told as one."""
    monkeypatch.setenv("KILN_ARTIFACTS", "ghcr.io/me/compiled")
    assert str(compiled.chosen("")) == "ghcr.io/me/compiled"
    assert str(compiled.chosen("me/other")) == "me/other"
    monkeypatch.setenv("KILN_ARTIFACTS", "https://ghcr.io/me")
    with pytest.raises(SelectionError, match=r"^KILN_ARTIFACTS=https://ghcr\.io/me: neither a folder"):
        compiled.chosen("")


def test_a_name_for_all_that_decides_the_bytes(build):
    """Compile key, source, base and quick are in it; each tag is one that registries take."""
    others = [
        structs.replace(build, quick=True), structs.replace(build, compile_key="other"),
        *(structs.replace(build, inputs=structs.replace(build.inputs, **{key: value}))
          for key, value in (("base_digest", f"sha256:{'c' * 64}"), ("source_sha256", "d" * 64),
                             ("toolchain_digest", f"sha256:{'e' * 64}"))),
    ]  # fmt: skip
    names = [compiled.name(one) for one in (build, *others)]
    assert names[0] == "compile-c0ffee-aaaaaaaaaaaa-bbbbbbbbbbbb"
    assert names[-1] == "cross-compile-c0ffee-aaaaaaaaaaaa-bbbbbbbbbbbb-eeeeeeeeeeee"
    assert len(set(names)) == 6
    assert max(map(len, names)) <= 128


def test_what_is_kept_replaces_the_compile(build, tmp_path):
    """The compile target goes, and every image that would have needed it has the context instead."""
    facts = {"native": "linux/amd64", "folder": tmp_path, "secrets": {}}
    targets = bake.definition([build], compiled={build.compile_target: "oci-layout:///k@sha256:1"}, **facts)["target"]
    assert list(targets) == [build.target]
    assert targets[build.target]["contexts"]["compile"] == "oci-layout:///k@sha256:1"
    plain = bake.definition([build], **facts)["target"]
    assert "compile" not in plain[build.target]["contexts"]
    place = Store(repository="me/compiled")
    assert place.targets([build], tmp_path, targets) == {}
    (kept,) = place.targets([build], tmp_path, plain).values()
    assert kept["contexts"] == {"compile": f"target:{build.compile_target}"}
    assert f"name=me/compiled:{compiled.name(build)}," in kept["output"][0]


def layout(folder, platform="linux/amd64", **labels):
    """Write the layout of an image without layers."""
    os, architecture = platform.split("/")
    config = {"os": os, "architecture": architecture, "config": {"Labels": labels}}
    with oci.writing(folder) as part:
        written = oci.write_blob(part, "application/vnd.oci.image.config.v1+json", json.dumps(config).encode())
        leaf = oci.write_blob(part, oci.MANIFEST, oci.encode(oci.Manifest(config=written, layers=[])))
        oci.write_index(part, [leaf])
    return folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"a": "2"}, "kept: a is 2, not 1$"),
        ({"b": "1"}, "kept: a is None, not 1$"),
        ({"a": "1", "platform": "linux/arm64"}, "kept: platform is linux/arm64, not linux/amd64$"),
    ],
)
def test_something_else_is_not_taken(tmp_path, changes, message):
    """Its labels and its platform must be those that are wanted."""
    kept = layout(tmp_path / "kept", **changes)
    with pytest.raises(BuildError, match=message):
        compiled_folder.copy(kept, tmp_path / "copy", "linux/amd64", {"a": "1"})


def test_what_is_whole_stays_and_what_is_not_goes(tmp_path):
    """With `anew`, what is whole goes too; nothing else is left in the folder."""
    place = tmp_path / "place" / "kept"
    new = layout(tmp_path / "new", a="1", build="new")

    def put(*, anew=False):
        compiled_folder.put(new, place, "linux/amd64", {"a": "1"}, anew=anew)
        assert [path.name for path in place.parent.iterdir()] == ["kept"]
        return oci.images(place)[0].labels["build"]

    layout(place, a="1", build="old")
    assert put() == "old"
    assert put(anew=True) == "new"
    for path in (place / "blobs").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    assert put() == "new"
    for path in sorted(place.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    place.rmdir()
    place.write_text("a file")
    assert put() == "new"


def test_what_killed_processes_left_goes(tmp_path):
    """After a day; what is younger may be somebody's at work."""
    place = tmp_path / "place" / "kept"
    old, young = (layout(place.with_name(f".kept.{name}")) for name in ("old", "young"))
    os.utime(old, (0, 0))
    compiled_folder.put(layout(tmp_path / "new"), place, "linux/amd64", {}, anew=False)
    assert sorted(place.parent.iterdir()) == [young, place]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    """A file stands where the folder should be."""
    (tmp_path / "file").write_text("")
    new = layout(tmp_path / "new", a="1")
    with pytest.raises(BuildError, match=r"kept\S*: cannot write the image layout \(File exists\)"):
        compiled_folder.put(new, tmp_path / "file" / "kept", "linux/amd64", {"a": "1"}, anew=False)
