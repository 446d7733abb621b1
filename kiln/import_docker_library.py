"""docker-library/python as a family: its versions.json and its parents' architectures, by general rules.

Full and slim of a suite are one target here; what the two do not have in common, and what only some
releases have, become exclusions with their reason.
"""

from collections.abc import Iterable
from pathlib import Path

from msgspec import UNSET
from msgspec.structs import replace

from kiln import catalog
from kiln.docker_library import Source, read
from kiln.docker_library_exclusions import exclusions
from kiln.docker_library_targets import ours, targets
from kiln.errors import ImportedError
from kiln.importing import VARIANTS, Remarks, Result, artifacts, newest_first, own_release, variants
from kiln.model import Artifact, Catalog, Release


def convert(
    source: Path, parents: Path | None, meta: Path | None, family: Catalog, repository: str = "python"
) -> Result:
    """Return docker-library's files as a family.

    `family` lends what they do not say: lists of packages, labels, origins of sources, and without `parents`
    the platforms of its own targets. Raises
    CatalogError or ImportedError, with the file and the place in it, for what cannot be understood.
    """
    remarks = Remarks()
    theirs = read(source, parents, meta, remarks)
    made = targets(theirs, family, remarks)
    releases = newest_first(_release(key, theirs, family, remarks) for key in theirs.entries)
    used = {name for one in made.values() for name in one.target.variants}
    remarks.add(f"labels, origins of sources and lists of packages are those of this family; repository {repository}")
    imported = Catalog(
        registry="", repository=repository, labels=family.labels, sources=family.sources,
        targets={name: one.target for name, one in made.items()},
        variants=variants(family, used),
        releases=releases, exclusions=exclusions(theirs, made, remarks),
        latest=_latest(theirs, releases, remarks) or UNSET, schema=family.schema,
    )  # fmt: skip
    return Result(imported, remarks, source, theirs.day)


def _release(key: str, theirs: Source, family: Catalog, remarks: Remarks) -> Release:
    entry, images = theirs.entries[key], theirs.variants[key]
    own = own_release(family, entry.version)
    names = list(dict.fromkeys(image.target for image in images))
    order = list(VARIANTS)
    places = [(names.index(one.target), order.index(ours(one))) for one in images]
    if places != sorted(places):
        remarks.add("order of variants: here full and slim of a suite stand together, in this order", key)
    for tool in (entry.get_pip, entry.pip):
        if tool and (tool.url or tool.sha256):
            remarks.add("get-pip is not carried over: ensurepip brings pip", key)
    sums = entry.checksums
    tarball = sums.source.sha256 if sums and sums.source else ""
    made = Release(
        version=entry.version, released=own.released if own else "", flavours=["default"],
        targets=names, artifacts=artifacts(family, entry.version, tarball, remarks),
        pins=_pins(key, theirs) or UNSET,
    )  # fmt: skip
    if not (sums and sums.windows):
        if any(one.kind == "windows" for one in images):
            remarks.add("no digest of the installer for Windows is given; add it to build these images", key)
        return made
    return replace(made, windows=Artifact(file=made.installer, sha256=sums.windows.sha256))


def _pins(key: str, theirs: Source) -> dict[str, str]:
    tools = {"pip": theirs.entries[key].pip, "setuptools": theirs.entries[key].setuptools}
    return {name: tool.version for name, tool in tools.items() if tool and tool.version}


def _latest(theirs: Source, releases: Iterable[Release], remarks: Remarks) -> str:
    """Return the series that is held at `latest`, or nothing where it is the highest anyway."""
    stable = [release.series for release in releases if not release.parsed.is_prerelease]
    wanted = theirs.meta.latest
    if not wanted or wanted == next(iter(stable), ""):
        return ""
    if wanted not in stable:
        raise ImportedError(
            f"{theirs.meta_path}: $.latest: found {catalog.short(wanted)}; use a series with a final release: "
            f"{', '.join(stable) or 'there is none'}"
        )
    remarks.add("is latest, though a higher series has a final release; held there by `latest`", wanted)
    return wanted
