"""Reading and composing image layouts."""

import tarfile

import pytest

from kiln import oci
from kiln.errors import BuildError

AMD, ARM = "linux/amd64", "linux/arm/v7"


def _layout(folder, platform, *, labels=None, attested=False):
    """Write a layout as buildx does: the image in an index of its own, with its attestation."""
    named = oci.parse_platform(platform)
    with oci.writing(folder) as part:
        layer = oci.write_blob(part, "layer", b"layer of " + platform.encode())
        config = oci.write_blob(
            part, "config",
            oci.encode({"architecture": named.architecture, "os": named.os, "variant": named.variant,
                        "config": {"Labels": labels}}),
        )  # fmt: skip
        image = oci.write_blob(part, oci.MANIFEST, oci.encode(oci.Manifest(config=config, layers=[layer])))
        manifests = [image]
        if attested:
            note = oci.write_blob(part, "config", b"{}")
            proof = oci.write_blob(part, oci.MANIFEST, oci.encode(oci.Manifest(config=note, layers=[])))
            manifests.append(
                oci.Descriptor(
                    media_type=oci.MANIFEST, digest=proof.digest, size=proof.size,
                    platform=oci.Platform(os="unknown", architecture="unknown"),
                    annotations={
                        "vnd.docker.reference.type": "attestation-manifest",
                        "vnd.docker.reference.digest": image.digest,
                    },
                )
            )  # fmt: skip
        index = oci.write_blob(part, oci.INDEX, oci.encode(oci.Index(manifests=manifests)))
        oci.write_index(part, [index])
    return image.digest, layer.size + config.size


def _archive(folder):
    target = folder.with_suffix(".tar")
    with tarfile.open(target, "w") as file:
        for path in sorted(folder.rglob("*")):
            file.add(path, str(path.relative_to(folder)), recursive=False)
    return target


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "archive"])
def test_an_image_is_read_with_its_compressed_size_and_labels(tmp_path, packed):
    """Size is layers and configuration; attestations are no images."""
    digest, size = _layout(tmp_path / "one", AMD, labels={"version": "3.13.5"}, attested=True)
    path = _archive(tmp_path / "one") if packed else tmp_path / "one"

    expected = [oci.Image(platform=AMD, digest=digest, size=size, labels={"version": "3.13.5"})]
    assert expected == oci.images(path)


def test_composing_keeps_digests_platforms_and_attestations(tmp_path):
    """One index holds every platform's image under its own digest."""
    first, _ = _layout(tmp_path / "one", AMD, attested=True)
    second, _ = _layout(tmp_path / "two", ARM)

    index = oci.compose([tmp_path / "one", _archive(tmp_path / "two")], tmp_path / "both")

    assert [(AMD, first), (ARM, second)] == [(i.platform, i.digest) for i in oci.images(tmp_path / "both")]
    assert b"attestation-manifest" in (tmp_path / "both/blobs" / index.digest.replace(":", "/")).read_bytes()


def test_composing_twice_gives_one_digest(tmp_path):
    """The index depends on its images alone."""
    _layout(tmp_path / "one", AMD)

    digests = {oci.compose([tmp_path / "one"], tmp_path / name).digest for name in ("a", "b")}

    assert len(digests) == 1


def test_two_images_of_one_platform_are_refused_and_nothing_is_left(tmp_path):
    """An index with two images for a platform would hide one of them."""
    _layout(tmp_path / "one", AMD, labels={"n": "1"})
    _layout(tmp_path / "two", AMD, labels={"n": "2"})

    with pytest.raises(BuildError, match="two images for linux/amd64; give one layout per platform"):
        oci.compose([tmp_path / "one", tmp_path / "two"], tmp_path / "both")

    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir() and path.name != "kiln") == ["one", "two"]


def test_a_blob_with_other_content_is_refused(tmp_path):
    """Copies are checked against their digests."""
    _layout(tmp_path / "one", AMD)
    blob = next(
        path for path in (tmp_path / "one/blobs/sha256").iterdir() if path.read_bytes() == b"layer of linux/amd64"
    )
    blob.write_bytes(b"other")

    with pytest.raises(BuildError, match="has other content"):
        oci.compose([tmp_path / "one"], tmp_path / "both")


@pytest.mark.parametrize(
    "index",
    [b"", b"{}", b"[", b'{"manifests":[{"mediaType":"x","size":1,"digest":"sha256:../../../etc/passwd"}]}'],
)
def test_a_damaged_index_is_one_clear_error(tmp_path, index):
    """No damage shows a traceback, and a digest cannot name another file."""
    (tmp_path / "index.json").write_bytes(index)

    with pytest.raises(BuildError, match="not a whole OCI image layout"):
        oci.images(tmp_path)


def test_a_missing_or_cut_archive_is_one_clear_error(tmp_path):
    """The message names the file."""
    cut = tmp_path / "cut.tar"
    cut.write_bytes(b"x" * 700)

    for path in (tmp_path / "none.tar", cut):
        with pytest.raises(BuildError, match=f"{path.name}: no OCI image layout there"):
            oci.images(path)


@pytest.mark.parametrize("platform", [AMD, ARM])
def test_a_platform_reads_back_as_it_was_written(platform):
    """Docker's notation and the parts are the same thing."""
    assert platform == str(oci.parse_platform(platform))


@pytest.mark.parametrize("text", ["linux", "linux/", "a/b/c/d", ""])
def test_a_malformed_platform_is_refused(text):
    """The message shows how one looks."""
    with pytest.raises(BuildError, match="write it like linux/amd64"):
        oci.parse_platform(text)
