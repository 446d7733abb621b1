"""What the templates know of the stages that images share: the compile, or Windows' unpacked installer."""

import datetime
from collections.abc import Iterable

from msgspec import UNSET, Struct, UnsetType, structs

from kiln import emulation
from kiln.errors import RenderError
from kiln.image import Image
from kiln.model import Artifact, BaseImage, Catalog, Interpreter, Release, Target

FAMILIES = {"debian": "debian", "ubuntu": "debian", "alpine": "alpine", "windows": "debian"}
"""By distribution, the templates that install packages; Windows images are unpacked on Debian."""


_TRIPLETS = {"linux/amd64": "x86_64-linux-gnu", "linux/arm64": "aarch64-linux-gnu"}


class Cross(Struct, frozen=True, kw_only=True):
    """What compiles on one platform for another, with Debian's packages."""

    architecture: str
    """Debian's name of the platform that is compiled for."""
    triplet: str
    """GNU's name of it: `aarch64-linux-gnu`."""
    build_packages: tuple[str, ...]
    """What a Python for the machine that builds is compiled with."""


class Compile(Struct, frozen=True, kw_only=True):
    """What the templates know of the stages that the variants of a release share, and nothing else."""

    artifact: Artifact
    base: str
    compile_packages: tuple[str, ...]
    cross: Cross | None
    """None where the compile runs on the image's own platform."""
    configure: tuple[str, ...]
    distribution_family: str
    epoch: int
    frame_pointers: bool
    letter: str
    pins: tuple[str, ...]
    profile_guided: bool
    """Whether a build that is not quick is optimised for what training has shown."""
    series: str
    target: str
    training: tuple[str, ...]
    """Tests that optimisation learns from; CPython's own selection where there are none."""
    untrained: tuple[tuple[str, str], ...]
    """Tests that optimisation does not learn from, with the reason."""
    url: str


class Unpack(Struct, frozen=True, kw_only=True):
    """What the templates know of the stages that the Windows images of a release share, and of their base."""

    artifact: Artifact
    base: str
    epoch: int
    pins: tuple[str, ...]
    series: str
    target: str
    """The Debian target that the tools run on."""
    tools: str
    """The base of that target."""
    url: str


def crossable(target: Target, platform: str, own: str) -> bool:
    """Tell whether a target is compiled for a platform on another one: on Debian, between those that were tried."""
    return target.distribution == "debian" and platform != own and {platform, own} <= _TRIPLETS.keys()


def compiled(image: Image, interpreter: Interpreter | UnsetType = UNSET, cross: str = "") -> Compile:
    """Return what the templates know of an image's compile; `cross` is the platform, where it runs on another one."""
    release, wanted = image.release, interpreter or Interpreter()
    artifact = release.artifacts[0]
    packages = tuple(image.target.packages.compile)
    training = wanted.emulated if cross else wanted.training
    return Compile(
        artifact=artifact,
        base=reference(image.target.base),
        compile_packages=_foreign_packages(packages, cross) if cross else packages,
        cross=_cross(packages, cross) if cross else None,
        configure=configure(image),
        distribution_family=FAMILIES[image.target.distribution],
        epoch=epoch(release),
        frame_pointers=wanted.frame_pointers is not False,
        letter="t" if image.flavour == "freethreaded" else "",
        pins=pins(release),
        profile_guided=not cross or bool(training),
        series=release.series,
        target=image.target_name,
        training=tuple(training.tests) if training else (),
        untrained=tuple(sorted(image.target.training.skip.items())) if image.target.training else (),
        url=release.url(artifact),
    )


def _cross(packages: Iterable[str], platform: str) -> Cross:
    needed = {"libc6-dev", "zlib1g-dev"}
    return Cross(
        architecture=emulation.ARCHITECTURES[platform], triplet=_TRIPLETS[platform],
        build_packages=tuple(name for name in packages if not _library(name) or name in needed),
    )  # fmt: skip


