"""The words of the design as frozen types; no input or output happens here.

The first group mirrors `versions.json` key by key. The second is what a family expands to.
"""

from functools import cached_property
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field
from packaging.version import Version

PYTHON_ORG = "https://www.python.org/ftp/python"
Distribution = Literal["alpine", "debian", "ubuntu", "windows"]
Flavour = Literal["default", "freethreaded"]
DISTROLESS = ("distroless", "distroless-debug")
"""Variants that hold some files of the distribution's packages in place of a whole system."""


class Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of everything that stands in `versions.json`: strict, and written back as read."""


class Artifact(Entry, frozen=True):
    """One file that holds a release's sources, named by content."""

    file: str
    """The file's name on python.org: `Python-3.13.5.tar.xz`."""
    sha256: str
    """64 lower-case hex digits."""


class Release(Entry, frozen=True, dict=True):
    """One CPython version, what it is built for, and where its bytes are known from."""

    version: str
    """A PEP 440 version: `3.13.5`, `3.15.0rc2`."""
    targets: list[str]
    """Keys of `targets`; the first that is neither Alpine nor Windows is the release's default target."""
    released: str = ""
    """The day of the release, `YYYY-MM-DD`; midnight UTC of it is `SOURCE_DATE_EPOCH`. `invoke update` fills it in."""
    artifacts: list[Artifact] = []
    """In order of preference; the first is what a standalone Dockerfile downloads. `invoke update` fills it in.

    With none, or without a day, the release is listed and tagged, and cannot be built.
    """
    flavours: list[Flavour] = field(default_factory=lambda: list[Flavour](["default"]))
    """How the interpreter is built: `default`, or `freethreaded` (3.13 and later)."""
    pins: dict[str, str] | UnsetType = UNSET
    """Versions of Python packages to install in place of what `ensurepip` brings: `{"setuptools": "79.0.1"}`."""
    windows: Artifact | UnsetType = UNSET
    """The installer that Windows images take Python from: `python-3.13.5-amd64.exe`."""

    @cached_property
    def parsed(self) -> Version:
        """Return the version as something that compares."""
        return Version(self.version)

    @property
    def series(self) -> str:
        """Return the series: `3.13` for `3.13.5`."""
        return f"{self.parsed.major}.{self.parsed.minor}"

    @property
    def installer(self) -> str:
        """Return the name of the installer for 64-bit Windows on python.org."""
        return f"python-{self.version}-amd64.exe"

    def url(self, artifact: Artifact, root: str = PYTHON_ORG) -> str:
        """Return where an artifact lies below python.org or a mirror of it.

        Prereleases lie in their release's folder.
        """
        return f"{root.rstrip('/')}/{self.parsed.base_version}/{artifact.file}"


class BaseImage(Entry, frozen=True):
    """The image that a target's images start from."""

    image: str
    """A reference as `docker pull` takes it: `debian:trixie-slim`."""
    platforms: list[str]
    """Every platform that the image is published for."""
    digest: str | UnsetType = UNSET
    """`sha256:...` of the image's index; with it, the image is pinned."""


class Packages(Entry, frozen=True):
    """Names of the distribution's packages, by what they are needed for."""

    compile: list[str]
    """To compile Python; never in a published image."""
    full: list[str]
    """What the `full` variant adds for building extensions."""
    runtime: list[str]
    """What a compiled Python needs to run."""
    platforms: dict[str, list[str]] | UnsetType = UNSET
    """What it needs beyond on some platforms: `{"linux/arm/v5": ["libatomic1"]}`."""


class TargetVariant(Entry, frozen=True):
    """What a target says of one of its variants."""

    max_mb: int | float | UnsetType = UNSET
    """The size budget: most megabytes (10^6 bytes) that the compressed layers may take."""


class TargetTraining(Entry, frozen=True):
    """What is different on a target about the training of profile-guided optimisation."""

    skip: dict[str, str]
    """Tests that cannot pass there, each with the reason: `test.test_re.ReTests.test_locale_caching`, or `test_re`."""


class Target(Entry, frozen=True):
    """One release of an operating system that images are built on."""

    distribution: Distribution
    """The family of distributions, which decides how packages are installed."""
    release: str
    """The distribution's own name for it: `trixie`, `24.04`, `3.23`."""
    title: str
    """How people call it: `Debian 13 (trixie)`."""
    base: BaseImage
    """The image to start from, and where it runs."""
    platforms: list[str]
    """What is built, as Docker writes it: `linux/amd64`, `linux/arm/v7`."""
    variants: dict[str, TargetVariant]
    """The variants that this target has, by their key in `variants`."""
    default_variant: str
    """The variant whose tags do not name it."""
    packages: Packages
    """The distribution's packages, by what they are needed for."""
    training: TargetTraining | UnsetType = UNSET
    """What is different here about the training of profile-guided optimisation."""
    like: str | UnsetType = UNSET
    """Another target, of which this one has all that it does not name itself; null takes a key away (RFC 7396)."""
    prerelease: bool | UnsetType = UNSET
    """True while the distribution has not released it; the README warns of it."""


class Variant(Entry, frozen=True):
    """What is in an image, beside Python."""

    description: str
    """What is in the image, for a comment in its Dockerfile."""


