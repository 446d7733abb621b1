"""What a page's template knows of a family: its variables, from the matrix."""

from collections.abc import Iterable, Mapping
from urllib.parse import quote

from msgspec import UNSET

from kiln import render
from kiln.checks import PLATFORMS
from kiln.library import ARCHITECTURES
from kiln.matrix import Image, Matrix, newest_stable
from kiln.model import Exclusion
from kiln.page_model import Described, Facts, PageImage, PageTarget, SharedGroup, Size
from kiln.page_status import status
from kiln.results import Results

_LABEL = "org.opencontainers.image."


def facts(matrix: Matrix, results: Results, commits: Mapping[str, str]) -> Facts:
    """Return what templates know of a family's Python images.

    `commits` has the last commit of Dockerfiles by their path below `dockerfiles/`; where it has
    none, links name the default branch.
    """
    catalog, labels = matrix.catalog, matrix.catalog.labels
    images = {image.id: _image(image, labels.get(f"{_LABEL}source", ""), commits) for image in matrix.images}
    organization, _, short = catalog.repository.rpartition("/")
    platforms = _platforms(matrix.images)
    releases = sorted({image.release.parsed: image.release for image in matrix.images}.items())
    used = {image.variant for image in matrix.images}
    newest = newest_stable(matrix.images) or list(matrix.images)
    kinds = _kinds(newest, catalog.variants)
    examples = {kind: images[image.id] for kind, image in kinds.items()}
    return Facts(
        repository=catalog.repository,
        image=matrix.repository,
        organization=organization,
        repository_short=short,
        description=labels.get(f"{_LABEL}description", ""),
        source=labels.get(f"{_LABEL}source", ""),
        documentation_url=labels.get(f"{_LABEL}documentation", ""),
        licences=labels.get(f"{_LABEL}licenses", ""),
        vendor=labels.get(f"{_LABEL}vendor", ""),
        package="python",
        package_versions=[release.version for _, release in releases],
        platforms=platforms,
        architectures=[ARCHITECTURES[platform] for platform in platforms],
        python_versions=list(dict.fromkeys(release.series for _, release in releases)),
        variants=list(examples),
        variant_texts=[
            Described(name=name, description=text.description)
            for name, text in catalog.variants.items() if name in used
        ],
        newest=images[newest[0].id],
        examples=examples,
        images=list(images.values()),
        shared_groups=_groups(images.values()),
        targets=_targets(matrix),
        status=status(matrix, results),
        sizes=_sizes(matrix, results),
        exclusions=[Described(name=_rule(rule), description=rule.reason) for rule in catalog.exclusions],
    )  # fmt: skip


def _image(image: Image, source: str, commits: Mapping[str, str]) -> PageImage:
    path = f"{render.FOLDER}/{image.folder}/Dockerfile"
    commit = commits.get(f"{image.folder}/Dockerfile", "HEAD")
    site = source.rstrip("/").removesuffix(".git")
    return PageImage(
        id=image.id, python=image.python, target=image.target_name, variant=image.variant,
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


def _kinds(newest: Iterable[Image], variants: Iterable[str]) -> dict[str, Image]:
    """Return an image of each kind that users tell apart: the variants, and systems that differ from the rest."""
    found: dict[str, Image] = {}
    for image in newest:
        distribution = image.target.distribution
        found.setdefault(distribution if distribution in {"alpine", "windows"} else image.variant, image)
    return {kind: found[kind] for kind in (*variants, "alpine", "windows") if kind in found}


def _targets(matrix: Matrix) -> list[PageTarget]:
    found: dict[str, list[Image]] = {}
    for image in matrix.images:
        found.setdefault(image.target_name, []).append(image)
    return [
        PageTarget(
            name=name, title=images[0].target.title, distribution=images[0].target.distribution,
            base=images[0].target.base.image, prerelease=images[0].target.prerelease is True,
            variants=[variant for variant in matrix.catalog.variants if variant in {one.variant for one in images}],
            platforms=_platforms(images),
        )
        for name, images in found.items()
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


def _sizes(matrix: Matrix, results: Results) -> list[Size]:
    """Return the sizes of published images whose tests passed."""
    sizes = [
        Size(
            id=image.id,
            megabytes={
                platform: outcome.size / 1e6
                for platform in image.platforms
                if (outcome := results.get(image.id, platform)) and not outcome.quick and not outcome.failed
            },
        )
        for image in matrix.images
    ]
    return [size for size in sizes if size.megabytes]
