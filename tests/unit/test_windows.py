"""Windows images and releases that are only listed: planned, listed, and pushed with those that share their tags."""

import json
import tarfile

import pytest

from kiln import bake, listing, oci, os_version, parts, paths, plan, publish, registry, render
from kiln.bake import Build, Inputs
from kiln.errors import BuildError, SelectionError, SourceError
from kiln.sources import Found
from tests.unit import family as f

NEW, OLD = (f"3.13.5-{name}" for name in f.WINDOWS_NAMES)


@pytest.fixture
def matrix(tmp_path):
    """Return full and slim on trixie, and two releases of Windows."""
    return f.expand(tmp_path, f.windows())


def names(wanted):
    return [one.name for one in wanted]


def test_windows_is_built_when_it_is_asked_for(matrix):
    """By a glob that finds nothing else, by its platform, or with all; never beside the engine's own."""
    native = "linux/amd64"
    assert names(plan.choose(matrix, ["*windows*"], [], native)) == [f"{NEW} windows/amd64", f"{OLD} windows/amd64"]
    assert names(plan.choose(matrix, ["*slim*", NEW], [], native)) == [
        "3.13.5-slim-trixie linux/amd64", f"{NEW} windows/amd64",
    ]  # fmt: skip
    assert names(plan.choose(matrix, ["3.13"], [], native)) == ["3.13.5-trixie linux/amd64"]
    assert len(plan.choose(matrix, ["3.13"], ["all"], native)) == 4
    with pytest.raises(SelectionError, match=rf"{NEW} is not offered for linux/amd64; there is windows/amd64"):
        plan.choose(matrix, [NEW], ["linux/amd64"], native)


def test_windows_is_never_the_choice(tmp_path, monkeypatch):
    """Nobody who names no image gets one that cannot run here, even where nothing else can be had."""
    data = f.windows()
    data["targets"][f.WINDOWS_NAMES[0]]["variants"] = {"slim": {}}
    data["targets"][f.WINDOWS_NAMES[0]]["default_variant"] = "slim"
    matrix = f.expand(tmp_path, data)
    monkeypatch.setattr("kiln.sources.look", lambda *_, **__: Found(origin="store"))
    monkeypatch.setattr(
        "kiln.bases.available", lambda target, *_, **__: target.distribution == "windows" and "registry"
    )
    with pytest.raises(SelectionError, match=r"no base image for Debian 13 \(trixie\); see"):
        plan.default(matrix, "linux/amd64", None, None)


def test_a_build_has_the_system_that_unpacks(matrix, tmp_path):
    """It is a named context beside the base; another one is another build; both releases share what is unpacked."""
    facts = {"base": "docker-image://w", "base_digest": "sha256:1", "source": "/s", "source_sha256": "b" * 64}
    inputs = Inputs(**facts, tools="oci-layout:///t", tools_digest="sha256:2")
    builds = [
        Build(image=matrix.get(name), repository="kiln/python", platform="windows/amd64", compile_key="c0ffee",
              dockerfile=name, inputs=inputs)
        for name in (NEW, OLD)
    ]  # fmt: skip
    targets = bake.definition(builds, native="linux/amd64", folder=tmp_path, secrets={})["target"]
    assert list(targets) == [f"unpack-c0ffee-{'b' * 12}", *(build.target for build in builds)]
    assert targets[f"unpack-c0ffee-{'b' * 12}"]["target"] == "unpack"
    assert targets[builds[0].target]["contexts"] == {
        "base": "docker-image://w", "source": "/s", "tools": "oci-layout:///t",
    }  # fmt: skip
    assert targets[builds[0].target]["platforms"] == ["windows/amd64"]
    other = Build(
        image=matrix.get(NEW), repository="kiln/python", platform="windows/amd64", compile_key="c0ffee", dockerfile=NEW,
        inputs=Inputs(**facts, tools="oci-layout:///t", tools_digest="sha256:3"),
    )  # fmt: skip
    assert other.digest != builds[0].digest


def test_what_is_only_listed(tmp_path, monkeypatch):
    """A release without sources stands in the list with its tags; asking for its parts says what to add."""
    monkeypatch.setattr("kiln.engine.seen", lambda: None)
    monkeypatch.setattr(
        "kiln.sources.look", lambda release, *_, **__: Found(origin="store" if release.artifacts else None)
    )
    monkeypatch.setattr("kiln.bases.available", lambda *_, **__: "registry")
    matrix = f.expand(tmp_path, f.windows(artifacts=[]))
    rows = listing.rows(matrix, matrix.images, None)
    lines = listing.table(rows).splitlines()
    assert [row["sources"] for row in rows] == [None, None, "store", "store"]
    assert [row["compile_keys"].get("linux/amd64") for row in rows[:2]] == [None, None]
    assert lines[1].split()[1] == "-"
    assert "no source is pinned" in lines[1]
    assert "no source is pinned" not in lines[3]
    assert lines[-1].startswith("4 images, 2 of them can be built from here")
    with pytest.raises(
        SourceError, match=r"^versions\.json: release 3\.13\.5: no source is pinned; add file and sha256"
    ):
        parts.made_from(matrix.images[0])
    assert [release.artifacts[0].file for release in parts.releases(matrix.images)] == ["python-3.13.5-amd64.exe"]
    with pytest.raises(SourceError, match="no source is pinned"):
        parts.releases(matrix.images[:2])