class Exclusion(Entry, frozen=True):
    """A part of the matrix that is left out; every key that is given must match (globs)."""

    reason: str
    """Why the part is left out; the README says so."""
    release: str | UnsetType = UNSET
    """A glob of versions: `3.11.*`."""
    flavour: str | UnsetType = UNSET
    """A glob of flavours."""
    target: str | UnsetType = UNSET
    """A glob of targets: `alpine*`."""
    variant: str | UnsetType = UNSET
    """A glob of variants."""
    platform: str | UnsetType = UNSET
    """A glob of platforms: `linux/arm*`."""


class Origins(Entry, frozen=True):
    """Where sources are looked for, beside python.org and a local folder."""

    mirrors: list[str]
    """URLs of folders laid out like python.org's `ftp/python/`, tried before it."""
    debian: list[str]
    """Debian suites whose source archive is asked, in order."""


class PackageTest(Entry, frozen=True):
    """How an image with a package shows that it works: with its example application in `packages/<name>/example`."""

    kind: Literal["http", "worker"]
    """`http`: it answers requests on the package's port; `worker`: it runs the tasks of a broker."""
    imports: list[str]
    """The modules that must be importable; the first one's distribution has the version in the tag."""


class Package(Entry, frozen=True):
    """Something from the Python index, in an image of its own on every Python that it names."""

    requirements: list[str]
    """What is installed, without versions: `uvicorn[standard]`. The first one's version is the image's."""
    versions: list[str]
    """Versions of the first requirement."""
    description: str
    """What the image is for, in a sentence."""
    pythons: list[str]
    """Series (`3.13`: the newest release of it) and versions (`3.13.5`), in the page's order."""
    targets: list[str]
    """Keys of `targets`."""
    variants: list[str]
    """Keys of `variants`; a target that has only some of them has only these."""
    command: list[str]
    """What the container runs; `start` is the package's own `packages/<name>/start`."""
    test: PackageTest
    """How the image shows that it works."""
    platforms: list[str] | UnsetType = UNSET
    """The platforms to build, of those that the Python images have; all of these if not given."""
    keep: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    """How many of the newest versions `invoke update` keeps; without it, it changes nothing here."""
    yanked: list[str] | UnsetType = UNSET
    """Versions that the index was seen to have yanked; `invoke update` keeps this list and takes none of them again."""
    port: Annotated[int, Meta(ge=1, le=65535)] | UnsetType = UNSET
    """The port that the container listens on."""
    environment: dict[str, str] | UnsetType = UNSET
    """Variables with their values in the image."""


class Compression(Entry, frozen=True):
    """How layers are compressed."""

    algorithm: Literal["gzip", "zstd"]
    """`zstd`, or `gzip` for clients and registries that know nothing else."""
    level: Annotated[int, Meta(ge=1, le=19)]
    """How hard to try: up to 19 with zstd, 12 with gzip."""
    large_level: Annotated[int, Meta(ge=1, le=19)] | UnsetType = UNSET
    """The level of layers above 256 MB uncompressed, with zstd; `level` if not given."""


COMPRESSION = Compression(algorithm="zstd", level=19, large_level=10)
"""How layers are compressed where the family says nothing."""


class Training(Entry, frozen=True):
    """What profile-guided optimisation learns from."""

    tests: list[str]
    """Modules of CPython's tests, `test_json`; those that a release does not have are passed over."""
    reason: str
    """Why these, with what was measured."""


class Interpreter(Entry, frozen=True):
    """How Python is compiled, beyond what its own defaults say."""

    frame_pointers: bool | UnsetType = UNSET
    """Whether profilers can walk the stack in production, for some speed; true if not given."""
    training: Training | UnsetType = UNSET
    """What profile-guided optimisation learns from; CPython's own selection of its tests if not given."""
    emulated: Training | UnsetType = UNSET
    """The same for cross compiles, whose training runs under emulation; not profile-guided if not given."""


class Catalog(Entry, frozen=True):
    """The whole of `versions.json`."""

    registry: str
    """The registry's host, or empty for Docker Hub."""
    repository: str
    """The repository in it: `kiln/python`."""
    labels: dict[str, str]
    """`org.opencontainers.image.*` values that every image carries."""
    sources: Origins
    """Where the sources come from."""
    targets: dict[str, Target]
    """The systems that images are built on, by the name that tags give them."""
    variants: dict[str, Variant]
    """What may be in an image, by the name that tags give it."""
    releases: list[Release]
    """The Pythons that are built."""
    exclusions: list[Exclusion]
    """What is not built of all that the rest makes possible."""
    compression: Compression | UnsetType = UNSET
    """How layers are compressed; with zstd at level 19, and large ones at 12, if not given."""
    interpreter: Interpreter | UnsetType = UNSET
    """How Python is compiled."""
    packages: dict[str, Package] | UnsetType = UNSET
    """What of the Python index has images of its own, by the last part of their repository's name."""
    default_targets: dict[str, str] | UnsetType = UNSET
    """By series, the target whose tags may leave it out: `{"3.13": "bookworm"}`; overrides the order of `targets`."""
    latest: str | UnsetType = UNSET
    """The series that is `latest`, to hold it back; else the highest that is not a prerelease."""
    schema: str | UnsetType = field(default=UNSET, name="$schema")
    """The schema that an editor completes this file from."""

    @property
    def variant_names(self) -> list[str]:
        """Return the variants in the order in which people are told of them: the special ones last."""
        return sorted(self.variants, key=DISTROLESS.__contains__)
