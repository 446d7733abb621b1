"""The variables of a page's template as types: plain values, documented in docs/templates.md."""

from msgspec import Struct

from kiln.page_status import Status


class PageImage(Struct, frozen=True, kw_only=True):
    """An image."""

    id: str
    """Its most specific tag."""
    python: str
    """The version with the flavour's letter: `3.13.5`, `3.14.10t`."""
    target: str
    """A key of `targets` in versions.json."""
    variant: str
    """`full`, `slim`."""
    platforms: list[str]
    """As Docker writes them: `linux/amd64`."""
    tags: list[str]
    """Those that no other image has, the id first."""
    shared_tags: list[str]
    """Those that images of other systems may have as well: `3.13`, `latest`."""
    folder: str
    """Of the Dockerfile, below `dockerfiles/`."""
    dockerfile: str
    """Its path in the repository."""
    link: str
    """Where the Dockerfile can be read, at the commit that last touched it where git knows that."""


class SharedGroup(Struct, frozen=True, kw_only=True):
    """Shared tags that stand for the same images."""

    tags: list[str]
    """In the order of the images."""
    images: list[PageImage]
    """In the matrix's order."""


class PageTarget(Struct, frozen=True, kw_only=True):
    """A release of an operating system."""

    name: str
    """`trixie`."""
    title: str
    """`Debian 13 (trixie)`."""
    distribution: str
    """`debian`, `ubuntu`, `alpine`, `windows`."""
    base: str
    """The image that its images start from: `debian:trixie-slim`."""
    variants: list[str]
    """The variants that it has images of."""
    platforms: list[str]
    """The platforms that it has images for."""
    prerelease: bool
    """Whether the distribution has not released it yet."""


class Described(Struct, frozen=True, kw_only=True):
    """A name with what it means."""

    name: str
    """What is described."""
    description: str
    """Plain text."""


class TagRow(Struct, frozen=True, kw_only=True):
    """A row of a package's table: its shortest tags for one version on one Python."""

    version: str
    """The package's version, or `latest`."""
    python: str
    """`3.13`, or the full version of a release that is kept beside the newest of its series."""
    tags: dict[str, str]
    """By kind, as `variants` has them: `py3.13-slim-0.54.0`. A kind that is not offered is missing."""


class Size(Struct, frozen=True, kw_only=True):
    """What pulling an image takes, of images whose tests passed."""

    id: str
    """The image's id."""
    megabytes: dict[str, float]
    """By platform, 10^6 bytes."""


class Facts(Struct, frozen=True, kw_only=True):
    """Every variable that is no Markdown text."""

    repository: str
    """Without the registry: `kiln/python`; `library/python` for a bare name on Docker Hub."""
    image: str
    """With the registry, as `docker pull` takes it: `ghcr.io/kiln/python`."""
    python_image: str
    """The same of the Python images that the family's packages are built on."""
    organization: str
    """The repository without its last part: `kiln`; empty where it has none."""
    repository_short: str
    """The last part of the repository: `python`."""
    description: str
    """What the images are for, in a sentence; from the labels."""
    source: str
    """The URL of the repository that the images are built from, from the labels; empty where none is given."""
    documentation_url: str
    """Where there is more to read, from the labels; empty where none is given."""
    licences: str
    """An SPDX expression for what is in the images, from the labels; empty where none is given."""
    vendor: str
    """Who publishes the images, from the labels; empty where nobody is named."""
    package: str
    """What the images are of, as the index calls it: `uvicorn`; `python` for the Python images."""
    package_versions: list[str]
    """Its versions, oldest first."""
    port: int
    """The port that a container of the package listens on; 0 for none."""
    environment: dict[str, str]
    """The variables that the package's images set, with their values."""
    tag_rows: list[TagRow]
    """The package's shortest tags: `latest`, then its versions, newest first; empty for the Python images."""
    platforms: list[str]
    """Every platform that an image is built for: `linux/amd64`."""
    architectures: list[str]
    """The same as the official images call them: `arm64v8`."""
    python_versions: list[str]
    """The series, oldest first: `3.13`."""
    variants: list[str]
    """The kinds of images: `full`, `slim`, and `alpine` where there is an Alpine target."""
    variant_texts: list[Described]
    """The variants of versions.json that there are images of, with their descriptions."""
    newest: PageImage
    """The image to begin with: the newest final release, its default target and variant."""
    examples: dict[str, PageImage]
    """By kind, as `variants` has them, an image of the newest final release that has any."""
    images: list[PageImage]
    """All images, newest release first."""
    shared_groups: list[SharedGroup]
    """The shared tags, those together that stand for the same images."""
    targets: list[PageTarget]
    """In the order of the releases."""
    status: Status
    """What was tested of each Python on each target."""
    sizes: list[Size]
    """Of images whose tests passed; quick builds are left out."""
    exclusions: list[Described]
    """What is not built of all that the matrix makes possible, with the reason."""