def _foreign_packages(packages: Iterable[str], platform: str) -> tuple[str, ...]:
    """Return the same packages for a cross compile: programs of this machine's platform, libraries of the other's."""
    architecture, triplet = emulation.ARCHITECTURES[platform], _TRIPLETS[platform]
    named = {name: f"{name}:{architecture}" for name in packages if _library(name)}
    compiler = f"gcc-{triplet.replace('_', '-')}"
    return tuple(sorted(named.get(name, compiler if name == "gcc" else name) for name in packages))


def _library(package: str) -> bool:
    return package.endswith("-dev") and package != "dpkg-dev"


def unpacked(image: Image, catalog: Catalog | None = None) -> Unpack:
    """Return what the templates know of a Windows image's first stages; without a catalog, what decides their result.

    Raises RenderError where the family has no Debian target to unpack it on.
    """
    release = made_from(image)
    artifact = release.artifacts[0]
    name, target = tools(image, catalog) if catalog else ("", None)
    return Unpack(
        artifact=artifact,
        base=reference(image.target.base) if catalog else "",
        epoch=epoch(release),
        pins=pins(release),
        series=release.series,
        target=name,
        tools=reference(target.base) if target else "",
        url=release.url(artifact),
    )


def tools(image: Image, catalog: Catalog) -> tuple[str, Target]:
    """Return the Debian target that a Windows image is unpacked on: the release's first, or the family's.

    Raises RenderError where there is none.
    """
    names = [*image.release.targets, *catalog.targets]
    found = next((name for name in names if catalog.targets[name].distribution == "debian"), None)
    if found is None:
        raise RenderError(f"versions.json: $.targets: {image.id} is unpacked on Debian; add a Debian target")
    return found, catalog.targets[found]


def made_from(image: Image) -> Release:
    """Return an image's release, its artifacts being those that the image is made from: for Windows, the installer."""
    release = image.release
    if image.target.distribution != "windows":
        return release
    return structs.replace(release, artifacts=[release.windows] if release.windows else [])


def lack(image: Image) -> str:
    """Return why an image can be listed but not built, and what to do; nothing where all is pinned."""
    release, where = image.release, f"versions.json: release {image.release.version}"
    windows = image.target.distribution == "windows"
    lacks = [] if release.released else ["its day is not known; add it as `released`, YYYY-MM-DD, to build it"]
    if not windows and not release.artifacts:
        lacks.insert(0, "no source is pinned; add file and sha256 of its tarball to `artifacts` to build it")
    if lacks:
        return f"{where}: {'; '.join(lacks)}; or run `invoke update python --write`"
    if not windows:
        return ""
    if image.flavour != "default":
        return f"{where}: free-threaded Windows images are not made; exclude {image.id} in $.exclusions"
    remedy = f"no installer is pinned; add file and sha256 of {release.installer} as `windows` to build it"
    return "" if release.windows else f"{where}: {remedy}"


def epoch(release: Release) -> int:
    """Return `SOURCE_DATE_EPOCH` of a release: midnight UTC of its day, in seconds."""
    day = datetime.date.fromisoformat(release.released)
    return int(datetime.datetime(day.year, day.month, day.day, tzinfo=datetime.UTC).timestamp())


def pins(release: Release) -> tuple[str, ...]:
    """Return what pip is told to install in place of what ensurepip brings."""
    return tuple(f"{name}=={version}" for name, version in sorted((release.pins or {}).items()))


def configure(image: Image) -> tuple[str, ...]:
    """Return the options of CPython's configure that every build of an image has."""
    options = (
        "--enable-loadable-sqlite-extensions",
        "--enable-option-checking=fatal",
        "--enable-shared",
        "--with-ensurepip",
        # Nobody embeds the static library; it costs a link and 60 MB that would be deleted.
        "--without-static-libpython",
        "--disable-test-modules",
    )
    return (*options, "--disable-gil") if image.flavour == "freethreaded" else options


def reference(base: BaseImage) -> str:
    """Return a base as `FROM` takes it, pinned where it has a digest."""
    return base.image if base.digest is UNSET else f"{base.image}@{base.digest}"