def test_what_is_pushed_as_one(matrix):
    """Tags of one image, and tags that Linux and both releases of Windows share."""
    images = [matrix.get(name) for name in ("3.13.5-trixie", "3.13.5-slim-trixie", NEW, OLD)]
    found = {tuple(image.id for image in group): tags for group, tags in publish.bundles(images)}
    assert found["3.13.5-trixie", NEW, OLD] == ["3.13.5", "3.13", "3", "latest"]
    assert found[NEW, OLD][:2] == ["3.13.5-windowsservercore", "3.13-windowsservercore"]
    assert found[(NEW,)][0] == NEW
    assert found[("3.13.5-slim-trixie",)] == list(images[1].tags)
    assert sorted(tag for tags in found.values() for tag in tags) == sorted(
        {tag for image in images for tag in image.tags}
    )


def test_what_shares_a_tag_and_was_not_asked_for_is_told(matrix):
    """`latest` without Windows is pushed, and never in silence."""
    image = matrix.get("3.13.5-trixie")
    ((_, tags),) = publish.bundles([image])
    assert publish.absent([image], tags, matrix) == (
        f" (without {NEW}, {OLD}, which the matrix puts under the same tags)"
    )  # fmt: skip
    assert publish.absent([image], ["3.13.5-trixie"], matrix) == ""


def test_a_shared_tag_waits_for_all(matrix, monkeypatch):
    """What passed has its own tags; those that it shares with what did not pass stay where they are."""
    pushed = []
    monkeypatch.setattr(publish, "_test", lambda *_: "")
    monkeypatch.setattr(publish, "reason", lambda *given: "" if "linux/amd64" in given[1] else "was not tested")
    monkeypatch.setattr(publish, "_pushed", lambda tags, *_: pushed.extend(tags) or "")
    wanted = [plan.Wanted(image=matrix.get(name), platform=platform)
              for name, platform in (("3.13.5-trixie", "linux/amd64"), (NEW, "windows/amd64"))]  # fmt: skip
    text, held_back = publish.push(wanted, [], matrix, None)
    assert held_back
    assert pushed == ["3.13.5-trixie", "3.13-trixie", "3-trixie", "trixie"]
    assert text.splitlines()[0] == f"not pushed: {NEW}: was not tested"
    assert f"not pushed: 3.13.5, 3.13, 3, latest: {NEW} shares them and is held back" in text


def archive(path, **config):
    """Write an OCI archive of one image without layers, as BuildKit does."""
    folder = path.with_suffix("")
    with oci.writing(folder) as part:
        text = json.dumps({"architecture": "amd64", "os": "windows", **config}).encode()
        blob = oci.write_blob(part, "application/vnd.oci.image.config.v1+json", text)
        manifest = oci.write_blob(part, oci.MANIFEST, oci.encode(oci.Manifest(config=blob, layers=[])))
        oci.write_index(part, [manifest])
    with tarfile.open(path, "w") as target:
        for name in ("index.json", "oci-layout", "blobs"):
            target.add(folder / name, name)
    return path


def test_the_release_of_windows_is_written_into_an_image(tmp_path):
    """Configuration and index tell it, and the digests are those of the new content."""
    path = archive(tmp_path / "a.tar", history=[{"created_by": "x"}])
    before = oci.images(path)[0]
    os_version.set_os_version(path, "10.0.26100.1")
    after = oci.images(path)[0]
    assert (after.platform, after.digest != before.digest) == ("windows/amd64", True)
    index = oci.compose([path], tmp_path / "index")
    written = json.loads((tmp_path / "index" / "blobs" / index.digest.replace(":", "/")).read_text())
    assert written["manifests"][0]["platform"] == {
        "architecture": "amd64",
        "os": "windows",
        "os.version": "10.0.26100.1",
    }
    (tmp_path / "b.tar").write_bytes(b"no archive")
    with pytest.raises(BuildError, match=r"b\.tar: not an archive of one image"):
        os_version.set_os_version(tmp_path / "b.tar", "10.0.26100.1")
    assert sorted(file.name for file in tmp_path.glob("*.part")) == []


def test_two_releases_of_windows_are_no_twins(tmp_path):
    """One index holds an image for each; two for the same one are an error."""
    paths = [archive(tmp_path / f"{name}.tar", **{"os.version": name}) for name in ("10.0.1", "10.0.2")]
    oci.compose(paths, tmp_path / "both")
    same = archive(tmp_path / "same.tar", **{"os.version": "10.0.1", "created": "2024-01-01T00:00:00Z"})
    with pytest.raises(BuildError, match=r"two images for windows/amd64 10\.0\.1;"):
        oci.compose([paths[0], same], tmp_path / "twins")


def test_a_registry_tells_the_release_of_windows():
    """It stands in the image's configuration."""
    answer = {"manifest": {"digest": "sha256:1"}, "image": {"windows/amd64": {"os.version": "10.0.26100.1"}}}
    assert registry.parse(json.dumps(answer), 0).os_version == "10.0.26100.1"


def test_the_documented_example(tmp_path):
    """What docs/windows.md tells to add is a family that can be built."""
    text = (paths.ROOT / "docs" / "windows.md").read_text("utf-8")
    example = json.loads(text.partition("```json\n")[2].partition("```")[0])
    data = f.family(releases=example["releases"])
    data["targets"] |= example["targets"]
    data["targets"]["windowsservercore-ltsc2022"] = example["targets"]["windowsservercore-ltsc2025"]
    matrix = f.expand(tmp_path, data)
    image = matrix.get("3.14.6-windowsservercore-ltsc2025")
    assert "python-3.14.6-amd64.exe" in render.dockerfile(image, matrix.catalog)
    assert image.folder == "3.14/windowsservercore-ltsc2025/full"
