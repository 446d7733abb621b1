"""What a family becomes by what the index and python.org have: pure, from an old family and answers to a new one.

A version once seen is not unseen: what the family has and an answer lacks stays, as an index that
lags behind would otherwise undo the last update. What was seen stands in `versions.json` itself:
a package's `versions` and `yanked`, and the releases.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import UNSET, Struct, structs
from packaging.version import Version

from kiln.errors import UpdateError
from kiln.index import Offered
from kiln.model import Catalog, Package, Release
from kiln.pythonorg import Listed


class Successor(Struct, frozen=True, kw_only=True):
    """A release of python.org that takes the place of the family's newest of its series."""

    old: Release
    new: Listed


class Plan(Struct, frozen=True, kw_only=True):
    """A new family, and what a person should know beside the difference."""

    catalog: Catalog
    remarks: tuple[str, ...] = ()


def successors(
    catalog: Catalog, listing: Sequence[Listed], *, removal: bool
) -> tuple[tuple[Successor, ...], tuple[str, ...]]:
    """Return the releases that take older ones' places, and remarks; with `removal` also where they are older."""
    found, remarks = [], []
    known = {one.version for one in listing}
    for series, old in _newest(catalog.releases).items():
        mine = [one for one in listing if one.series == series]
        final = [one for one in mine if not one.parsed.is_prerelease] or mine
        if old.version not in known:
            remarks.append(
                f"python: python.org does not list {old.version}, which stays; it may lag behind "
                "(--allow-removal believes it)"
            )
        if final and (final[-1].parsed > old.parsed or (removal and old.version not in known)):
            found.append(Successor(old=old, new=final[-1]))
    followed = max(release.parsed.release[:2] for release in catalog.releases)
    for series in dict.fromkeys(one.series for one in listing if one.parsed.release[:2] > followed):
        newest = [one for one in listing if one.series == series][-1]
        remarks.append(f"python: there is Python {series} ({newest.version}); add a release of it to follow it")
    return tuple(found), tuple(remarks)


def _newest(releases: Iterable[Release]) -> dict[str, Release]:
    """Return the newest release of each series, in the order of the file."""
    found: dict[str, Release] = {}
    for release in releases:
        known = found.get(release.series)
        if known is None or release.parsed > known.parsed:
            found[release.series] = release
    return found


def replace(catalog: Catalog, old: Release, new: Release | None, version: str) -> Plan:
    """Return the family with a release in another's place.

    A release that a package names in full stays beside its successor. `new` is None where python.org
    has listed `version`, but its files are not available.
    """
    if new is None:
        remark = f"python: {version} is announced, and its sources are not available yet; it is left for next time"
        return Plan(catalog=catalog, remarks=(remark,))
    remarks: tuple[str, ...] = ()
    if old.windows and not new.windows:
        linux = [name for name in new.targets if catalog.targets[name].distribution != "windows"]
        new = structs.replace(new, targets=linux)
        remarks = (f"python: {version} has no installer for Windows, so it loses its Windows targets",)
    named = {python for package in (catalog.packages or {}).values() for python in package.pythons}
    there = any(release.version == new.version for release in catalog.releases)
    instead = [*([] if there else [new]), *([old] if old.version in named else [])]
    releases = [one for release in catalog.releases for one in (instead if release is old else [release])]
    packages = catalog.packages
    if packages and old.parsed.is_prerelease and not new.parsed.is_prerelease:
        packages = {name: _final(package, new.series) for name, package in packages.items()}
    return Plan(catalog=structs.replace(catalog, releases=releases, packages=packages), remarks=remarks)


def _final(package: Package, series: str) -> Package:
    """Return a package that names a series by its final name: `3.15` for `3.15-rc`."""
    pythons = [series if python == f"{series}-rc" else python for python in package.pythons]
    return structs.replace(package, pythons=list(dict.fromkeys(pythons)))


