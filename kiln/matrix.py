"""A family expanded: every image, its platforms and its tags, from `versions.json` alone."""

from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from msgspec import Struct
from packaging.version import Version

from kiln import paths
from kiln.cells import cells
from kiln.errors import CatalogError, SelectionError
from kiln.image import Image, Installed, names, unique
from kiln.model import Catalog, Package
from kiln.tags import assign, package_tags


class Matrix(Struct, frozen=True, kw_only=True, dict=True):
    """All images of a family, newest release first, targets and variants in the family's order."""

    catalog: Catalog
    file: Path
    """The file that describes the family, as an absolute path."""
    images: tuple[Image, ...]
    """The Python images."""
    packages: tuple[Image, ...] = ()
    """Those with a package, in the file's order of packages, the newest version first."""

    @property
    def folder(self) -> Path:
        """Return the family's folder: all that is generated or read for it lies beside its file."""
        return self.file.parent

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
        known = [name for image in self.everything for name in names(image)]
        near = get_close_matches(glob.replace("*", ""), known, n=5, cutoff=0.5)
        return f"near it are: {', '.join(near)}" if near else "see `invoke matrix` for all ids"


def expand(catalog: Catalog, file: str | Path = paths.ROOT / "versions.json") -> Matrix:
    """Return every image of the family that a file describes, which errors call as it is given here.

    Raises CatalogError when nothing is left, or an id or tag belongs to two images.
    """
    found = cells(catalog)
    tags = assign([cell.tagged for cell in found], catalog)
    images = tuple(
        Image(
            release=cell.release, flavour=cell.flavour, target_name=cell.target_name,
            target=catalog.targets[cell.target_name], variant=cell.variant,
            platforms=cell.platforms, tags=tag,
        )
        for cell, tag in zip(found, tags, strict=True)
    )  # fmt: skip
    if not images:
        raise CatalogError(f"{file}: $: the matrix is empty; every image is excluded or no target has a platform")
    unique(images, str(file))
    return Matrix(
        catalog=catalog, file=Path(file).absolute(), images=images, packages=_packages(images, catalog, Path(file))
    )


def _matches(image: Image, glob: str) -> bool:
    return any(fnmatchcase(name, glob) for name in names(image))


def _packages(images: Sequence[Image], catalog: Catalog, file: Path) -> tuple[Image, ...]:
    """Return the images with packages, built on the Python images that each names.

    Raises CatalogError for a Python that the matrix has not, and for a package without any image.
    """
    found: list[Image] = []
    builders = {(one.python, one.target_name): one.id for one in images if one.variant == "full"}
    for name, package in (catalog.packages or {}).items():
        pythons = _pythons(images, package, f"{file}: $.packages[{name!r}]")
        versions = sorted(package.versions, key=Version, reverse=True)
        if not versions:
            # `invoke update` fills them in.
            continue
        newest = next((one for one in versions if not Version(one).is_prerelease), versions[0])
        # The last one that is set stands: the first Python of each target and variant.
        first = {(base.target_name, base.variant): base.python for base in reversed(pythons)}
        cells = [
            _installed(
                Installed(
                    name=name, family=file.absolute(), version=version, package=package,
                    python=base.id,
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
        unique(cells, str(file))
        found += cells
    return tuple(found)


def _pythons(images: Iterable[Image], package: Package, where: str) -> list[Image]:
    """Return the Python images that a package is built on, in the order of its `pythons` and `targets`."""
    plain = [image for image in images if image.flavour == "default"]
    found: dict[str, Image] = {}
    for index, python in enumerate(package.pythons):
        named = [image for image in plain if python in image.tags.aliases[:2]]
        if not named:
            raise CatalogError(f"{where}.pythons[{index}]: found {python!r}, which no image has; name one that is")
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


def newest_stable(images: Iterable[Image]) -> list[Image]:
    """Return the images of final releases, newest first, default flavour before the others."""
    stable = [image for image in images if not image.release.parsed.is_prerelease]
    return sorted(stable, key=_freshness, reverse=True)


def slim(images: Sequence[Image]) -> Sequence[Image]:
    """Return the slim ones of some images, or all of them if none is slim."""
    return [image for image in images if image.variant == "slim"] or images


def _freshness(image: Image) -> tuple[Version, bool, bool, int]:
    """Sort by version, the default flavour before others, the default target before others in their order."""
    place = image.release.targets.index(image.target_name)
    return image.release.parsed, image.flavour == "default", image.tags.default_target, -place
