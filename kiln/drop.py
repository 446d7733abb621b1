"""A family without some of its releases, targets or packages, and without all that refers to them; pure."""

from collections.abc import Iterable, Iterator, Sequence

from msgspec import UNSET, structs

from kiln.cells import touches
from kiln.checks_packages import pythons
from kiln.errors import CatalogError, SelectionError
from kiln.model import Catalog, Package, Release, Target
from kiln.named import Named
from kiln.update_plan import Plan


def plan(catalog: Catalog, named: Named) -> Plan:
    """Return the family without what is named.

    Raises SelectionError for what the family does not have, and CatalogError, with each place, where something
    that is not named would be left without anything.
    """
    _known(named.targets, catalog.targets, "target")
    _known(named.packages, catalog.packages or {}, "package")
    gone = [release for word in named.releases for release in _matching(word, catalog)]
    releases = [_without_targets(one, named.targets, catalog) for one in catalog.releases if one not in gone]
    targets = {name: target for name, target in catalog.targets.items() if name not in named.targets}
    kept = {name: one for name, one in (catalog.packages or {}).items() if name not in named.packages}
    left = {name: _without(package, releases, named.targets) for name, package in kept.items()}
    if problems := list(_emptied(releases, targets, left)):
        raise CatalogError("\n".join(problems))
    new = structs.replace(
        catalog, releases=releases, targets=_without_models(targets, catalog.targets), packages=left or UNSET,
    )  # fmt: skip
    new = _without_settings(new)
    exclusions = [rule for rule in catalog.exclusions if touches(rule, new) or not touches(rule, catalog)]
    return Plan(catalog=structs.replace(new, exclusions=exclusions), remarks=tuple(_remarks(catalog, new)))


def _known(names: Iterable[str], known: Iterable[str], kind: str) -> None:
    known = list(known)
    for name in names:
        if name not in known:
            raise SelectionError(f"{name!r} is no {kind} of the family; name some of: {', '.join(known) or 'none'}")


def _matching(word: str, catalog: Catalog) -> list[Release]:
    """Return the releases of a version or a series: `3.12`, and `3.15-rc` for the prereleases alone."""
    found = [one for one in catalog.releases if word in {one.version, one.series} or _candidate(one) == word]
    if not found:
        known = ", ".join(dict.fromkeys(name for one in catalog.releases for name in (one.series, one.version)))
        raise SelectionError(
            f"{word!r} is no release or series of the family; name some of: {known} "
            f"(for others: `drop target {word}`, `drop package {word}`)"
        )
    return found


def _candidate(release: Release) -> str:
    return f"{release.series}-rc" if release.parsed.is_prerelease else ""


def _without_targets(release: Release, names: Sequence[str], catalog: Catalog) -> Release:
    left = [name for name in release.targets if name not in names]
    if left == release.targets:
        return release
    windows = any(catalog.targets[name].distribution == "windows" for name in left)
    return structs.replace(release, targets=left, windows=release.windows if windows else UNSET)


def _without(package: Package, releases: Iterable[Release], names: Sequence[str]) -> Package:
    known = pythons(releases)
    return structs.replace(
        package,
        pythons=[python for python in package.pythons if python in known],
        targets=[name for name in package.targets if name not in names],
    )


def _emptied(
    releases: Sequence[Release], targets: dict[str, Target], packages: dict[str, Package]
) -> Iterator[str]:  # fmt: skip
    """Yield what would be left without anything, with what to do."""
    if not targets:
        yield "$.targets: the last target cannot be dropped; add another one first (`invoke add target NAME`)"
    elif not releases:
        yield "$.releases: the last release cannot be dropped; add another one first (`invoke add VERSION`)"
    else:
        for release in releases:
            if not release.targets:
                version = release.version
                yield f"{version} would have no target left; drop it in the same command: release {version}"
        for name, package in packages.items():
            for field in ("pythons", "targets"):
                if not getattr(package, field):
                    yield f"package {name} would have no {field} left; drop it in the same command: package {name}"


def _without_models(left: dict[str, Target], before: dict[str, Target]) -> dict[str, Target]:
    """Return targets of which none is like one that is gone: its first follower takes its place."""
    heirs: dict[str, str] = {}
    found = dict(left)
    for name, target in left.items():
        model = target.like or ""
        while model and model not in left:
            if heirs.setdefault(model, name) != name:
                model = heirs[model]
                break
            model = before[model].like or ""
        found[name] = structs.replace(target, like=model or UNSET)
    return found


def _without_settings(catalog: Catalog) -> Catalog:
    """Return a family whose settings of series are those of releases and targets that it has."""
    targets: dict[str, set[str]] = {}
    for release in catalog.releases:
        targets.setdefault(release.series, set()).update(release.targets)
    stable = {release.series for release in catalog.releases if not release.parsed.is_prerelease}
    chosen = catalog.default_targets or {}
    defaults = {series: name for series, name in chosen.items() if name in targets.get(series, ())}
    latest = catalog.latest if catalog.latest in stable else UNSET
    settings = catalog.default_targets if defaults == chosen else defaults or UNSET
    return structs.replace(catalog, default_targets=settings, latest=latest)


def _remarks(old: Catalog, new: Catalog) -> Iterator[str]:
    """Yield what the difference of the file does not say by itself."""
    if old.latest and not new.latest:
        yield f"latest: {old.latest} is gone, so the highest series is `latest`"
    for series, name in (old.default_targets or {}).items():
        if series in {one.series for one in new.releases} and series not in (new.default_targets or {}):
            yield f"default_targets: {series} loses {name}; the first of its targets is the default one"
    for name, target in new.targets.items():
        if target.like != old.targets[name].like:
            now = f"is like {target.like}" if target.like else "is written in full"
            yield f"{name}: was like {old.targets[name].like}, and {now} now"
