"""A plan is a bake definition: one target for each compile, one for each image and platform."""

import pytest
from msgspec import structs

from kiln import bake
from kiln.bake import Build, Inputs
from kiln.model import COMPRESSION, Compression
from tests.unit import family as f


@pytest.fixture
def builds(tmp_path):
    """Return the builds of full and slim on trixie, amd64."""
    inputs = Inputs(
        base="oci-layout:///bases/trixie@sha256:1", base_digest="sha256:1", source="/sources/a",
        source_sha256="a" * 64, revision="f00",
    )  # fmt: skip
    images = f.expand(tmp_path, f.family()).images[:2]
    return [
        Build(
            image=image,
            repository="kiln/python",
            platform="linux/amd64",
            compile_key="c0ffee",
            dockerfile=f"FROM {image.id}",
            inputs=inputs,
        )
        for image in images
    ]


def define(builds, tmp_path, **changes):
    facts = {"native": "linux/amd64", "folder": tmp_path, "secrets": {"ca.crt": "/ca"}}
    return bake.definition(builds, **{**facts, **changes})["target"]


def test_one_compile_serves_its_images(builds, tmp_path):
    """Two images of one compile key give three targets, one of them the compile."""
    targets = define(builds, tmp_path)
    assert list(targets) == [
        "compile-c0ffee-aaaaaaaaaaaa", "3_13_5-trixie-linux-amd64", "3_13_5-slim-trixie-linux-amd64",
    ]  # fmt: skip
    assert targets["compile-c0ffee-aaaaaaaaaaaa"]["target"] == "compile"
    assert targets["compile-c0ffee-aaaaaaaaaaaa"]["output"] == ["type=cacheonly"]


def test_an_image_has_its_parts_from_here(builds, tmp_path):
    """Base and sources are named contexts, and the archive has rewritten timestamps and a name."""
    target = define(builds, tmp_path)["3_13_5-slim-trixie-linux-amd64"]
    assert target["contexts"] == {"base": "oci-layout:///bases/trixie@sha256:1", "source": "/sources/a"}
    assert target["args"] == {"PYTHON_SHA256": "a" * 64, "SOURCE_DATE_EPOCH": "1749600000"}
    assert target["labels"] == {
        "org.opencontainers.image.base.digest": "sha256:1", "org.opencontainers.image.revision": "f00",
    }  # fmt: skip
    assert target["secret"] == ["id=ca.crt,src=/ca"]
    (output,) = target["output"]
    assert output.startswith(f"type=oci,dest={tmp_path}")
    assert output.endswith("name=kiln/python:3.13.5-slim-trixie,rewrite-timestamp=true,source-date-epoch=1749600000")


def test_the_base_layer_stays_as_it_is(builds, tmp_path):
    """A base that is newer than the release is not taken back to the release's day."""
    old = builds[0]
    inputs = {name: getattr(old.inputs, name) for name in old.inputs.__struct_fields__} | {"base_created": 1800000000}
    facts = {name: getattr(old, name) for name in old.__struct_fields__}
    target = define([Build(**facts | {"inputs": Inputs(**inputs)})], tmp_path)[old.target]
    assert target["output"][0].endswith("source-date-epoch=1800000000")
    assert target["args"]["SOURCE_DATE_EPOCH"] == "1749600000"


def test_layers_are_compressed_as_the_family_says(builds, tmp_path):
    """BuildKit recompresses the base's layers too, fast, for Kiln does it again where the build is not quick."""

    def output(wanted, *, quick=False):
        build = structs.replace(builds[0], compression=wanted, quick=quick)
        return define([build], tmp_path)[build.target]["output"][0].partition(f"{1749600000}")[2]

    assert output(None) == ""
    assert output(COMPRESSION) == ",compression=zstd,compression-level=3,force-compression=true"
    gzip = Compression(algorithm="gzip", level=12)
    assert output(gzip) == output(COMPRESSION) == output(COMPRESSION, quick=True)
    assert output(gzip, quick=True) == ",compression=gzip,compression-level=6,force-compression=true"


def test_another_compression_is_another_image_of_the_same_compile(builds):
    """It changes the build's digest, so that the image is made again, and not what is compiled."""
    levels = [None, *(Compression(algorithm="zstd", level=level) for level in (18, 19)), COMPRESSION]
    made = [structs.replace(builds[0], compression=wanted) for wanted in levels]
    assert len({build.digest for build in made}) == 4
    assert len({build.compile_target for build in made}) == 1


def test_without_cache_each_compile_runs_once(builds, tmp_path):
    """The compile target is made anew; the images make their own stage anew and take its result."""
    targets = define(builds, tmp_path, no_cache=True)
    assert [target.get("no-cache") for target in targets.values()] == [True, None, None]
    assert [target.get("no-cache-filter") for target in targets.values()] == [None, ["python"], ["python"]]
    assert not any("no-cache" in key for target in define(builds, tmp_path).values() for key in target)


def test_another_platform_is_named_in_the_reference(builds, tmp_path):
    """Two platforms of an image do not overwrite each other in the engine."""
    target = define(builds, tmp_path, native="linux/arm64")["3_13_5-slim-trixie-linux-amd64"]
    assert "name=kiln/python:3.13.5-slim-trixie-linux-amd64," in target["output"][0]


def test_quick_builds_are_marked(builds, tmp_path):
    """A quick build has its argument, its own compile and a label that tells."""
    quick = bake.Build(**{name: getattr(builds[0], name) for name in builds[0].__struct_fields__} | {"quick": True})
    targets = define([quick], tmp_path)
    assert targets["compile-c0ffee-aaaaaaaaaaaa-quick"]["args"]["QUICK"] == "1"
    assert targets["3_13_5-trixie-linux-amd64"]["labels"]["io.kiln.quick"] == "true"
    assert quick.digest != builds[0].digest


@pytest.mark.parametrize("part", ["base_digest", "source_sha256", "revision"])
def test_what_decides_the_result_decides_the_digest(builds, part):
    """Other inputs give another digest; another place of the same bytes does not."""

    def digest(**changes):
        old = builds[0]
        inputs = {name: getattr(old.inputs, name) for name in old.inputs.__struct_fields__} | changes
        facts = {name: getattr(old, name) for name in old.__struct_fields__}
        return Build(**facts | {"inputs": Inputs(**inputs)}).digest

    assert digest(**{part: "f" * 64}) != builds[0].digest
    assert digest(source="/elsewhere", base="oci-layout:///elsewhere") == builds[0].digest


def test_names_for_people(builds):
    """A build is its id and platform."""
    assert builds[0].name == "3.13.5-trixie linux/amd64"
    assert bake.slug("linux/arm/v7") == "linux-arm-v7"
