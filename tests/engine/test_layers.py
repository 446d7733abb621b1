"""Compressed layers on a real engine and a real registry: what is loaded, run, pushed, pulled and shared."""

import pytest

from kiln import oci
from kiln.model import Compression
from kiln.plan import Options
from tests.engine.command import docker
from tests.engine.maker import Maker
from tests.engine.registry import Registry

ZSTD, GZIP = (f"application/vnd.oci.image.layer.v1.tar+{name}" for name in ("zstd", "gzip"))
# Level 19 would take half a minute, for the base alone.
WANTED = Compression(algorithm="zstd", level=5)


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    found = Registry(tmp_path_factory.mktemp("registry"))
    yield found
    found.stop()


def text_image(maker, text, wanted, *, options=Options(), quick=False):  # noqa: B008 - frozen
    """Build an image that has a text beyond its base, and return its record."""
    dockerfile = (
        f"FROM base AS compile\nFROM base AS python\nRUN seq 100000 > /{text} && touch /{text}\nCMD cat /{text}\n"
    )
    outcome = maker.make(dockerfile, options, compression=wanted, quick=quick)
    assert outcome.record, outcome.error
    return outcome.record


def layers(engine, record, folder):
    """Return the layers of an image in the engine."""
    docker(engine, "save", "--output", str(folder / "saved.tar"), record.reference)
    return oci.layers(folder / "saved.tar", record.platform)


@pytest.fixture(scope="module")
def maker(engine, registry):
    made = Maker(engine, registry.address)
    yield made
    made.forget()


def test_an_image_runs_and_goes_to_a_registry_and_back(maker, engine, registry):
    """Zstd all the way: the registry has the bytes and the media types that were built, and the size that was told."""
    record = text_image(maker, "one", WANTED)
    assert docker(engine, "run", "--rm", record.reference).endswith("\n100000")
    docker(engine, "push", "--quiet", record.reference)
    repository, _, tag = record.reference.removeprefix(f"{registry.address}/").rpartition(":")
    digest, manifest = registry.get(f"{repository}/manifests/{tag}")
    assert digest == record.digest
    assert [layer["mediaType"] for layer in manifest["layers"]] == [ZSTD, ZSTD]
    assert record.size == manifest["config"]["size"] + sum(layer["size"] for layer in manifest["layers"])
    docker(engine, "rmi", "--force", record.reference)
    docker(engine, "pull", "--quiet", record.reference)
    assert docker(engine, "image", "inspect", "--format", "{{.Id}}", record.reference) == record.digest
    assert docker(engine, "run", "--rm", record.reference).endswith("\n100000")


def test_images_share_the_layers_of_their_base(maker, engine, tmp_path):
    """Byte for byte; the layers above differ. Made anew, an image is the same one."""
    found = []
    for text in ("two", "three"):
        record = text_image(maker, text, WANTED)
        (tmp_path / text).mkdir()
        found.append(layers(engine, record, tmp_path / text))
    two, three = found
    assert two[0] == three[0]
    assert two[1] != three[1]
    assert text_image(maker, "three", WANTED, options=Options(no_cache=True)).digest == record.digest


def test_quick_builds_are_what_buildkit_gives(maker, engine, tmp_path):
    """They are larger than what Kiln compresses; all have one kind of layer, the base's too."""
    sizes = {}
    for name, wanted, quick, kind in (
        ("zstd", Compression(algorithm="zstd", level=9), False, ZSTD),
        ("quick", Compression(algorithm="zstd", level=9), True, ZSTD),
        ("gzip", Compression(algorithm="gzip", level=9), False, GZIP),
        ("quick gzip", Compression(algorithm="gzip", level=9), True, GZIP),
    ):
        record = text_image(maker, "four", wanted, quick=quick)
        (tmp_path / name).mkdir()
        assert [layer.media_type for layer in layers(engine, record, tmp_path / name)] == [kind, kind]
        sizes[name] = record.size
    assert sizes["zstd"] < sizes["quick"] < sizes["gzip"] < sizes["quick gzip"]