def package(catalog: Catalog, name: str, answer: Sequence[Offered], *, removal: bool) -> Plan:
    """Return the family with a package's newest versions, as many as it keeps; with `removal`, of the answer alone."""
    packages = dict(catalog.packages or {})
    old = packages[name]
    gone = _yanked(old, answer, removal=removal)
    listed = {one.version: one for one in answer}
    seen = [version for version in old.versions if version not in gone and not (removal and version not in listed)]
    fit = [one for one in answer if _wanted(one, seen, gone) and not _unfit(one, old, catalog)]
    stable = _sorted({*_stable(seen), *(one.version for one in fit)})
    early = [one for one in seen if Version(one).is_prerelease and (not stable or Version(one) > Version(stable[0]))]
    kept = _sorted([*stable[: old.keep or len(stable)], *early])
    if not kept:
        raise UpdateError(f"{name}: no version is left that is not yanked; nothing was changed: remove the package?")
    noted = [version for version in gone if Version(version) > Version(kept[-1])]
    new = structs.replace(old, versions=kept, yanked=_sorted(noted) or UNSET)
    if set(new.versions) == set(old.versions):
        # The order in the file is the maintainer's.
        new = structs.replace(new, versions=old.versions)
    packages[name] = new
    remarks = tuple(f"{name}: {text}" for text in _remarks(old, kept, answer, catalog))
    return Plan(catalog=structs.replace(catalog, packages=packages), remarks=remarks)


def _yanked(old: Package, answer: Iterable[Offered], *, removal: bool) -> set[str]:
    """Return the versions that are yanked, or were once, unless the answer is believed in all."""
    return {one.version for one in answer if one.yanked} | (set() if removal else set(old.yanked or []))


def _wanted(one: Offered, seen: Sequence[str], gone: set[str]) -> bool:
    return one.version not in gone and one.version not in seen and not Version(one.version).is_prerelease


def _stable(versions: Iterable[str]) -> list[str]:
    return [version for version in versions if not Version(version).is_prerelease]


def _sorted(versions: Iterable[str]) -> list[str]:
    return sorted(versions, key=Version, reverse=True)


def _unfit(one: Offered, package: Package, catalog: Catalog) -> list[str]:
    """Return the Pythons that a package names and a version is not for."""
    return [python for python in package.pythons if not one.runs_on(release_of(python, catalog.releases))]


def release_of(python: str, releases: Iterable[Release]) -> str:
    """Return the version that a package's `3.13`, `3.15-rc` or `3.13.5` means."""
    newest = _newest(releases).get(python.removesuffix("-rc"))
    return newest.version if newest else python


def _remarks(old: Package, kept: Sequence[str], answer: Sequence[Offered], catalog: Catalog) -> Iterable[str]:
    """Yield what the difference of the file does not say by itself."""
    listed: Mapping[str, Offered] = {one.version: one for one in answer}
    for version in old.versions:
        if version in listed and listed[version].yanked:
            yield f"{version} was yanked and is dropped"
        elif version not in listed and version in kept:
            yield f"the index does not list {version}, which stays; it may lag behind (--allow-removal believes it)"
        elif version not in listed:
            yield f"the index does not list {version}"
    for version in old.yanked or []:
        if version in listed and not listed[version].yanked and version not in kept:
            yield f"the index lists {version} as yanked no longer; --allow-removal takes it again"
    for version in kept:
        if version in listed and (lacks := _unfit(listed[version], old, catalog)):
            yield f"{version} needs Python {_needs(listed[version])}; take {', '.join(lacks)} out of its pythons"
    waiting = [one for one in answer if _newer(one, kept) and _unfit(one, old, catalog)]
    if waiting:
        lacks = _unfit(waiting[-1], old, catalog)
        yield (
            f"{waiting[-1].version} needs Python {_needs(waiting[-1])} and waits for it; "
            f"to have it, take {', '.join(lacks)} out of its pythons"
        )


def _newer(one: Offered, kept: Sequence[str]) -> bool:
    """Tell whether a version would be kept, but for the Pythons that it is for."""
    return not one.yanked and _wanted(one, kept, set()) and Version(one.version) > Version(kept[-1])


def _needs(one: Offered) -> str:
    return " or ".join(one.requires)
