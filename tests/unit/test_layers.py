"""Layers get their level from Kiln: the same bytes for the same content, each compressed once."""

import gzip
import hashlib
import io
import json
import random
import tarfile

import pytest
import zstandard

from kiln import layers, oci, paths
from kiln.errors import BuildError
from kiln.model import Compression

ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
WANTED = Compression(algorithm="zstd", level=19)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("KILN_HOME", str(tmp_path / "home"))


def sha256(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def content(seed):
    """Return text that a higher level makes smaller."""
    words = [f"word{number}" for number in range(500)]
    return " ".join(random.Random(seed).choices(words, k=20_000)).encode()  # noqa: S311 - no secret


def archive(path, *contents, media_type=ZSTD, claims=()):
    """Write an OCI archive of one image as BuildKit does: zstd, and not very small."""
    folder = path.with_suffix("")
    (folder / "blobs/sha256").mkdir(parents=True)
    packed = [zstandard.ZstdCompressor(level=1).compress(one) for one in contents]
    found = [oci.write_blob(folder, media_type, one) for one in packed]
    diff_ids = list(claims) or [sha256(one) for one in contents]
    settings = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    config = oci.write_blob(folder, "application/vnd.oci.image.config.v1+json", json.dumps(settings).encode())
    leaf = oci.write_blob(folder, oci.MANIFEST, oci.encode(oci.Manifest(config=config, layers=found)))
    named = oci.Descriptor(
        **{name: getattr(leaf, name) for name in ("media_type", "digest", "size")}, annotations={"n": "kiln:x"}
    )
    oci.write_index(folder, [named])
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    with tarfile.open(path, "w") as tar:
        for file in sorted(folder.rglob("*")):
            tar.add(file, str(file.relative_to(folder)), recursive=False)
    return path


def read(path):
    """Return the index's descriptor, and each layer's descriptor with its bytes."""
    with tarfile.open(path) as tar:
        get = lambda name: tar.extractfile(name).read()  # noqa: E731
        blob = lambda one: get(f"blobs/{one['digest'].replace(':', '/')}")  # noqa: E731
        (leaf,) = json.loads(get("index.json"))["manifests"]
        manifest = blob(leaf)
        assert (sha256(manifest), len(manifest)) == (leaf["digest"], leaf["size"])
        return leaf, [(one, blob(one)) for one in json.loads(manifest)["layers"]]


def test_layers_get_smaller_and_keep_their_content(tmp_path):
    """Descriptors say what is there, sizes too, and the image keeps its name."""
    contents = [content(1), content(2)]
    path = archive(tmp_path / "image.tar", *contents)
    before = oci.images(path)[0]
    layers.recompress(path, WANTED)
    leaf, found = read(path)
    assert leaf["annotations"] == {"n": "kiln:x"}
    for (descriptor, data), text in zip(found, contents, strict=True):
        assert zstandard.ZstdDecompressor().decompressobj().decompress(data) == text
        assert (descriptor["digest"], descriptor["size"]) == (sha256(data), len(data))
        assert descriptor["mediaType"] == ZSTD
    (after,) = oci.images(path)
    assert after.size < before.size
    assert after.digest == leaf["digest"] != before.digest
    assert list(tmp_path.glob(".*")) == []


def test_images_share_a_layer_that_is_compressed_once(tmp_path, monkeypatch):
    """The second image's base has the first one's bytes, without any work; another level has others."""
    base, mine, yours = content(0), content(1), content(2)
    first, second = archive(tmp_path / "a.tar", base, mine), archive(tmp_path / "b.tar", base, yours)
    layers.recompress(first, WANTED)
    done = []
    monkeypatch.setattr(
        layers,
        "_compress",
        lambda *words, real=layers._compress: done.append(words[1]) or real(*words),  # noqa: SLF001
    )
    layers.recompress(second, WANTED)
    assert done == [sha256(yours)]
    assert read(first)[1][0] == read(second)[1][0]
    third = archive(tmp_path / "c.tar", base)
    layers.recompress(third, Compression(algorithm="zstd", level=3))
    assert read(third)[1][0] != read(first)[1][0]


def test_a_damaged_layer_of_before_is_made_again(tmp_path):
    """What lies in the cache is believed only if its bytes are those of its name."""
    first, second = archive(tmp_path / "a.tar", content(0)), archive(tmp_path / "b.tar", content(0))
    layers.recompress(first, WANTED)
    (kept,) = paths.folder("layers").iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-1])
    layers.recompress(second, WANTED)
    assert read(second) == read(first)
    assert kept.read_bytes() == whole


