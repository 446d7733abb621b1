"""Tags are arithmetic: computed from the matrix alone, by the official images' rules.

The rules are those of docker-library/python's `generate-stackbrew-library.sh`; beyond them, a
free-threaded flavour has tags of its own (`3.14t`), a release that is not the newest of its series
has its full version's tags only, and the default target of a series is a setting.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct
from packaging.version import Version

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
    """Images of other systems may share them: `3.13`, `latest`, `3.13-windowsservercore`."""
    default_target: bool = False
    """Whether the image's target is the one that tags of its Python may leave out."""
    aliases: tuple[str, ...] = ()
    """What its Python may be called, most specific first: `3.13.5`, `3.13`, `3`, `latest`."""
    names: tuple[str, ...] = ()
    """How its tags name target and variant, most specific first; empty (`""`) where they may go without."""

    def __iter__(self) -> Iterator[str]:
        """Yield all tags, specific ones first."""
        yield from self.specific
        yield from self.shared


def assign(images: Sequence[Tagged], catalog: Catalog) -> list[Tags]:
    """Return the tags of each image, in the order of `images`."""
    aliases = _aliases(images, catalog.latest or "")
    suffixes = _suffixes(images, catalog)
    return [_tags(aliases[image.python], suffixes[image.python], image, catalog) for image in images]


def package_tags(python: Tags, version: str, versions: Iterable[str]) -> Tags:
    """Return the tags of a package's version on a Python image: `py3.13-slim-0.38.0`.

    `versions` are all that the package has images of. The newest of `0.38` has that name, too; the
    newest of all that is no prerelease is `latest` and, as multi-py has it, `LATEST`.
    """
    names = _version_names(version, sorted(versions, key=Version))
    pythons = [alias for alias in python.aliases if alias.count(".")]
    specific = [
        "-".join(filter(None, (f"py{alias}", name, short)))
        for name in python.names for alias in pythons for short in names
    ]  # fmt: skip
    return Tags(
        python=python.python, specific=tuple(specific), default_target=python.default_target,
        aliases=python.aliases, names=python.names,
    )  # fmt: skip


def _version_names(version: str, oldest_first: Sequence[str]) -> list[str]:
    """Return what one of several versions may be called, the full version first."""
    mine = Version(version)
    short = f"{mine.major}.{mine.minor}"
    stable = [one for one in oldest_first if not Version(one).is_prerelease]
    alike = [one for one in stable if Version(one).release[:2] == mine.release[:2]]
    names = [version]
    if alike and alike[-1] == version and short not in oldest_first:
        names.append(short)
    return [*names, "latest", "LATEST"] if stable and stable[-1] == version else names


def base_name(variant: str, target: str, default_variant: str) -> str:
    """Return how a tag names variant and target: `slim-trixie`, or `trixie` for the default variant."""
    return target if variant == default_variant else f"{variant}-{target}"


def _aliases(images: Iterable[Tagged], latest: str) -> dict[tuple[str, Flavour], tuple[str, ...]]:
    """Return what each Python may be called: full version, series, major, `latest`."""
    pythons = {image.python: image.release for image in images}
    claims = {python: _claims(release, python[1], latest) for python, release in pythons.items()}
    oldest_first = sorted(pythons, key=lambda python: pythons[python].parsed)
    # The last one that claims a name is the newest, and keeps it.
    owner = {name: python for python in oldest_first for name in claims[python]}
    return {python: tuple(name for name in claims[python] if owner[name] == python) for python in pythons}


def _claims(release: Release, flavour: Flavour, latest: str) -> tuple[str, ...]:
    """Return the names of a release were it the newest of all, most specific first."""
    letter = "t" if flavour == "freethreaded" else ""
    if release.parsed.is_prerelease:
        return release.version + letter, f"{release.series}{letter}-rc"
    names = release.version + letter, release.series + letter
    major = str(release.parsed.major)
    # Where `latest` is held back, so is the major of its series: they are one promise.
    held_back = latest and release.series != latest
    if letter or (held_back and latest.split(".", maxsplit=1)[0] == major):
        return names
    return (*names, major) if held_back else (*names, major, "latest")


class _Suffixes(Struct, frozen=True, kw_only=True):
    """The short names of a target for one Python, beside its own."""

    specific: tuple[str, ...] = ()
    """`alpine` for the first Alpine, and nothing at all (`""`) for the default target."""
    shared: tuple[str, ...] = ()
    """`windowsservercore` and nothing at all (`""`) for Windows, whose releases share them."""


def _suffixes(images: Sequence[Tagged], catalog: Catalog) -> Mapping[tuple[str, Flavour], Mapping[str, _Suffixes]]:
    """Return the short names of each Python's targets."""
    found: dict[tuple[str, Flavour], dict[str, _Suffixes]] = {}
    for python, built in _built(images).items():
        kinds = {name: catalog.targets[name].distribution for name in built}
        alpine = next((name for name in built if kinds[name] == "alpine"), None)
        default = _default(built, kinds, catalog)
        found[python] = {
            name: _windows(name)
            if kinds[name] == "windows"
            else _Suffixes(specific=("alpine",) * (name == alpine) + ("",) * (name == default))
            for name in built
        }
    return found


def _windows(target: str) -> _Suffixes:
    """Return what the releases of one kind of Windows share; only the server's own core may go without a name."""
    kind = target.split("-", maxsplit=1)[0]
    return _Suffixes(shared=(kind, "") if kind == "windowsservercore" else (kind,))


def _default(built: Mapping[str, list[Tagged]], kinds: Mapping[str, str], catalog: Catalog) -> str | None:
    """Return the target that tags may leave out: the one that is set, or the first of a Linux that is not Alpine."""
    series = next(iter(built.values()))[0].release.series
    settings = catalog.default_targets or {}
    chosen = settings.get(series)
    if chosen in built:
        return chosen
    return next(
        (
            name
            for name, images in built.items()
            if kinds[name] not in {"alpine", "windows"}
            and any(image.variant == catalog.targets[name].default_variant for image in images)
        ),
        None,
    )


def _built(images: Iterable[Tagged]) -> dict[tuple[str, Flavour], dict[str, list[Tagged]]]:
    """Return each Python's images by target, in the release's order."""
    built: dict[tuple[str, Flavour], dict[str, list[Tagged]]] = {}
    for image in images:
        built.setdefault(image.python, {}).setdefault(image.target, []).append(image)
    return built


def _tags(aliases: Sequence[str], suffixes: Mapping[str, _Suffixes], image: Tagged, catalog: Catalog) -> Tags:
    default = catalog.targets[image.target].default_variant
    short = suffixes[image.target]
    names = [_name(image.variant, target, default) for target in (image.target, *short.specific)]
    specific = [_join(alias, name) for name in names if name for alias in aliases]
    common = [_name(image.variant, target, default) for target in short.shared]
    common += [""] * ("" in names)
    shared = [_join(alias, name) if name else alias for name in common for alias in aliases]
    return Tags(
        python=aliases[min(1, len(aliases) - 1)], specific=tuple(specific), shared=tuple(shared),
        default_target="" in short.specific, aliases=tuple(aliases), names=tuple(names),
    )  # fmt: skip


def _name(variant: str, target: str, default_variant: str) -> str:
    """Return how a tag names variant and target, of which either may go without saying."""
    if not target:
        return "" if variant == default_variant else variant
    return base_name(variant, target, default_variant)


def _join(alias: str, name: str) -> str:
    return name if alias == "latest" else f"{alias}-{name}"
