"""What is left of the whole matrix after its exclusions: a cell for each Python image."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache

from msgspec import UNSET, Struct

from kiln.model import Catalog, Exclusion, Flavour, Release
from kiln.tags import Tagged


class Cell(Struct, frozen=True, kw_only=True):
    """A release in one flavour on one target in one variant, on the platforms that are left."""

    release: Release
    flavour: Flavour
    target_name: str
    variant: str
    platforms: tuple[str, ...]

    @property
    def tagged(self) -> Tagged:
        """Return what decides its tags."""
        return Tagged(release=self.release, flavour=self.flavour, target=self.target_name, variant=self.variant)


def cells(catalog: Catalog) -> list[Cell]:
    """Return what is left of a family, newest release first, targets and variants in the family's order."""
    rules = _by_release(catalog.exclusions)
    newest_first = sorted(catalog.releases, key=lambda release: release.parsed, reverse=True)
    return [cell for release in newest_first for cell in _cells(catalog, release, rules)]


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


def _cells(catalog: Catalog, release: Release, index: Mapping[str, list[Exclusion]]) -> Iterable[Cell]:
    """Yield what is left of one release after the exclusions."""
    rules = _rules(release, index)
    for flavour in release.flavours:
        for name in release.targets:
            target = catalog.targets[name]
            for variant in (v for v in catalog.variant_names if v in target.variants):
                platforms = tuple(
                    platform
                    for platform in target.platforms
                    if not any(_excluded(rule, (flavour, name, variant, platform)) for rule in rules)
                )
                if platforms:
                    yield Cell(
                        release=release, flavour=flavour, target_name=name, variant=variant,
                        platforms=platforms,
                    )  # fmt: skip


def touches(rule: Exclusion, catalog: Catalog) -> bool:
    """Tell whether an exclusion leaves anything out of what a family would have without exclusions."""
    return any(
        _excluded(rule, (flavour, name, variant, platform))
        for release in catalog.releases
        if rule.release is UNSET or _glob(release.version, rule.release)
        for flavour in release.flavours
        for name in release.targets
        for variant in catalog.targets[name].variants
        for platform in catalog.targets[name].platforms
    )


def _excluded(rule: Exclusion, cell: tuple[str, str, str, str]) -> bool:
    globs = (rule.flavour, rule.target, rule.variant, rule.platform)
    return all(glob is UNSET or _glob(value, glob) for value, glob in zip(cell, globs, strict=True))


@lru_cache(maxsize=65536)
def _glob(value: str, glob: str) -> bool:
    # Most are names and series; thousands of regular expressions would take seconds.
    if not set(glob[:-1]) & set("*?[") and not glob.endswith(("?", "[")):
        return value.startswith(glob[:-1]) if glob.endswith("*") else value == glob
    return fnmatchcase(value, glob)
