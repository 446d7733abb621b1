"""What is going to be built, and why: images, platforms, and where their parts come from."""

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct, structs

from kiln import lock, packages, parts, render
from kiln.bake import Build, Inputs
from kiln.compiled import Store
from kiln.engine import Engine
from kiln.errors import KilnError, SelectionError, SourceError
from kiln.image import Image
from kiln.matrix import Matrix, newest_stable, slim
from kiln.model import COMPRESSION, Compression
from kiln.parts import Here, Lack, Parts, lacking


class Wanted(Struct, frozen=True, kw_only=True):
    """One image on one platform that somebody asked for."""

    image: Image
    platform: str
    toolchain: str = ""
    """The platform that compiles, where it is another one."""

    @property
    def name(self) -> str:
        """Return how people read it."""
        return f"{self.image.id} {self.platform}"


class Options(Struct, frozen=True, kw_only=True):
    """How `invoke build` was called."""

    quick: bool = False
    builder: str = ""
    jobs: int = 2
    no_cache: bool = False
    sources: Path | None = None
    """A folder of source tarballs."""
    artifacts: Store | None = None
    """Where compiled interpreters are taken from and kept."""


def choose(matrix: Matrix, globs: Sequence[str], platforms: Sequence[str], native: str) -> list[Wanted]:
    """Return the builds that globs and platforms (`all`, or none for the engine's own) select.

    An image that a glob finds is left out where it has none of the platforms. A glob that finds
    Windows images alone asks for them, for no engine that builds has their platform. Raises
    SelectionError where nothing is left, or a platform is offered by none of the images.
    """
    images = matrix.select(globs)
    every = list(dict.fromkeys(platform for image in images for platform in image.platforms))
    asked = set() if platforms else {image.id for glob in globs for image in _only_windows(matrix.select([glob]))}
    wanted = every if list(platforms) == ["all"] else list(dict.fromkeys(platforms)) or [native]
    for platform in wanted if len(asked) < len(images) else ():
        if platform not in every:
            names = images[0].id if len(images) == 1 else f"none of {len(images)} images"
            raise SelectionError(
                f"{names} {'is not' if len(images) == 1 else 'is'} offered for {platform}; "
                f"there is {', '.join(every)} (versions.json: platforms)"
            )
    return [
        Wanted(image=image, platform=p)
        for image in images
        for p in (image.platforms if image.id in asked else wanted)
        if p in image.platforms
    ]


def _only_windows(images: Sequence[Image]) -> Sequence[Image]:
    return images if all(image.target.distribution == "windows" for image in images) else ()


def default(matrix: Matrix, platform: str, folder: Path | None, engine: Engine | None) -> tuple[Image, str]:
    """Return the newest stable slim image that can be built from here, and why that one.

    In a family without slim images, any variant will do. Raises SelectionError with every newer image's
    reason where there is none.
    """
    stable = [image for image in newest_stable(matrix.images) if platform in image.platforms]
    chosen, here = slim(stable), Here(matrix.catalog, platform, engine, folder)
    what = "stable image" if chosen and chosen[0].variant != "slim" else "stable slim image"
    passed_over: list[Lack] = []
    for image in chosen:
        lack = here.lack(image)
        if lack is None:
            why = (
                f"{image.id}: the newest {what} whose sources ({here.source(image)}) and base ({here.base(image)}) "
                "can be had from here"
            )
            return image, "; ".join(filter(None, [why, lacking(passed_over)]))
        passed_over.append(lack)
    reasons = lacking(passed_over) or "the matrix has none for this platform"
    raise SelectionError(f"no {what} can be built from here: {reasons}; see `invoke doctor`")


class Resolved(Struct, frozen=True, kw_only=True):
    """A build that has its parts, with where they came from."""

    build: Build
    base: str
    source: str


def resolve(wanted: Wanted, matrix: Matrix, engine: Engine, options: Options) -> Resolved:
    """Return a build with its sources fetched and its base at hand.

    Raises KilnError where one of them cannot be had.
    """
    found = parts.gather(
        wanted.image, wanted.platform, matrix.catalog, engine, options.sources, toolchain=wanted.toolchain
    )  # fmt: skip
    return _resolved(wanted, matrix, found, options)


def foresee(wanted: Wanted, matrix: Matrix, options: Options, engine: Engine | None) -> Resolved:
    """Return a build as `resolve` would, without fetching or making anything.

    What is not here yet is named in words. Raises KilnError where it cannot be had.
    """
    found = parts.foresee(
        wanted.image, wanted.platform, matrix.catalog, engine, options.sources, toolchain=wanted.toolchain
    )  # fmt: skip
    return _resolved(wanted, matrix, found, options)


