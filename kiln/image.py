"""One image of a family, and what makes images distinct."""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from msgspec import Struct

from kiln.errors import CatalogError
from kiln.model import Flavour, Package, Release, Target
from kiln.tags import Tags

TAG_LIMIT = 128
"""Most characters of a tag, by the OCI distribution specification."""

PACKAGES = "packages"
"""In a family's folder: a folder for each package."""


class Installed(Struct, frozen=True, kw_only=True):
    """What of the Python index an image has beside Python."""

    name: str
    """The key in `packages`, which is the last part of the repository's name."""
    family: Path
    """The file that describes the family, as an absolute path."""
    version: str
    package: Package
    python: str
    """The id of the Python image that it is built on."""
    builder: str
    """The id of the Python image that it is installed in: the full one, or where there is none, the same."""
    defaults: tuple[str, str]
    """The versions of Python and package that the Dockerfile, which serves all of them, has by default."""

    @property
    def folder(self) -> Path:
        """Return the package's folder in that of the family: its `start`, its `locks` and its `example`."""
        return self.family.parent / PACKAGES / self.name


class Image(Struct, frozen=True, kw_only=True, dict=True):
    """A release in one flavour on one target in one variant, and what of the index is in it."""

    release: Release
    flavour: Flavour
    target_name: str
    target: Target
    variant: str
    platforms: tuple[str, ...]
    tags: Tags
    installed: Installed | None = None
    """None for a Python image."""

    @cached_property
    def id(self) -> str:
        """Return what names the image everywhere: its most specific tag, with the repository's if it has a package."""
        return f"{self.installed.name}:{self.tag}" if self.installed else self.tag

    @property
    def tag(self) -> str:
        """Return the most specific tag."""
        return self.tags.specific[0]

    @property
    def python(self) -> str:
        """Return the version with its flavour's letter: `3.13.5`, `3.14.10t`."""
        return version_text(self.release, self.flavour)

    @property
    def folder(self) -> str:
        """Return the folder of the Dockerfile below `dockerfiles/`."""
        if self.installed:
            return f"{self.installed.name}/{self.target_name}/{self.variant}"
        return f"{self.tags.python}/{self.target_name}/{self.variant}"


def version_text(release: Release, flavour: Flavour) -> str:
    """Return a release's version, with `t` behind it for a free-threaded build."""
    return release.version + ("t" if flavour == "freethreaded" else "")


def names(image: Image) -> list[str]:
    """Return what globs may find an image by."""
    tags = list(image.tags)
    return [*tags, *(f"{image.installed.name}:{tag}" for tag in tags)] if image.installed else tags


def unique(images: Sequence[Image], file: str) -> None:
    """Raise CatalogError for an id or a tag that two images claim, or that no registry takes."""
    ids = Counter(image.id for image in images)
    for image_id, count in ids.items():
        if count > 1:
            raise CatalogError(
                f"{file}: $.releases: id {image_id} belongs to {count} images; "
                "remove the release that stands twice, or rename a target"
            )
    owner: dict[str, Image] = {}
    for image in images:
        for tag in image.tags:
            if len(tag) > TAG_LIMIT:
                raise CatalogError(
                    f"{file}: $.targets: tag {tag[:57]}... has {len(tag)} characters, and registries take {TAG_LIMIT}; "
                    f"give target {image.target_name[:20]} or variant {image.variant[:20]} a shorter name"
                )
            other = owner.setdefault(tag, image)
            if other is not image and not _may_share(tag, other, image):
                raise CatalogError(
                    f"{file}: $.releases: tag {tag} belongs to {other.id} and to {image.id}; "
                    "rename a target or variant, or give the release another default target"
                )


def _may_share(tag: str, one: Image, other: Image) -> bool:
    """Tell whether two images may have a tag in common: one index holds them, and the host's system chooses."""
    windows = "windows" in {one.target.distribution, other.target.distribution}
    return windows and one.python == other.python and tag in one.tags.shared and tag in other.tags.shared
