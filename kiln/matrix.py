"""A family expanded: every image, its platforms and its tags, from `versions.json` alone."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache

from msgspec import UNSET, Struct
from packaging.version import Version

from kiln.errors import CatalogError, SelectionError
from kiln.model import Catalog, Exclusion, Flavour, Package, Release, Target
from kiln.tags import Tagged, Tags, assign, package_tags

TAG_LIMIT = 128
"""Most characters of a tag, by the OCI distribution specification."""


class Installed(Struct, frozen=True, kw_only=True):
    """What of the Python index an image has beside Python."""

    name: str
    """The key in `packages`, which is the last part of the repository's name."""
    version: str
    package: Package
    python: str
    """The id of the Python image that it is built on."""
    builder: str
    """The id of the Python image that it is installed in: the full one, or where there is none, the same."""
    defaults: tuple[str, str]
    """The versions of Python and package that the Dockerfile, which serves all of them, has by default."""


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


class Matrix(Struct, frozen=True, kw_only=True, dict=True):
    """All images of a family, newest release first, targets and variants in the family's order."""

    catalog: Catalog
    images: tuple[Image, ...]
    """The Python images."""
    packages: tuple[Image, ...] = ()
    """Those with a package, in the file's order of packages, the newest version first."""

    @property
    def everything(self) -> tuple[Image, ...]:
        """Return all images: those with packages come after the Pythons that they are built on."""
        return self.images + self.packages

    @property
    def repository(self) -> str:
        """Return the repository of the Python images with its registry, as `docker pull` takes it."""
        registry = self.catalog.registry
        return f"{registry}/{self.catalog.repository}" if registry else self.catalog.repository

    def repository_of(self, image: Image) -> str:
        """Return an image's repository: a package has its own beside that of Python."""
        if not image.installed:
            return self.repository
        folder, slash, _ = self.repository.rpartition("/")
        return f"{folder}{slash}{image.installed.name}"

    @property
    def repositories(self) -> tuple[str, ...]:
        """Return all repositories, that of Python first."""
        return tuple(dict.fromkeys(self.repository_of(image) for image in self.everything))

    @cached_property
    def _by_id(self) -> dict[str, Image]:
        return {image.id: image for image in self.everything}

    def get(self, image_id: str) -> Image | None:
        """Return the image of an id."""
        return self._by_id.get(image_id)

    def select(self, globs: Sequence[str]) -> tuple[Image, ...]:
        """Return the images one of whose tags matches one of the globs, in the matrix's order.

        A package's tags may stand behind its name: `uvicorn:*-slim-latest`. Raises SelectionError
        for a glob that matches nothing, with what comes near it.
        """
        chosen = set()
        for glob in globs:
            found = [image.id for image in self.everything if _matches(image, glob)]
            if not found:
                raise SelectionError(f"{glob!r} matches no image; {self._near(glob)}")
            chosen.update(found)
        return tuple(image for image in self.everything if image.id in chosen)

    def _near(self, glob: str) -> str:
        """Return a hint of what a glob that matches nothing may have meant."""
        names = [name for image in self.everything for name in _names(image)]
        near = get_close_matches(glob.replace("*", ""), names, n=5, cutoff=0.5)
        return f"near it are: {', '.join(near)}" if near else "see `invoke matrix` for all ids"


def version_text(release: Release, flavour: Flavour) -> str:
    """Return a release's version, with `t` behind it for a free-threaded build."""
    return release.version + ("t" if flavour == "freethreaded" else "")


def expand(catalog: Catalog, file: str = "versions.json") -> Matrix:
    """Return every image of a family.

    Raises CatalogError when nothing is left, or an id or tag belongs to two images.
    """
    rules = _by_release(catalog.exclusions)
    cells = [cell for release in _newest_first(catalog.releases) for cell in _cells(catalog, release, rules)]
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
    return Matrix(catalog=catalog, images=images, packages=_packages(images, catalog, file))


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


def _by_release(rules: Iterable[Exclusion]) -> dict[str, list[Exclusion]]:
    """Return exclusions by the version or series that they name, so that thousands of both stay quick.

    Under the empty name are those that other globs, or none, tell the releases of.
    """
    found: dict[str, list[Exclusion]] = {}
    for rule in rules:
        name = "" if rule.release is UNSET else rule.release.removesuffix(".*")
        found.setdefault("" if set(name) & set("*?[") else name, []).append(rule)
    return found