def _resolved(wanted: Wanted, matrix: Matrix, found: Parts, options: Options) -> Resolved:
    return Resolved(
        build=expected(wanted, matrix, found.inputs, options), base=found.base, source=found.source
    )  # fmt: skip


def expected(wanted: Wanted, matrix: Matrix, inputs: Inputs, options: Options) -> Build:
    """Return the build of an image with given inputs; its Dockerfile and the commit of it are those of now.

    A cross compile's Dockerfile is not committed; what it is rendered from has changed with the one that is.
    """
    committed = dockerfile = render.dockerfile(wanted.image, matrix.catalog)
    if wanted.image.installed:
        return _package(wanted, matrix, inputs, options, dockerfile)
    cross = bool(inputs.toolchain_digest)
    if cross:
        dockerfile = render.dockerfile(wanted.image, matrix.catalog, wanted.platform)
    return Build(
        image=wanted.image, repository=matrix.repository_of(wanted.image), platform=wanted.platform,
        quick=options.quick, dockerfile=dockerfile, compression=_compression(wanted, matrix),
        inputs=structs.replace(inputs, revision=revision(wanted.image, committed, matrix.folder)),
        compile_key=render.compile_key(wanted.image, wanted.platform, matrix.catalog, cross=cross),
        profile_guided=render.profile_guided(matrix.catalog, cross=cross),
    )  # fmt: skip


def _compression(wanted: Wanted, matrix: Matrix) -> Compression | None:
    """Return how layers are compressed; Windows' own stay as Microsoft publishes them, for hosts have them already."""
    return None if wanted.image.target.distribution == "windows" else matrix.catalog.compression or COMPRESSION


def _package(wanted: Wanted, matrix: Matrix, inputs: Inputs, options: Options, dockerfile: str) -> Build:
    """Return the build of an image with a package, with those that it is built on: they have the same inputs."""
    mine = packages.installed(wanted.image)
    below = [image for image in (matrix.get(mine.python), matrix.get(mine.builder)) if image]
    on = [expected(Wanted(image=image, platform=wanted.platform), matrix, inputs, options) for image in below]
    return Build(
        image=wanted.image, repository=matrix.repository_of(wanted.image), platform=wanted.platform,
        quick=options.quick, dockerfile=dockerfile, compression=_compression(wanted, matrix),
        inputs=structs.replace(inputs, revision=revision(wanted.image, dockerfile, matrix.folder)),
        compile_key=on[0].compile_key, profile_guided=on[0].profile_guided, on=tuple(on),
        context=str(packages.folder(wanted.image)),
        context_digest=packages.context_digest(wanted.image, lock.read(wanted.image)),
    )  # fmt: skip


def resolve_all(
    wanted: Iterable[Wanted], matrix: Matrix, engine: Engine, options: Options
) -> tuple[list[Resolved], dict[str, str]]:
    """Return the builds that have their parts, and by name the reason of those that have not."""
    resolved, failed = [], {}
    # What cannot be had for one image is not asked for again for the next.
    missing: dict[object, str] = {}
    for one in wanted:
        windows = one.image.target.distribution == "windows"
        keys = (one.image.release.version, windows), (one.image.target_name, one.platform)
        reason = next((missing[key] for key in keys if key in missing), None)
        if reason is None:
            try:
                resolved.append(resolve(one, matrix, engine, options))
                continue
            except KilnError as error:
                reason = str(error)
                missing[keys[0] if isinstance(error, SourceError) else keys[1]] = reason
        failed[one.name] = reason
    return resolved, failed


def revision(image: Image, dockerfile: str, family: Path) -> str:
    """Return the commit that last changed an image's Dockerfile; `-dirty` where the text now is another one.

    `family` is the family's folder. Empty where git knows no such Dockerfile there.
    """
    folder = f"{render.FOLDER}/{image.folder}"
    commit = _git(family, "log", "-1", "--format=%H", "--", folder)
    # What is built is what versions.json says now, generated and committed or not.
    same = commit and _git(family, "show", f"HEAD:./{folder}/Dockerfile") == dockerfile.strip()
    return commit if same or not commit else f"{commit}-dirty"


def _git(folder: Path, *args: str) -> str:
    """Return what git says in a folder, or nothing where there is no git or no checkout."""
    try:
        done = subprocess.run(["git", *args], cwd=folder, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
