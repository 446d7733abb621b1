"""Targets for docker-library's variants: full and slim of a suite are one, with what either parent has."""

from collections import Counter
from collections.abc import Mapping
from typing import cast

from msgspec import Struct

from kiln import catalog, systems
from kiln.docker_library import PLATFORMS, Source, Variant
from kiln.errors import ImportedError
from kiln.importing import VARIANTS, Remarks
from kiln.model import Catalog, Distribution, Target

_DEFAULT = {"full": "full", "slim": "full", "alpine": "slim", "windows": "full"}
"""The variant that tags do not name, by the kind of theirs."""


class Made(Struct, frozen=True, kw_only=True):
    """A target, and the platforms of each of its variants: they have parents of their own."""

    target: Target
    platforms: dict[str, list[str]]


def ours(variant: Variant) -> str:
    """Return what one of their variants is here: Alpine's have no compilers."""
    return "slim" if variant.kind in {"slim", "alpine"} else "full"


def targets(theirs: Source, family: Catalog, remarks: Remarks) -> dict[str, Made]:
    """Return the targets of all releases, in the order in which they are first named."""
    kinds: dict[str, dict[Variant, str]] = {}
    for key, variants in theirs.variants.items():
        for variant in variants:
            kinds.setdefault(variant.target, {}).setdefault(variant, key)
    made = {name: _target(name, used, theirs, family, remarks) for name, used in kinds.items()}
    wanted = _wanted(made)
    for parent in (parent for parent in theirs.parents if parent not in wanted):
        file = theirs.parents_path.name if theirs.parents_path else ""
        remarks.add(f"{file}: not the parent of any variant", catalog.short(parent))
    return made


def _target(name: str, used: Mapping[Variant, str], theirs: Source, family: Catalog, remarks: Remarks) -> Made:
    kind = next(iter(used)).kind
    system = systems.System(name=name, distribution=_distribution(name, kind, theirs, family))
    assumed = [] if theirs.parents_path else _assumed(system, family, remarks)
    platforms = {
        ours(one): assumed or _platforms(_parent(system, one), f"{key}'s {name}", theirs) for one, key in used.items()
    }
    union = _union(list(platforms.values()))
    for variant, some in platforms.items():
        if some != [one for one in union if one in some]:
            remarks.add("architectures of the parents are in orders that contradict each other", f"{variant} {name}")
    variants = tuple(VARIANTS) if kind in {"full", "slim"} else (_DEFAULT[kind],)
    target, nearest = systems.target(system, family, union, variants, _DEFAULT[kind])
    if nearest not in {"", name}:
        remarks.add(f"lists of packages are those of {nearest}; correct the names that differ", name)
    return Made(target=target, platforms=platforms)


def _assumed(system: systems.System, family: Catalog, remarks: Remarks) -> list[str]:
    """Return the platforms of the family's nearest target of the same distribution; Windows has its own."""
    if not (nearest := systems.nearest_of(system, family)):
        return []
    like = "" if nearest == system.name else f" of {nearest}, the nearest"
    remarks.add(
        f"no --parents: platforms are taken to be those that this family knows{like}; correct `base.platforms` and "
        "`platforms` where the image has others", system.name,
    )  # fmt: skip
    return list(family.targets[nearest].base.platforms)


def _distribution(name: str, kind: str, theirs: Source, family: Catalog) -> Distribution:
    if kind in {"alpine", "windows"}:
        return cast("Distribution", kind)
    if f"debian:{name}-slim" in theirs.parents:
        return "debian"
    return "ubuntu" if f"ubuntu:{name}" in theirs.parents else systems.distribution_of(name, family) or "debian"


def _parent(system: systems.System, variant: Variant) -> str:
    """Return the image that theirs starts from; Windows needs none, it has one architecture."""
    if variant.kind == "windows":
        return ""
    return f"buildpack-deps:{system.name}" if variant.kind == "full" else system.image


def _wanted(made: Mapping[str, Made]) -> set[str]:
    return {f"buildpack-deps:{name}" for name, one in made.items() if "full" in one.platforms} | {
        one.target.base.image for one in made.values() if "slim" in one.platforms
    }


def _platforms(parent: str, of: str, theirs: Source) -> list[str]:
    if not parent:
        return [PLATFORMS["windows-amd64"]]
    where = f"{theirs.parents_path}: $[{catalog.short(parent)}]"
    if not (found := theirs.parents.get(parent)):
        raise ImportedError(f"{where}: no architectures, but it is the parent of {of}; add them, as bashbrew has them")
    for index, architecture in enumerate(found):
        if architecture not in PLATFORMS:
            known = ", ".join(PLATFORMS)
            raise ImportedError(f"{where}[{index}]: found {catalog.short(architecture)}; use one of: {known}")
    if twice := next((one for one, count in Counter(found).items() if count > 1), ""):
        raise ImportedError(f"{where}: found {twice} a second time; remove one")
    return [PLATFORMS[architecture] for architecture in found]


def _union(lists: list[list[str]]) -> list[str]:
    """Return what is in any of the lists, in an order that each of them has, where they agree on one."""
    union = list(lists[0])
    for some in lists[1:]:
        place = 0
        for one in some:
            if one in union:
                place = union.index(one) + 1
            else:
                union.insert(place, one)
                place += 1
    return union
