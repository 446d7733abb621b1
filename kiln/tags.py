"""Tags are arithmetic: computed from the matrix alone, by the official images' rules.

The rules are those of docker-library/python's `generate-stackbrew-library.sh`; beyond them, a
free-threaded flavour has tags of its own (`3.14t`), and a release that is not the newest of its
series has its full version's tags only.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from kiln.model import Catalog, Flavour, Release


class Tagged(Struct, frozen=True, kw_only=True):
    """What of an image decides its tags."""

    release: Release
    flavour: Flavour
    target: str
    variant: str

    @property
    def python(self) -> tuple[str, Flavour]:
        """Return what the image runs: version and flavour."""
        return self.release.version, self.flavour


class Tags(Struct, frozen=True, kw_only=True):
    """An image's tags without the repository; the first specific one is its id."""

    python: str
    """The series (`3.13`, `3.15-rc`, `3.14t`) where the release is its newest, else the version."""
    specific: tuple[str, ...]
    """They name the target or the variant: `3.13-slim-trixie`, `slim`."""
    shared: tuple[str, ...] = ()
    """They name neither, and images of other systems may share them: `3.13`, `latest`."""

    def __iter__(self) -> Iterator[str]:
        """Yield all tags, specific ones first."""
        yield from self.specific
        yield from self.shared


def assign(images: Sequence[Tagged], catalog: Catalog) -> list[Tags]:
    """Return the tags of each image, in the order of `images`."""
    aliases = _aliases(images)
    suffixes = _suffixes(images, catalog)
    return [_tags(aliases[image.python], suffixes[image.python], image, catalog) for image in images]


def base_name(variant: str, target: str, default_variant: str) -> str:
    """Return how a tag names variant and target: `slim-trixie`, or `trixie` for the default variant."""
    return target if variant == default_variant else f"{variant}-{target}"


def _aliases(images: Iterable[Tagged]) -> dict[tuple[str, Flavour], tuple[str, ...]]:
    """Return what each Python may be called: full version, series, major, `latest`."""
    pythons = {image.python: image.release for image in images}
    oldest_first = sorted(pythons, key=lambda python: pythons[python].parsed)
    # The last one that claims a name is the newest, and keeps it.
    owner = {name: python for python in oldest_first for name in _claims(pythons[python], python[1])}
    return {
        python: tuple(name for name in _claims(pythons[python], python[1]) if owner[name] == python)
        for python in pythons
    }


def _claims(release: Release, flavour: Flavour) -> tuple[str, ...]:
    """Return the names of a release were it the newest of all, most specific first."""
    letter = "t" if flavour == "freethreaded" else ""
    if release.parsed.is_prerelease:
        return release.version + letter, f"{release.series}{letter}-rc"
    names = release.version + letter, release.series + letter
    return names if letter else (*names, str(release.parsed.major), "latest")


def _suffixes(
    images: Sequence[Tagged], catalog: Catalog
) -> Mapping[tuple[str, Flavour], Mapping[str, tuple[str, ...]]]:
    """Return, by Python, the short names of the targets that have one.

    The default target (the first that is not Alpine) has the empty name, the first Alpine `alpine`.
    """
    found: dict[tuple[str, Flavour], dict[str, tuple[str, ...]]] = {}
    for python, targets in _targets(images).items():
        alpine = [name for name in targets if catalog.targets[name].distribution == "alpine"]
        default = next((name for name in targets if name not in alpine), targets[0])
        found[python] = dict.fromkeys(alpine[:1], ("alpine",))
        found[python][default] = (*found[python].get(default, ()), "")
    return found


def _targets(images: Iterable[Tagged]) -> dict[tuple[str, Flavour], list[str]]:
    """Return the targets that each Python is built on, in the release's order."""
    built: dict[tuple[str, Flavour], list[str]] = {}
    for image in images:
        targets = built.setdefault(image.python, [])
        if image.target not in targets:
            targets.append(image.target)
    return built


def _tags(aliases: Sequence[str], suffixes: Mapping[str, tuple[str, ...]], image: Tagged, catalog: Catalog) -> Tags:
    default = catalog.targets[image.target].default_variant
    names = [base_name(image.variant, image.target, default)]
    shorts = suffixes.get(image.target, ())
    names += [base_name(image.variant, short, default) if short else _bare(image.variant, default) for short in shorts]
    specific = [_join(alias, name) for name in names if name for alias in aliases]
    shared = tuple(aliases) if "" in names else ()
    return Tags(python=aliases[min(1, len(aliases) - 1)], specific=tuple(specific), shared=shared)


def _bare(variant: str, default_variant: str) -> str:
    return "" if variant == default_variant else variant


def _join(alias: str, name: str) -> str:
    return name if alias == "latest" else f"{alias}-{name}"
