"""OCI image layouts: folders, or tar archives of them, as `docker buildx --output type=oci` writes.

https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md
"""

import datetime
import hashlib
import json
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, TypeVar

import msgspec

from kiln import paths
from kiln.errors import BuildError

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEXES = (INDEX, "application/vnd.docker.distribution.manifest.list.v2+json")
REMEDY = "; build the image again"
"""What to do about a layout that is not whole."""
_REFERENCE = "vnd.docker.reference."
T = TypeVar("T")
# Digests become file names, so nothing else than a digest may pass for one.
Digest = Annotated[str, msgspec.Meta(pattern=r"^sha256:[0-9a-f]{64}$")]


class Platform(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A platform as manifests write it."""

    architecture: str
    os: str
    os_version: str = msgspec.field(default="", name="os.version")
    """Of Windows, which images of several releases there are for: `10.0.26100.1`."""
    variant: str = ""

    def __str__(self) -> str:
        """Return the platform as Docker writes it: `linux/arm/v7`."""
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


class Descriptor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A reference to a blob: what it is, its digest (`sha256:...`) and its size in bytes."""

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = None
    annotations: dict[str, str] = {}


class Index(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A list of manifests, one for each platform, or of further indexes."""

    manifests: list[Descriptor]
    media_type: str = INDEX
    schema_version: int = 2


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One image for one platform: its configuration and its layers."""

    config: Descriptor
    layers: list[Descriptor]
    media_type: str = MANIFEST
    schema_version: int = 2


class _Settings(msgspec.Struct, kw_only=True):
    labels: dict[str, str] | None = msgspec.field(default=None, name="Labels")


class _Config(msgspec.Struct, kw_only=True):
    architecture: str
    os: str
    variant: str = ""
    os_version: str = msgspec.field(default="", name="os.version")
    created: datetime.datetime | None = None
    config: _Settings = msgspec.field(default_factory=_Settings)


@dataclass(frozen=True, kw_only=True)
class Image:
    """One image for one platform, as found in a layout."""

    platform: str
    """As Docker writes it: `linux/amd64`."""
    digest: str
    size: int
    """Compressed bytes: all layers and the configuration."""
    labels: Mapping[str, str]
    created: int = 0
    """When the image says that it was made, in seconds since 1970; 0 if it does not say."""


def images(path: Path) -> list[Image]:
    """Return the images of a layout (a folder or a tar archive), without its attestations."""
    with _reading(path) as layout:
        return [_image(layout, leaf) for leaf in _leaves(layout) if not _attests(leaf)]


def layers(path: Path, platform: str) -> list[Descriptor]:
    """Return the layers of the image for a platform, lowest first, as they are compressed in a layout.

    Raises BuildError where the layout has no image for it.
    """
    with _reading(path) as layout:
        for leaf in _leaves(layout):
            # Layouts that an engine wrote may name platforms whose content they do not hold.
            if not _attests(leaf) and str(leaf.platform or "") in ("", platform):
                manifest = layout.load(_blob(leaf), Manifest)
                if str(_platform(layout.load(_blob(manifest.config), _Config))) == platform:
                    return manifest.layers
    raise BuildError(f"{path}: no image for {platform} in it; build it for {platform}")


def compose(sources: Sequence[Path], folder: Path) -> Descriptor:
    """Write one layout to `folder` that holds the images of all `sources` in one index.

    Attestations come along. Two images of one platform, or a `folder` that exists, are errors.
    """
    leaves: dict[str, Descriptor] = {}
    with writing(folder) as part:
        for source in sources:
            with _reading(source) as layout:
                for leaf in _leaves(layout):
                    leaves[leaf.digest] = _with_platform(layout, leaf)
                    _copy(layout, leaf, part)
        _refuse_twins(folder, leaves.values())
        index = write_blob(part, INDEX, encode(Index(manifests=list(leaves.values()))))
        write_index(part, [index])
    return index


@contextmanager
def writing(folder: Path) -> Iterator[Path]:
    """Give a temporary sibling to write a layout to; at the end it becomes `folder`, or nothing does."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        (part / "blobs" / "sha256").mkdir(parents=True)
        paths.write_whole(part / "oci-layout", '{"imageLayoutVersion":"1.0.0"}')
        yield part
        part.chmod(0o755)
        part.rename(folder)
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _unwritable(folder: Path, error: OSError) -> BuildError:
    return BuildError(f"{folder}: cannot write the image layout ({error.strerror or error})")


def write_index(folder: Path, manifests: list[Descriptor]) -> None:
    """Write the `index.json` of a layout, which makes it readable."""
    paths.write_whole(folder / "index.json", encode(Index(manifests=manifests)))


def write_blob(folder: Path, media_type: str, data: bytes) -> Descriptor:
    """Write bytes to the layout `folder` and return their descriptor."""
    digest = hashlib.sha256(data).hexdigest()
    paths.write_whole(folder / "blobs" / "sha256" / digest, data)
    return Descriptor(media_type=media_type, digest=f"sha256:{digest}", size=len(data))


def encode(value: object) -> bytes:
    """Return JSON that is the same for the same value, so that its digest is."""
    return json.dumps(msgspec.to_builtins(value), sort_keys=True, separators=(",", ":")).encode()


def parse_platform(text: str) -> Platform:
    """Return `linux/arm/v7` as its parts."""
    parts = text.split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise BuildError(f"{text}: not a platform; write it like linux/amd64 or linux/arm/v7")
    return Platform(os=parts[0], architecture=parts[1], variant="".join(parts[2:]))


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """A layout that is being read: damage in it is one clear error."""

    path: Path
    find: Callable[[str], IO[bytes] | None]

    def open(self, name: str) -> IO[bytes]:
        try:
            file = self.find(name)
        except (OSError, KeyError, tarfile.TarError) as error:
            raise self.damaged(f"{name} cannot be read") from error
        if file is None:
            raise self.damaged(f"{name} is not a file")
        return file

    def load(self, name: str, kind: type[T]) -> T:
        with self.open(name) as file:
            try:
                return msgspec.json.decode(file.read(), type=kind)
            except (msgspec.MsgspecError, UnicodeDecodeError, OSError) as error:
                raise self.damaged(f"{name}: {error}") from error

    def damaged(self, reason: str) -> BuildError:
        return BuildError(f"{self.path}: not a whole OCI image layout ({reason}){REMEDY}")


@contextmanager
def _reading(path: Path) -> Iterator[_Layout]:
    if path.is_dir():
        yield _Layout(path=path, find=lambda name: (path / name).open("rb"))
        return
    try:
        archive = tarfile.open(path, "r:")  # noqa: SIM115 - closed below; only opening it is tried
    except (OSError, tarfile.TarError) as error:
        raise BuildError(f"{path}: no OCI image layout there ({error}); build the image first") from error
    with archive:
        yield _Layout(path=path, find=archive.extractfile)


def _blob(descriptor: Descriptor) -> str:
    return f"blobs/{descriptor.digest.replace(':', '/', 1)}"


def _leaves(layout: _Layout) -> list[Descriptor]:
    """Return the descriptors of all manifests, whatever indexes they are nested in."""
    pending = layout.load("index.json", Index).manifests
    leaves: list[Descriptor] = []
    while pending:
        first, *pending = pending
        if first.media_type in _INDEXES:
            pending = layout.load(_blob(first), Index).manifests + pending
        else:
            leaves.append(first)
    return leaves


def _attests(leaf: Descriptor) -> bool:
    """Tell whether a manifest holds statements about an image instead of an image."""
    return f"{_REFERENCE}type" in leaf.annotations


def _image(layout: _Layout, leaf: Descriptor) -> Image:
    manifest = layout.load(_blob(leaf), Manifest)
    config = layout.load(_blob(manifest.config), _Config)
    return Image(
        platform=str(_platform(config)),
        digest=leaf.digest,
        size=manifest.config.size + sum(layer.size for layer in manifest.layers),
        labels=config.config.labels or {},
        created=int(config.created.timestamp()) if config.created else 0,
    )


def _platform(config: _Config) -> Platform:
    return Platform(
        architecture=config.architecture, os=config.os, os_version=config.os_version, variant=config.variant
    )  # fmt: skip


def _with_platform(layout: _Layout, leaf: Descriptor) -> Descriptor:
    """Return the descriptor with its platform, and without the name that its own layout gave it."""
    platform = leaf.platform
    # Engines write no release of Windows there, by which a host chooses among several.
    if platform is None or platform.os == "windows":
        config = layout.load(_blob(layout.load(_blob(leaf), Manifest).config), _Config)
        platform = _platform(config)
    kept = {key: value for key, value in leaf.annotations.items() if key.startswith(_REFERENCE)}
    return msgspec.structs.replace(leaf, platform=platform, annotations=kept)


def _copy(layout: _Layout, leaf: Descriptor, folder: Path) -> None:
    """Copy a manifest and all that it refers to, each checked against its digest."""
    manifest = layout.load(_blob(leaf), Manifest)
    for descriptor in (leaf, manifest.config, *manifest.layers):
        target = folder / _blob(descriptor)
        with layout.open(_blob(descriptor)) as source, target.open("w+b") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
            copy.seek(0)
            found = hashlib.file_digest(copy, "sha256").hexdigest()
        if descriptor.digest != f"sha256:{found}":
            raise layout.damaged(f"{descriptor.digest} has other content: sha256:{found}")


def _refuse_twins(folder: Path, leaves: Iterable[Descriptor]) -> None:
    found = [leaf.platform for leaf in leaves if leaf.platform and not _attests(leaf)]
    # Of one Windows platform there are images for several releases.
    platforms = [f"{platform} {platform.os_version}".rstrip() for platform in found]
    twins = {platform for platform in platforms if platforms.count(platform) > 1}
    if twins:
        raise BuildError(f"{folder}: two images for {', '.join(sorted(twins))}; give one layout per platform")
