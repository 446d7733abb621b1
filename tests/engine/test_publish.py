"""`invoke build --push` to a real registry, Debian's own, on this machine."""

import json
import tarfile

import pytest
from msgspec import structs

from kiln import catalog, matrix, oci, process, publish, records
from kiln.plan import Wanted
from kiln.records import Result
from tests.engine.command import FULL, SLIM, Family, docker, summary
from tests.engine.registry import Registry


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    found = Registry(tmp_path_factory.mktemp("registry"))
    yield found
    found.stop()


@pytest.fixture(scope="module")
def family(registry, tmp_path_factory, engine):
    """Return a family of that registry, whose full image is larger than it may be."""
    made = Family(tmp_path_factory.mktemp("family"), registry=registry.address)
    made.trixie["variants"]["full"]["max_mb"] = 1
    yield made
    for tag in docker(engine, "image", "ls", "--format", "{{.Tag}}", made.repository).split():
        docker(engine, "rmi", "--force", f"{made.repository}:{tag}", check=False)
    made.forget(engine)


@pytest.fixture(scope="module")
def pushed(family):
    """Return how `invoke build --push` ended, for an image that is well and one that is not."""
    return family.build("*", "--push")


@pytest.fixture
def expanded(family):
    return matrix.expand(catalog.load(family.file), family.file)


def test_all_tags_arrive_with_one_digest(family, pushed, registry, expanded):
    """Every tag of the image that passed names the manifest that was built and tested."""
    image = expanded.get(SLIM)
    assert f"pushed {family.repository}: {', '.join(image.tags)}" in pushed.stdout
    found = {tag: registry.get(f"{family.data['repository']}/manifests/{tag}")[0] for tag in image.tags}
    assert found == dict.fromkeys(image.tags, family.record(SLIM).digest)
    assert len(found) > 3


def test_what_failed_is_not_pushed(family, pushed, registry, expanded):
    """The reason is told, nothing of it arrives, and the command fails."""
    assert pushed.returncode == 1
    assert f"not pushed: {FULL}: linux/" in pushed.stdout
    assert "test_size" in pushed.stdout
    assert set(summary(pushed)) >= {FULL, SLIM}
    missing = [registry.get(f"{family.data['repository']}/manifests/{tag}") for tag in expanded.get(FULL).tags]
    assert missing == [None] * len(missing)


def relabelled(engine, record, platform, folder):
    """Make the engine hold the same image for another platform, and return a record of it."""
    saved, layout, changed = folder / "saved.tar", folder / "layout", folder / "changed.tar"
    docker(engine, "save", "--output", str(saved), record.reference)
    with tarfile.open(saved) as archive:
        archive.extractall(layout, filter="data")
    read = lambda digest: json.loads((layout / "blobs" / digest.replace(":", "/")).read_bytes())  # noqa: E731
    manifest = read(record.digest)
    config = read(manifest["config"]["digest"]) | {"architecture": platform.split("/")[1]}
    written = oci.write_blob(layout, manifest["config"]["mediaType"], json.dumps(config).encode())
    manifest["config"] |= {"digest": written.digest, "size": written.size}
    leaf = oci.write_blob(layout, oci.MANIFEST, json.dumps(manifest).encode())
    reference = f"{record.reference}-{platform.replace('/', '-')}"
    oci.write_index(layout, [structs.replace(leaf, annotations={"io.containerd.image.name": reference})])
    process.run(["tar", "--create", "--file", changed, "--directory", layout, "index.json", "oci-layout", "blobs"])
    docker(engine, "load", "--input", str(changed))
    return structs.replace(record, platform=platform, reference=reference, digest=leaf.digest)


def test_platforms_become_one_index(  # noqa: PLR0913, PLR0917 - fixtures
    family, pushed, registry, expanded, engine, tmp_path
):
    """Two platforms are pushed as an index of both; the engine's own image has its name again afterwards."""
    assert pushed
    record, image = family.record(SLIM), expanded.get(SLIM)
    other = next(name for name in image.platforms if name != record.platform)
    both = [record, relabelled(engine, record, other, tmp_path)]
    result = records.result(record.digest)
    records.save_result(Result(**structs.asdict(result) | {"digest": both[1].digest, "platform": other}))
    wanted = [Wanted(image=image, platform=one.platform) for one in both]
    text, held_back = publish.push(wanted, both, expanded, engine)
    records._result(both[1].digest).unlink()  # noqa: SLF001
    assert not held_back, text
    for tag in image.tags:
        _, index = registry.get(f"{family.data['repository']}/manifests/{tag}")
        listed = {
            f"{one['platform']['os']}/{one['platform']['architecture']}": one["digest"] for one in index["manifests"]
        }
        assert listed == {one.platform: one.digest for one in both}
    assert docker(engine, "image", "inspect", "--format", "{{.Id}}", record.reference) == record.digest
    assert "-kept" not in docker(engine, "image", "ls", family.repository)


def test_a_platform_that_was_not_built_holds_the_image_back(family, pushed, expanded, engine):
    """An index must not lose a platform because its build failed this time."""
    assert pushed
    record, image = family.record(SLIM), expanded.get(SLIM)
    wanted = [Wanted(image=image, platform=name) for name in image.platforms]
    text, held_back = publish.push(wanted, [record], expanded, engine)
    missing = ", ".join(sorted(set(image.platforms) - {record.platform}))
    assert (text, held_back) == (f"not pushed: {SLIM}: {missing} was not built", True)


def test_a_registry_that_does_not_answer(family, pushed, registry):
    """The summary is there all the same, and the image's line tells why; this test ends the registry."""
    assert pushed
    registry.stop()
    done = family.build(SLIM, "--push")
    assert done.returncode == 1
    assert summary(done)[SLIM].startswith("up to date")
    assert f"not pushed: {SLIM}: " in done.stdout
    assert "connection refused" in done.stdout
    assert "Traceback" not in done.stderr
