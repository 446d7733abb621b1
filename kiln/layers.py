"""Layers compressed with the reference implementation of zstd or with libdeflate, each content once on this machine.

BuildKit's own encoder of zstd has four levels, and ends at what level 12 gives in a sixth of the time; its gzip
at level 9 is 8% larger than libdeflate's for the base of trixie:
docs/decisions/0015-layers-by-zstd.md.
"""

import hashlib
import json
import os
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import repeat
from pathlib import Path
from typing import IO

import deflate
import msgspec
import zstandard

from kiln import paths, store
from kiln.archive import add, blob, load, member
from kiln.errors import BuildError
from kiln.model import Compression
from kiln.oci import encode

LARGE = 256_000_000
"""The bytes, uncompressed, above which a layer has `Compression.large_level`."""
WINDOW = 26
"""How far back content is found again, as a power of two: 64 MB, which is what all known decoders allow."""
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_ZSTD = f"{_LAYER}+zstd"
_MEMBER = 64_000_000
"""The bytes, uncompressed, of each member of a gzip file, since libdeflate compresses what is in memory."""
_KEPT_DAYS = 30


def recompress(archive: Path, wanted: Compression) -> None:
    """Give the zstd layers of an OCI archive of one image another compression; the archive is replaced whole.

    A layer's bytes follow from its content and the settings alone, so that images share them.
    """
    part = archive.with_name(f".{archive.name}.part")
    try:
        with tarfile.open(archive, "r:") as source, tarfile.open(part, "w") as target:
            index = load(source, "index.json")
            (leaf,) = index["manifests"]
            manifest = load(source, blob(leaf["digest"]))
            config = member(source, blob(manifest["config"]["digest"])).read()
            contents = json.loads(config)["rootfs"]["diff_ids"]
            if other := {layer["mediaType"] for layer in manifest["layers"]} - {_ZSTD}:
                raise BuildError(f"{archive}: has layers of {', '.join(other)}; update buildx and the engine")
            digests = [layer["digest"] for layer in manifest["layers"]]
            # A layer keeps one core busy, whatever its threads; zstandard lets other threads of Python run.
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                files = list(pool.map(_compressed, repeat(archive), digests, contents, repeat(wanted)))
            blobs: dict[str, Path | bytes] = {blob(manifest["config"]["digest"]): config}
            for layer, file in zip(manifest["layers"], files, strict=True):
                layer |= {
                    "mediaType": f"{_LAYER}+{wanted.algorithm}",
                    "digest": f"sha256:{file.name.rpartition('-')[2]}",
                    "size": file.stat().st_size,
                }
                blobs[blob(layer["digest"])] = file
            text = encode(manifest)
            leaf |= {"digest": f"sha256:{hashlib.sha256(text).hexdigest()}", "size": len(text)}
            blobs |= {blob(leaf["digest"]): text, "index.json": encode(index)}
            blobs["oci-layout"] = member(source, "oci-layout").read()
            for name, data in blobs.items():
                add(target, name, data)
        part.replace(archive)
        _forget(paths.folder("layers"))
    except (KeyError, ValueError, EOFError, tarfile.TarError, zstandard.ZstdError) as error:
        raise BuildError(f"{archive}: not an archive of one image ({error}); build the image again") from error
    finally:
        part.unlink(missing_ok=True)


def _compressed(archive: Path, digest: str, content: str, wanted: Compression) -> Path:
    """Return the file with a layer of an archive; `content` is the digest of its uncompressed bytes.

    Its name ends with its own digest.
    """
    version, *how = ".".join(map(str, zstandard.ZSTD_VERSION)), wanted.large_level or wanted.level, WINDOW
    if wanted.algorithm == "gzip":
        version, how = f"gzip-{deflate.__version__}", [_MEMBER]
    name = "-".join(map(str, [content.removeprefix("sha256:"), version, wanted.level, *how, ""]))
    with paths.lock(f"layer-{name}"):
        if kept := _kept(name):
            return kept
        # Threads cannot share an open archive.
        with tarfile.open(archive, "r:") as source:
            return _compress(member(source, blob(digest)), content, wanted, name)


def _kept(name: str) -> Path | None:
    """Return a layer that was compressed before, whose bytes are still those of its name."""
    for file in paths.folder("layers").glob(f"{name}*"):
        # Another build may just forget it for its age, which ends here.
        with suppress(FileNotFoundError):
            os.utime(file)
            if store.read_digest(file) == file.name.rpartition("-")[2]:
                return file
            file.unlink()
    return None


def _compress(layer: IO[bytes], content: str, wanted: Compression, name: str) -> Path:
    folder = paths.folder("layers")
    with tempfile.TemporaryFile(dir=folder) as plain, tempfile.NamedTemporaryFile(dir=folder, prefix=".") as packed:
        size = zstandard.ZstdDecompressor().copy_stream(layer, plain)[1]
        plain.seek(0)
        if content != f"sha256:{hashlib.file_digest(plain, 'sha256').hexdigest()}":
            raise ValueError(f"a layer is not {content}")
        plain.seek(0)
        if wanted.algorithm == "gzip":
            # A gzip file may have any number of members, which follow each other.
            while member_bytes := plain.read(_MEMBER):
                packed.write(deflate.gzip_compress(member_bytes, wanted.level))
        else:
            level = wanted.large_level if size > LARGE and wanted.large_level is not msgspec.UNSET else wanted.level
            zstandard.ZstdCompressor(compression_params=parameters(level, size)).copy_stream(plain, packed, size=size)
        packed.flush()
        file = folder / f"{name}{store.read_digest(Path(packed.name))}"
        os.link(packed.name, file)
    return file


def parameters(level: int, size: int) -> zstandard.ZstdCompressionParameters:
    """Return how a layer of so many bytes is compressed.

    Several threads give the same bytes as one of them; none at all would give others.
    """
    return zstandard.ZstdCompressionParameters.from_level(
        level, source_size=size, window_log=WINDOW, threads=os.cpu_count() or 1
    )


def _forget(folder: Path) -> None:
    """Remove the layers that no build has used for a while."""
    for file in folder.iterdir():
        # Others compress and forget at the same time.
        with suppress(FileNotFoundError):
            if file.stat().st_mtime < time.time() - _KEPT_DAYS * 86400:
                file.unlink()