def test_a_large_layer_has_its_own_level(tmp_path, monkeypatch):
    """It is what the lower level alone would give; smaller ones are not touched by it."""
    monkeypatch.setattr(layers, "LARGE", len(content(1)))
    wanted = Compression(algorithm="zstd", level=19, large_level=1)
    path = archive(tmp_path / "a.tar", content(1), content(1) + content(2))
    layers.recompress(path, wanted)
    (_, small), (_, large) = read(path)[1]
    expected = [io.BytesIO(), io.BytesIO()]
    for file, data, level in zip(expected, (content(1), content(1) + content(2)), (19, 1), strict=True):
        compressor = zstandard.ZstdCompressor(compression_params=layers.parameters(level, len(data)))
        compressor.copy_stream(io.BytesIO(data), file, size=len(data))
    assert [small, large] == [file.getvalue() for file in expected]


def test_gzip_for_old_clients(tmp_path, monkeypatch):
    """Every layer has its media type and its content, in as many members as fit into memory."""
    monkeypatch.setattr(layers, "_MEMBER", 50_000)
    contents = [content(1), b"x" * 10]
    path = archive(tmp_path / "a.tar", *contents)
    layers.recompress(path, Compression(algorithm="gzip", level=12))
    found = read(path)[1]
    assert [gzip.decompress(data) for _, data in found] == contents
    assert {one["mediaType"] for one, _ in found} == {ZSTD.replace("zstd", "gzip")}
    assert [data.count(b"\x1f\x8b\x08") for _, data in found] == [-(-len(contents[0]) // 50_000), 1]
    assert len(found[0][1]) < len(gzip.compress(contents[0], 9))


def test_old_layers_go(tmp_path):
    """Nobody has to clean up after builds of last month; what is used stays."""
    import os

    layers.recompress(archive(tmp_path / "a.tar", content(0), content(1)), WANTED)
    kept = sorted(paths.folder("layers").iterdir())
    for file in kept:
        os.utime(file, (0, 0))
    layers.recompress(archive(tmp_path / "b.tar", content(0), content(2)), WANTED)
    left = {file.name.partition("-")[0] for file in paths.folder("layers").iterdir()}
    assert left == {sha256(content(seed)).removeprefix("sha256:") for seed in (0, 2)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"media_type": f"{ZSTD[:-4]}gzip"}, r"image\.tar: has layers of .*tar\+gzip; update buildx and the engine"),
        ({"claims": [f"sha256:{'0' * 64}"]}, r"image\.tar: not an archive of one image \(a layer is not sha256:0"),
    ],
)
def test_what_is_not_as_expected_is_one_line(tmp_path, changes, message):
    """The archive stays what it was, and nothing is kept."""
    path = archive(tmp_path / "image.tar", content(1), **changes)
    before = path.read_bytes()
    with pytest.raises(BuildError, match=message):
        layers.recompress(path, WANTED)
    assert path.read_bytes() == before
    assert list(tmp_path.glob(".*")) == []
    assert not any(paths.folder("layers").iterdir())


def test_what_others_remove_meanwhile_is_no_error(tmp_path):
    """A temporary file of another build is listed, and gone by the time that it is looked at."""
    gone = paths.folder("layers") / ".another"
    gone.symlink_to(tmp_path / "nothing")
    layers.recompress(archive(tmp_path / "a.tar", content(0)), WANTED)
    gone.unlink()