def _rules(release: Release, rules: Mapping[str, list[Exclusion]]) -> list[Exclusion]:
    """Return the exclusions that may touch a release."""
    parts = release.version.split(".")
    names = ["", *(".".join(parts[:end]) for end in range(1, len(parts) + 1))]
    near = [rule for name in names for rule in rules.get(name, ())]
    return [rule for rule in near if rule.release is UNSET or _glob(release.version, rule.release)]


def _cells(catalog: Catalog, release: Release, index: Mapping[str, list[Exclusion]]) -> Iterable[_Cell]:
    """Yield what is left of one release after the exclusions."""
    rules = _rules(release, index)
    for flavour in release.flavours:
        for name in release.targets:
            target = catalog.targets[name]
            for variant in (v for v in catalog.variants if v in target.variants):
                platforms = tuple(
                    platform
                    for platform in target.platforms
                    if not any(_excluded(rule, (flavour, name, variant, platform)) for rule in rules)
                )
                if platforms:
                    yield _Cell(
                        release=release, flavour=flavour, target_name=name, variant=variant,
                        platforms=platforms,
                    )  # fmt: skip


def _excluded(rule: Exclusion, cell: tuple[str, str, str, str]) -> bool:
    globs = (rule.flavour, rule.target, rule.variant, rule.platform)
    return all(glob is UNSET or _glob(value, glob) for value, glob in zip(cell, globs, strict=True))


@lru_cache(maxsize=65536)
def _glob(value: str, glob: str) -> bool:
    # Most are names and series; thousands of regular expressions would take seconds.
    if not set(glob[:-1]) & set("*?[") and not glob.endswith(("?", "[")):
        return value.startswith(glob[:-1]) if glob.endswith("*") else value == glob
    return fnmatchcase(value, glob)


def _matches(image: Image, glob: str) -> bool:
    return any(fnmatchcase(name, glob) for name in _names(image))


def _names(image: Image) -> list[str]:
    """Return what globs may find an image by."""
    tags = list(image.tags)
    return [*tags, *(f"{image.installed.name}:{tag}" for tag in tags)] if image.installed else tags


def _packages(images: Sequence[Image], catalog: Catalog, file: str) -> tuple[Image, ...]:
    """Return the images with packages, built on the Python images that each names.

    Raises CatalogError for a Python that the matrix has not, and for a package without any image.
    """
    found: list[Image] = []
    builders = {(one.python, one.target_name): one.id for one in images if one.variant == "full"}
    for name, package in (catalog.packages or {}).items():
        pythons = _pythons(images, package, f"{file}: $.packages[{name!r}]")
        versions = sorted(package.versions, key=Version, reverse=True)
        newest = next((one for one in versions if not Version(one).is_prerelease), versions[0])
        # The last one that is set stands: the first Python of each target and variant.
        first = {(base.target_name, base.variant): base.python for base in reversed(pythons)}
        cells = [
            _installed(
                Installed(
                    name=name, version=version, package=package, python=base.id,
                    builder=builders.get((base.python, base.target_name), base.id),
                    defaults=(first[base.target_name, base.variant], newest),
                ),
                base, package.platforms or base.platforms,
            )
            for version in versions for base in pythons
        ]  # fmt: skip
        cells = [cell for cell in cells if cell.platforms]
        if not cells:
            raise CatalogError(
                f"{file}: $.packages[{name!r}]: no Python image has its pythons, targets, variants and platforms; "
                "see `invoke matrix` for what there is"
            )
        _unique(cells, file)
        found += cells
    return tuple(found)


def _pythons(images: Iterable[Image], package: Package, where: str) -> list[Image]:
    """Return the Python images that a package is built on, in the order of its `pythons` and `targets`."""
    plain = [image for image in images if image.flavour == "default"]
    found: dict[str, Image] = {}
    for index, python in enumerate(package.pythons):
        named = [image for image in plain if python in image.tags.aliases[:2]]
        if not named:
            raise CatalogError(f"{where}.pythons[{index}]: found {python!r}, which no release has; name one that is")
        for target in package.targets:
            chosen = [one for one in named if one.target_name == target and one.variant in package.variants]
            found.update((image.id, image) for image in chosen)
    return list(found.values())


def _installed(installed: Installed, base: Image, chosen: Collection[str]) -> Image:
    """Return the image of one version of a package on one Python image."""
    return Image(
        release=base.release, flavour=base.flavour, target_name=base.target_name, target=base.target,
        variant=base.variant, platforms=tuple(one for one in base.platforms if one in chosen),
        tags=package_tags(base.tags, installed.version, installed.package.versions), installed=installed,
    )  # fmt: skip


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
