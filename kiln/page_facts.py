"""What a page's template knows of a family: its variables, from the matrix."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from msgspec import UNSET
from packaging.requirements import Requirement
from packaging.version import Version

from kiln import render
from kiln.checks import PLATFORMS
from kiln.errors import SelectionError
from kiln.image import Image
from kiln.library import ARCHITECTURES
from kiln.matrix import Matrix, newest_stable
from kiln.model import Catalog, Exclusion
from kiln.page_model import Described, Facts, PageImage, PageTarget, SharedGroup, Size, TagRow
from kiln.page_status import status
from kiln.results import Results

_LABEL = "org.opencontainers.image."


def facts(matrix: Matrix, results: Results, commits: Mapping[str, str], package: str = "") -> Facts:
    """Return what templates know of a family's Python images, or of those with a package.

    `commits` has the last commit of Dockerfiles by their path below `dockerfiles/`; where it has
    none, links name the default branch. Raises SelectionError for a package that there is not.
    """
    chosen = _chosen(matrix, package)
    labels = matrix.catalog.labels
    source = labels.get(f"{_LABEL}source", "")
    images = {image.id: _image(image, source, commits) for image in chosen}
    first = _examples(chosen, matrix.catalog.variant_names)
    used = {image.variant for image in chosen}
    platforms = _platforms(chosen)
    return Facts(
        **_about(matrix, chosen[0]),
        source=source,
        documentation_url=labels.get(f"{_LABEL}documentation", ""),
        licences=labels.get(f"{_LABEL}licenses", ""),
        vendor=labels.get(f"{_LABEL}vendor", ""),
        package_versions=sorted(dict.fromkeys(_version(image) for image in chosen), key=Version),
        tag_rows=tag_rows(chosen) if package else [],
        platforms=platforms,
        architectures=[ARCHITECTURES[platform] for platform in platforms],
        python_versions=sorted({image.release.series for image in chosen}, key=Version),
        variants=list(first),
        variant_texts=[
            Described(name=name, description=matrix.catalog.variants[name].description)
            for name in matrix.catalog.variant_names if name in used
        ],
        newest=images[_newest(chosen)[0].id],
        examples={kind: images[image.id] for kind, image in first.items()},
        images=list(images.values()),
        shared_groups=_groups(images.values()),
        targets=_targets(matrix.catalog, chosen),
        status=status(chosen, results),
        sizes=_sizes(chosen, results),
        exclusions=[Described(name=_rule(rule), description=rule.reason) for rule in matrix.catalog.exclusions],
    )  # fmt: skip


def tag_rows(images: Sequence[Image]) -> list[TagRow]:
    """Return the shortest tags of a package's images; of several targets of a kind, those of the first."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for image in images:
        tags = set(image.tags.specific)
        for version in ("latest", _version(image)):
            tag = "-".join(filter(None, (f"py{image.tags.python}", image.tags.names[-1], version)))
            if tag in tags:
                rows.setdefault((version, image.tags.python), {}).setdefault(_kind(image), tag)
    # Those of `latest` belong together, wherever the newest final version stands.
    ordered = sorted(rows.items(), key=lambda row: row[0][0] != "latest")
    return [TagRow(version=version, python=python, tags=tags) for (version, python), tags in ordered]


def _chosen(matrix: Matrix, package: str) -> tuple[Image, ...]:
    if not package:
        return matrix.images
    names = list(dict.fromkeys(image.installed.name for image in matrix.packages if image.installed))
    if package not in names:
        raise SelectionError(f"--package {package}: no such package; use one of: {', '.join(names) or 'none there is'}")
    return tuple(image for image in matrix.packages if image.installed and image.installed.name == package)


def _about(matrix: Matrix, image: Image) -> dict[str, Any]:
    """Return what a package or Python says of itself."""
    catalog, mine = matrix.catalog, image.installed
    organization, slash, short = catalog.repository.rpartition("/")
    if not organization and not catalog.registry:
        # So Docker Hub itself calls those that are pulled by a bare name.
        organization, slash = "library", "/"
    short = mine.name if mine else short
    return {
        "repository": f"{organization}{slash}{short}",
        "image": matrix.repository_of(image),
        "python_image": matrix.repository,
        "organization": organization,
        "repository_short": short,
        "description": mine.package.description if mine else catalog.labels.get(f"{_LABEL}description", ""),
        "package": Requirement(mine.package.requirements[0]).name if mine else "python",
        "port": (mine.package.port or 0) if mine else 0,
        "environment": (mine.package.environment or {}) if mine else {},
    }


