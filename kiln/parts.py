"""The parts of a build: its source, its base, and for Windows the system that unpacks it. Fetched, or foreseen."""

from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct, structs

from kiln import announced, bases, lock, sources, stages
from kiln import engine as engines
from kiln.bake import Inputs
from kiln.bases import Base
from kiln.console import say
from kiln.engine import Engine
from kiln.errors import SelectionError, SourceError
from kiln.image import Image
from kiln.model import Catalog, Release, Target

LATER = "(known when the build starts)"
Lack = tuple[str, str]
"""What is not here, and for what: `("no sources for", "3.13.5t")`."""


class Parts(Struct, frozen=True, kw_only=True):
    """What a build is made from, and where base and source come from, for people."""

    inputs: Inputs
    base: str
    source: str


def made_from(image: Image) -> Release:
    """Return an image's release with the artifacts that it is made from.

    Raises SourceError, with what to add, where nothing is pinned.
    """
    if reason := stages.lack(image):
        raise SourceError(reason)
    return stages.made_from(image)


def releases(images: Iterable[Image]) -> list[Release]:
    """Return what images are made from, each once; what is pinned for none of them is said.

    Raises SourceError, with what to add, where nothing at all is pinned.
    """
    found = {(image.release.version, image.target.distribution == "windows"): image for image in images}
    lacking = [reason for image in found.values() if (reason := stages.lack(image))]
    if len(lacking) == len(found):
        raise SourceError("\n".join(lacking))
    for reason in lacking:
        say(f"passed over: {reason}")
    return [stages.made_from(image) for image in found.values() if not stages.lack(image)]


class Here:
    """Which parts of a family's images are available from here; nothing is fetched, and each is asked for once."""

    def __init__(self, catalog: Catalog, platform: str, engine: Engine | None, folder: Path | None = None) -> None:
        """Look from the machine of an engine; `folder` is one of tarballs."""
        self._catalog, self._platform, self._engine, self._folder = catalog, platform, engine, folder
        self._sources: dict[tuple[str, bool], str | None] = {}
        self._bases: dict[str, str | None] = {}

    def source(self, image: Image) -> str | None:
        """Return the origin of an image's sources, None if there is none."""
        key = image.release.version, image.target.distribution == "windows"
        if key not in self._sources:
            release = stages.made_from(image)
            self._sources[key] = sources.available(release, self._catalog.sources, folder=self._folder)
        return self._sources[key]

    def base(self, image: Image) -> str | None:
        """Return the origin of an image's base, None if there is none."""
        if image.target_name not in self._bases:
            self._bases[image.target_name] = bases.available(image.target, self._platform, engine=self._engine)
        return self._bases[image.target_name]

    def lack(self, image: Image) -> Lack | None:
        """Return the first part that an image lacks, None if it can be built."""
        if stages.lack(image):
            return "nothing is pinned for", image.python
        if not self.source(image):
            return "no sources for", image.python
        if not self.base(image):
            return "no base image for", image.target.title
        title = lock.lack(image) if image.installed else ""
        return ("no lock for", title) if title else None


def lacking(lacks: Iterable[Lack | None]) -> str:
    """Return what is not here in words, each once: `no sources for 3.15.2, 3.15.2t; no base image for Alpine 3.24`."""
    found: dict[str, dict[str, None]] = {}
    for kind, name in filter(None, lacks):
        found.setdefault(kind, {})[name] = None
    return "; ".join(f"{kind} {', '.join(names)}" for kind, names in found.items())


def gather(  # noqa: PLR0913 - each is a choice of its own
    image: Image, platform: str, catalog: Catalog, engine: Engine, folder: Path | None, *, toolchain: str = ""
) -> Parts:  # fmt: skip
    """Return the parts of a build, fetched or made now; `folder` is one of tarballs.

    `toolchain` is the platform that compiles, where it is another one.
    Raises KilnError where one of them cannot be had.
    """
    source = sources.fetch(made_from(image), catalog.sources, folder=folder)
    base = bases.resolve(image.target, platform, engine=engine)
    inputs = Inputs(
        base=base.context, base_digest=base.digest, base_created=base.created, os_version=base.os_version,
        source=str(source.path.parent), source_sha256=source.artifact.sha256,
    )  # fmt: skip
    if toolchain:
        compiler = bases.resolve(image.target, toolchain, engine=engine)
        inputs = structs.replace(inputs, toolchain=compiler.context, toolchain_digest=compiler.digest)
    if image.target.distribution == "windows":
        tools = bases.resolve(stages.tools(image, catalog)[1], engine.platform, engine=engine)
        inputs = structs.replace(inputs, tools=tools.context, tools_digest=tools.digest)
    return Parts(inputs=inputs, base=base.origin, source=source.origin)


def foresee(  # noqa: PLR0913 - as `gather`
    image: Image, platform: str, catalog: Catalog, engine: Engine | None, folder: Path | None, *, toolchain: str = ""
) -> Parts:  # fmt: skip
    """Return the parts as `gather` would, without fetching or making anything.

    What is not here yet is named in words. Raises KilnError where it cannot be had.
    """
    release = made_from(image)
    found = sources.look(release, catalog.sources, folder=folder)
    if found.announced:
        raise SelectionError(f"{image.id}: {image.release.version} is {announced.REASON}; try again later")
    source = found.origin
    base = bases.available(image.target, platform, engine=engine)
    if not source or not base:
        lacks = "no sources" if not source else f"no base image for {image.target.title} on {platform}"
        raise SelectionError(f"{image.id}: {lacks} to be had from here; see `invoke doctor`")
    stored, held = sources.stored(release), bases.at_hand(image.target, platform)
    inputs = Inputs(
        base=held.context if held else f"({base})",
        base_digest=held.digest if held else LATER,
        base_created=held.created if held else 0,
        source=str(stored.path.parent) if stored else f"({source})",
        source_sha256=(stored.artifact if stored else release.artifacts[0]).sha256,
    )
    if toolchain:
        there = bases.at_hand(image.target, toolchain)
        context, digest = (there.context, there.digest) if there else ("(like the base)", LATER)
        inputs = structs.replace(inputs, toolchain=context, toolchain_digest=digest)
    if image.target.distribution == "windows":
        tools = _tools(image, stages.tools(image, catalog)[1], engine)
        inputs = structs.replace(inputs, tools=tools.context, tools_digest=tools.digest)
    return Parts(inputs=inputs, base=held.origin if held else base, source=source)


def _tools(image: Image, target: Target, engine: Engine | None) -> Base:
    """Return the base that unpacks a Windows image, as far as it is known."""
    native = engine.platform if engine else engines.native_platform()
    origin = bases.available(target, native, engine=engine)
    if not origin:
        raise SelectionError(f"{image.id}: no {target.title} on {native} to unpack it on; see `invoke doctor`")
    held = bases.at_hand(target, native)
    return held or Base(context=f"({origin})", digest=LATER, name=target.base.image, origin=origin, created=0)
