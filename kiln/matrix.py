"""A family expanded: every image, its platforms and its tags, from `versions.json` alone."""

from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache

from msgspec import UNSET, Struct
from packaging.version import Version

from kiln.errors import CatalogError, SelectionError
from kiln.model import Catalog, Exclusion, Flavour, Release, Target
from kiln.tags import Tagged, Tags, assign

TAG_LIMIT = 128
"""Most characters of a tag, by the OCI distribution specification."""


class Image(Struct, frozen=True, kw_only=True, dict=True):
    """One Dockerfile: a release in one flavour on one target in one variant."""

    release: Release
    flavour: Flavour
    target_name: str
    target: Target
    variant: str
    platforms: tuple[str, ...]
    tags: Tags

    @cached_property
    def id(self) -> str:
        """Return the most specific tag, which names the image everywhere."""
        return self.tags.specific[0]

    @property
    def python(self) -> str:
        """Return the version with its flavour's letter: `3.13.5`, `3.14.10t`."""
        return version_text(self.release, self.flavour)

    @property
    def folder(self) -> str:
        """Return the folder of the Dockerfile below `dockerfiles/`."""
        return f"{self.tags.python}/{self.target_name}/{self.variant}"


class Matrix(Struct, frozen=True, kw_only=True):
    """All images of a family, newest release first, targets and variants in the family's order."""

    catalog: Catalog
    images: tuple[Image, ...]

    @property
    def repository(self) -> str:
        """Return the repository with its registry, as `docker pull` takes it."""
        registry = self.catalog.registry
        return f"{registry}/{self.catalog.repository}" if registry else self.catalog.repository

    def get(self, image_id: str) -> Image | None:
        """Return the image of an id."""
        return next((image for image in self.images if image.id == image_id), None)

    def select(self, globs: Sequence[str]) -> tuple[Image, ...]:
        """Return the images one of whose tags matches one of the globs, in the matrix's order.

        Raises SelectionError for a glob that matches nothing, with what comes near it.
        """
        chosen = set()
        for glob in globs:
            found = [image.id for image in self.images if _matches(image, glob)]
            if not found:
                raise SelectionError(f"{glob!r} matches no image; {self._near(glob)}")
            chosen.update(found)
        return tuple(image for image in self.images if image.id in chosen)

    def _near(self, glob: str) -> str:
        """Return a hint of what a glob that matches nothing may have meant."""
        names = [tag for image in self.images for tag in image.tags]
        near = get_close_matches(glob.replace("*", ""), names, n=5, cutoff=0.5)
        return f"near it are: {', '.join(near)}" if near else "see `invoke matrix` for all ids"


def version_text(release: Release, flavour: Flavour) -> str:
    """Return a release's version, with `t` behind it for a free-threaded build."""
    return release.version + ("t" if flavour == "freethreaded" else "")


def expand(catalog: Catalog, file: str = "versions.json") -> Matrix:
    """Return every image of a family.

    Raises CatalogError when nothing is left, or an id or tag belongs to two images.
    """
    cells = [cell for release in _newest_first(catalog.releases) for cell in _cells(catalog, release)]
    tags = assign([cell.tagged for cell in cells], catalog)
    images = tuple(
        Image(
            release=cell.release, flavour=cell.flavour, target_name=cell.target_name,
            target=catalog.targets[cell.target_name], variant=cell.variant,
            platforms=cell.platforms, tags=tag,
        )
        for cell, tag in zip(cells, tags, strict=True)
    )  # fmt: skip
    if not images:
        raise CatalogError(f"{file}: $: the matrix is empty; every image is excluded or no target has a platform")
    _unique(images, file)
    return Matrix(catalog=catalog, images=images)


class _Cell(Struct, frozen=True, kw_only=True):
    release: Release
    flavour: Flavour
    target_name: str
    variant: str
    platforms: tuple[str, ...]

    @property
    def tagged(self) -> Tagged:
        return Tagged(release=self.release, flavour=self.flavour, target=self.target_name, variant=self.variant)


def _newest_first(releases: Iterable[Release]) -> list[Release]:
    return sorted(releases, key=lambda release: release.parsed, reverse=True)


def _cells(catalog: Catalog, release: Release) -> Iterable[_Cell]:
    """Yield what is left of one release after the exclusions."""
    for flavour in release.flavours:
        for name in release.targets:
            target = catalog.targets[name]
            for variant in (v for v in catalog.variants if v in target.variants):
                platforms = tuple(
                    platform
                    for platform in target.platforms
                    if not any(
                        _excluded(rule, (release.version, flavour, name, variant, platform))
                        for rule in catalog.exclusions
                    )
                )
                if platforms:
                    yield _Cell(
                        release=release, flavour=flavour, target_name=name, variant=variant,
                        platforms=platforms,
                    )  # fmt: skip


def _excluded(rule: Exclusion, cell: tuple[str, str, str, str, str]) -> bool:
    globs = (rule.release, rule.flavour, rule.target, rule.variant, rule.platform)
    return all(glob is UNSET or _glob(value, glob) for value, glob in zip(cell, globs, strict=True))


@lru_cache(maxsize=65536)
def _glob(value: str, glob: str) -> bool:
    return fnmatchcase(value, glob)


def _matches(image: Image, glob: str) -> bool:
    return any(fnmatchcase(tag, glob) for tag in image.tags)


def _unique(images: Sequence[Image], file: str) -> None:
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


def newest_stable(images: Iterable[Image]) -> list[Image]:
    """Return the images of final releases, newest first, default flavour before the others."""
    stable = [image for image in images if not image.release.parsed.is_prerelease]
    return sorted(stable, key=_freshness, reverse=True)


def _freshness(image: Image) -> tuple[Version, bool, bool, int]:
    """Sort by version, the default flavour before others, the default target before others in their order."""
    place = image.release.targets.index(image.target_name)
    return image.release.parsed, image.flavour == "default", image.tags.default_target, -place
