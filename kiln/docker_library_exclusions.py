"""What docker-library has not of all that its targets make possible: exclusions, with their reasons."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from msgspec import UNSET

from kiln import catalog
from kiln.docker_library import PLATFORMS, Source, Variant
from kiln.docker_library_targets import Made, ours
from kiln.errors import ImportedError
from kiln.importing import Remarks
from kiln.model import Exclusion


def exclusions(theirs: Source, made: Mapping[str, Made], remarks: Remarks) -> list[Exclusion]:
    """Return the exclusions of an import; raises ImportedError for an architecture that there is not."""
    globs = _globs(theirs)
    return [*_of_variants(made), *_of_releases(theirs, made, globs), *_of_meta(theirs, made, globs, remarks)]


def _globs(theirs: Source) -> dict[str, str]:
    """Return what exclusions call each release: its series, where no other release is of it."""
    series = {key: key.removesuffix("-rc") for key in theirs.entries}
    count = Counter(series.values())
    return {
        key: f"{series[key]}.*" if count[series[key]] == 1 else entry.version for key, entry in theirs.entries.items()
    }


def _of_variants(made: Mapping[str, Made]) -> Iterator[Exclusion]:
    """Yield the platforms that one variant's parent has and the other's has not, and variants that nothing has."""
    for name, one in made.items():
        for variant in one.target.variants:
            if variant not in one.platforms:
                yield Exclusion(target=name, variant=variant, reason=f"docker-library has no {variant} image of it")
                continue
            for platform in one.target.platforms:
                if platform not in one.platforms[variant]:
                    yield Exclusion(
                        target=name, variant=variant, platform=platform, reason="The parent image does not have it"
                    )


def _of_releases(theirs: Source, made: Mapping[str, Made], globs: Mapping[str, str]) -> Iterator[Exclusion]:
    """Yield the variants of a target that other releases have and one has not."""
    for key, variants in theirs.variants.items():
        has = {(one.target, ours(one)) for one in variants}
        for target in dict.fromkeys(one.target for one in variants):
            for variant in made[target].platforms:
                if (target, variant) not in has:
                    yield Exclusion(
                        release=globs[key], target=target, variant=variant, reason="docker-library does not have it"
                    )


def _of_meta(
    theirs: Source, made: Mapping[str, Made], globs: Mapping[str, str], remarks: Remarks
) -> Iterator[Exclusion]:
    """Yield the architectures that a parent has and their scripts leave out."""
    for architecture, places in theirs.meta.arch_exclusions.items():
        where = f"{theirs.meta_path}: $.arch_exclusions[{catalog.short(architecture)}]"
        if architecture not in PLATFORMS:
            raise ImportedError(f"{where}: unknown architecture; use one of: {', '.join(PLATFORMS)}")
        for place in places:
            key, _, which = place.partition(":")
            platform = PLATFORMS[architecture]
            having = _having(theirs.variants.get(key, ()), made, platform)
            chosen = [name for name in having if which in {_family(made[name]), name}]
            if not chosen:
                remarks.add(f"leaving out {architecture} changes nothing: no such image has it", catalog.short(place))
            reason = f"docker-library leaves {architecture} out here"
            for target in _narrow(chosen, having, made):
                yield Exclusion(release=globs[key], target=target or UNSET, platform=platform, reason=reason)


def _having(variants: Iterable[Variant], made: Mapping[str, Made], platform: str) -> list[str]:
    names = dict.fromkeys(one.target for one in variants)
    return [name for name in names if platform in made[name].target.platforms]


def _family(one: Made) -> str:
    """Return what their scripts tell apart: `debian` is all that is neither Alpine nor Windows."""
    kind = one.target.distribution
    return kind if kind in {"alpine", "windows"} else "debian"


def _narrow(chosen: list[str], having: list[str], made: Mapping[str, Made]) -> list[str]:
    """Return the fewest globs for the chosen targets of those that have a platform; empty for all of them."""
    if chosen == having:
        return [""] if chosen else []
    alpine = [name for name in having if _family(made[name]) == "alpine"]
    return ["alpine*"] if chosen == alpine else chosen