def _version(image: Image) -> str:
    """Return the version of what an image is of."""
    return image.installed.version if image.installed else image.release.version


def _newest(images: Sequence[Image]) -> list[Image]:
    """Return the images to begin with, the first one first: of a package, all of its newest final version."""
    if not images[0].installed:
        return newest_stable(images) or list(images)
    return [image for image in images if any(tag.endswith("-latest") for tag in image.tags)] or list(images)


def _image(image: Image, source: str, commits: Mapping[str, str]) -> PageImage:
    path = f"{render.FOLDER}/{image.folder}/Dockerfile"
    commit = commits.get(f"{image.folder}/Dockerfile", "HEAD")
    site = source.rstrip("/").removesuffix(".git")
    return PageImage(
        id=image.tags.specific[0], python=image.python, target=image.target_name, variant=image.variant,
        platforms=list(image.platforms), tags=list(image.tags.specific), shared_tags=list(image.tags.shared),
        folder=image.folder, dockerfile=path,
        link=f"{site}/blob/{commit}/{quote(path)}" if site else quote(path),
    )  # fmt: skip


def _groups(images: Iterable[PageImage]) -> list[SharedGroup]:
    """Return the shared tags by the images that have them, in the order in which they come up."""
    owners: dict[str, list[PageImage]] = {}
    for image in images:
        for tag in image.shared_tags:
            owners.setdefault(tag, []).append(image)
    groups: dict[tuple[str, ...], list[str]] = {}
    for tag, found in owners.items():
        groups.setdefault(tuple(image.id for image in found), []).append(tag)
    return [SharedGroup(tags=tags, images=owners[tags[0]]) for tags in groups.values()]


def _kind(image: Image) -> str:
    """Return what users call an image: its variant, or a system that differs from the rest."""
    distribution = image.target.distribution
    return distribution if distribution in {"alpine", "windows"} else image.variant


def _examples(images: Sequence[Image], variants: Iterable[str]) -> dict[str, Image]:
    """Return an image of each kind, of the newest that there is, in the order in which users are told of them."""
    found: dict[str, Image] = {}
    for image in _newest(images):
        found.setdefault(_kind(image), image)
    return {kind: found[kind] for kind in (*variants, "alpine", "windows") if kind in found}


def _targets(catalog: Catalog, images: Iterable[Image]) -> list[PageTarget]:
    found: dict[str, list[Image]] = {}
    for image in images:
        found.setdefault(image.target_name, []).append(image)
    return [
        PageTarget(
            name=name, title=alike[0].target.title, distribution=alike[0].target.distribution,
            base=alike[0].target.base.image, prerelease=alike[0].target.prerelease is True,
            variants=[variant for variant in catalog.variant_names if variant in {one.variant for one in alike}],
            platforms=_platforms(alike),
        )
        for name, alike in found.items()
    ]  # fmt: skip


def _platforms(images: Iterable[Image]) -> list[str]:
    """Return the platforms of images, the usual ones first."""
    found = {platform for image in images for platform in image.platforms}
    usual = [name for name in ("linux/amd64", "linux/arm64") if name in found]
    return [*usual, *(name for name in PLATFORMS if name in found and name not in usual)]


def _rule(rule: Exclusion) -> str:
    """Return what an exclusion leaves out: `release 3.11.*, platform linux/arm64`."""
    parts = [(name, getattr(rule, name)) for name in ("release", "flavour", "target", "variant", "platform")]
    return ", ".join(f"{name} {glob}" for name, glob in parts if glob is not UNSET) or "everything"


def _sizes(images: Iterable[Image], results: Results) -> list[Size]:
    """Return the sizes of published images whose tests passed."""
    sizes = [
        Size(
            id=image.tags.specific[0],
            megabytes={
                platform: outcome.size / 1e6
                for platform in image.platforms
                if (outcome := results.get(image.id, platform)) and not outcome.quick and not outcome.failed
            },
        )
        for image in images
    ]
    return [size for size in sizes if size.megabytes]
