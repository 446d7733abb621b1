"""Compressed layers on a real engine and a real registry: what is loaded, run, pushed, pulled and shared."""

import subprocess
import uuid

import msgspec
import pytest

from kiln import bases, build, catalog, matrix, oci, paths, records
from kiln import engine as engines
from kiln.bake import Build, Inputs
from kiln.model import Compression
from kiln.plan import Options, Resolved
from tests.engine.command import SLIM, docker
from tests.engine.registry import Registry

ZSTD, GZIP = (f"application/vnd.oci.image.layer.v1.tar+{name}" for name in ("zstd", "gzip"))
# Level 19 would take half a minute, for the base alone.
WANTED = Compression(algorithm="zstd", level=5)


@pytest.fixture(scope="module")
def engine():
    return engines.bring()


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    found = Registry(tmp_path_factory.mktemp("registry"))
    yield found
    found.stop()


class Maker:
    """Builds images that have a line of text beyond their base, as `invoke build` does."""

    def __init__(self, engine, address):
        self.engine = engine
        self.repository = f"{address}/kiln-test-{uuid.uuid4().hex[:8]}/python"
        self.image = matrix.expand(catalog.load(paths.ROOT / "versions.json")).get(SLIM)
        base = bases.resolve(self.image.target, engine.platform, engine=engine)
        self.inputs = Inputs(
            base=base.context, base_digest=base.digest, base_created=base.created, source=str(paths.ROOT / "kiln"),
            source_sha256="0" * 64,
        )  # fmt: skip

    def build(self, text, wanted, **changes):
        """Build an image and return its record."""
        dockerfile = (
            f"FROM base AS compile\nFROM base AS python\nRUN seq 100000 > /{text} && touch /{text}\nCMD cat /{text}\n"
        )
        one = Build(
            image=self.image, repository=self.repository, platform=self.engine.platform, compile_key="none",
            dockerfile=dockerfile, inputs=self.inputs, compression=wanted,
            **{name: value for name, value in changes.items() if name == "quick"},
        )  # fmt: skip
        options = Options(no_cache=changes.get("no_cache", False))
        (outcome,) = build.run([Resolved(build=one, base="", source="")], self.engine, options)
        assert outcome.record, outcome.error
        return outcome.record

    def layers(self, record, folder):
        """Return the layers of an image in the engine."""
        docker(self.engine, "save", "--output", str(folder / "saved.tar"), record.reference)
        (folder / "saved").mkdir()
        subprocess.run(["tar", "-xf", folder / "saved.tar", "-C", folder / "saved"], check=True)
        manifest = folder / "saved" / "blobs" / record.digest.replace(":", "/")
        return msgspec.json.decode(manifest.read_bytes(), type=oci.Manifest).layers


@pytest.fixture(scope="module")
def maker(engine, registry):
    made = Maker(engine, registry.address)
    yield made
    for record in records.every(made.repository):
        docker(engine, "rmi", "--force", record.reference, check=False)
        records._record(record.repository, record.id, record.platform).unlink()  # noqa: SLF001 - Kiln itself never forgets
    records._records(made.repository).rmdir()  # noqa: SLF001 - Kiln itself never forgets


def test_an_image_runs_and_goes_to_a_registry_and_back(maker, engine, registry):
    """Zstd all the way: the registry has the bytes and the media types that were built, and the size that was told."""
    record = maker.build("one", WANTED)
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


def test_images_share_the_layers_of_their_base(maker, tmp_path):
    """Byte for byte; the layers above differ. Made anew, an image is the same one."""
    found = []
    for text in ("two", "three"):
        record = maker.build(text, WANTED)
        (tmp_path / text).mkdir()
        found.append(maker.layers(record, tmp_path / text))
    two, three = found
    assert two[0] == three[0]
    assert two[1] != three[1]
    assert maker.build("three", WANTED, no_cache=True).digest == record.digest


def test_quick_builds_and_gzip_are_what_buildkit_gives(maker, tmp_path):
    """Both have one kind of layer, the base's too; the quick one is larger than what Kiln compresses."""
    sizes = {}
    for name, wanted, quick, kind in (
        ("zstd", Compression(algorithm="zstd", level=9), False, ZSTD),
        ("quick", Compression(algorithm="zstd", level=9), True, ZSTD),
        ("gzip", Compression(algorithm="gzip", level=6), False, GZIP),
    ):
        record = maker.build("four", wanted, quick=quick)
        (tmp_path / name).mkdir()
        assert [layer.media_type for layer in maker.layers(record, tmp_path / name)] == [kind, kind]
        sizes[name] = record.size
    assert sizes["zstd"] < sizes["quick"] < sizes["gzip"]
