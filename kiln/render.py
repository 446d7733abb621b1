"""Dockerfiles from templates: a pure function of the family, written and compared as a whole."""

import difflib
import hashlib
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError
from msgspec import UNSET, structs
from msgspec.structs import asdict

from kiln import packages, paths, stages
from kiln.errors import RenderError
from kiln.image import Image
from kiln.matrix import Matrix
from kiln.model import DISTROLESS, Catalog

FOLDER = "dockerfiles"


def dockerfile(image: Image, catalog: Catalog, cross: str = "") -> str:
    """Return the text of an image's Dockerfile; `cross` is its platform where another one compiles.

    Raises RenderError where a template is broken, or nothing is pinned that the image could be made from.
    """
    if image.installed:
        return _render("package.j2", _package_facts(image, catalog), image.id)
    if reason := stages.lack(image):
        raise RenderError(reason)
    return _render(_template(image), _facts(image, catalog, cross), image.id)


def _template(image: Image) -> str:
    """Return the template of a Python image's Dockerfile."""
    if image.target.distribution == "windows":
        return "windows/Dockerfile.j2"
    return "distroless.j2" if image.variant in DISTROLESS else "Dockerfile.j2"


def compile_key(image: Image, platform: str, catalog: Catalog, *, cross: bool = False) -> str:
    """Return what decides the bytes of the compiled interpreter, as 12 hex digits.

    Images that share it have a byte-identical compile stage, so that one compile serves them all; what
    Windows images share is what was unpacked. Empty where nothing is pinned that they could be made from.
    """
    if stages.lack(image):
        return ""
    windows = image.target.distribution == "windows"
    facts = stages.unpacked(image) if windows else stages.compiled(image, catalog.interpreter, platform * cross)
    return hashlib.sha256(f"{platform}\n{_stages(facts)}".encode()).hexdigest()[:12]


def profile_guided(catalog: Catalog, *, cross: bool) -> bool:
    """Tell whether builds that are not quick are profile-guided: cross compiles where there is training for them."""
    return not cross or bool(catalog.interpreter and catalog.interpreter.emulated)


def files(matrix: Matrix) -> dict[str, str]:
    """Return the Dockerfiles of a family by path below `dockerfiles/`; images that nothing is pinned for have none."""
    # All versions of a package share one Dockerfile.
    images = {f"{image.folder}/Dockerfile": image for image in matrix.everything if not _lack(image, matrix.catalog)}
    return {name: dockerfile(image, matrix.catalog) for name, image in images.items()}


def _lack(image: Image, catalog: Catalog) -> str:
    """Return why an image has no Dockerfile: that of a package has a Python of its own by default."""
    if not image.installed:
        return stages.lack(image)
    version = image.installed.defaults[0]
    release = next(one for one in catalog.releases if one.version == version)
    return stages.lack(structs.replace(image, release=release))


def lacks(matrix: Matrix) -> list[str]:
    """Return why some images have no Dockerfile and what to do, a line for each release or image."""
    return list(dict.fromkeys(reason for image in matrix.images if (reason := stages.lack(image))))


def changes(matrix: Matrix, folder: Path) -> dict[str, str | None]:
    """Return what would change in `folder`, by the path in it, for it to hold a family's Dockerfiles; None: removed."""
    wanted, found = files(matrix), _found(folder)
    changed = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    return {name: wanted.get(name) for name in changed}


def write(matrix: Matrix, folder: Path) -> list[str]:
    """Make `folder` hold a family's Dockerfiles and nothing else; return the paths that changed."""
    changed = changes(matrix, folder)
    for name, text in changed.items():
        if text is None:
            (folder / name).unlink()
        else:
            paths.write_whole(folder / name, text)
    for empty in sorted((path for path in folder.rglob("*") if _is_folder(path)), reverse=True):
        if not any(empty.iterdir()):
            empty.rmdir()
    return list(changed)


def drift(matrix: Matrix, folder: Path) -> str:
    """Return the difference between a folder and what belongs there, empty where there is none."""
    wanted, found = files(matrix), _found(folder)
    lines: list[str] = []
    for name in sorted(wanted.keys() | found.keys()):
        before, after = found.get(name, ""), wanted.get(name, "")
        if before == after and name not in wanted:
            lines.append(f"{folder}/{name}: empty, and not generated\n")
        lines += difflib.unified_diff(
            before.splitlines(keepends=True), after.splitlines(keepends=True),
            f"{folder}/{name}", f"generated/{name}",
        )  # fmt: skip
    return "".join(lines)


def _found(folder: Path) -> dict[str, str]:
    """Return what stands in the folder, byte for byte; it belongs to `invoke generate` alone."""
    return {path.relative_to(folder).as_posix(): _content(path) for path in folder.rglob("*") if not _is_folder(path)}


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _content(path: Path) -> str:
    """Return a file's text; of what is no file at all, and no generated one for that, what it is."""
    if path.is_symlink():
        return f"symbolic link to {path.readlink()}\n"
    return path.read_bytes().decode("utf-8", errors="replace") if path.is_file() else "not a file\n"


@cache
def environment() -> Environment:
    """Return Jinja as all templates see it: an unknown variable is an error."""
    return Environment(
        loader=FileSystemLoader(paths.ROOT / "templates"), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False, auto_reload=False,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _stages(facts: stages.Compile | stages.Unpack) -> str:
    """Return the compile stage and those before it: asked for by each variant and each platform."""
    template = "compile.j2" if isinstance(facts, stages.Compile) else "windows/unpack.j2"
    return _render(template, asdict(facts), facts.target)


def _render(template: str, facts: Mapping[str, object], name: str) -> str:
    try:
        return environment().get_template(template).render(facts)
    except TemplateError as error:
        where = getattr(error, "filename", None) or f"templates/{template}"
        line = getattr(error, "lineno", None)
        raise RenderError(f"{where}{f':{line}' if line else ''}: {error} ({name}); correct the template") from error


def lean(image: Image, catalog: Catalog) -> bool:
    """Tell whether pip is there without bytecode: where layers are gzip's, which needs it to be small."""
    found = catalog.compression
    return found is not UNSET and found.algorithm == "gzip" and image.variant in ("full", "slim")


def _facts(image: Image, catalog: Catalog, cross: str) -> dict[str, object]:
    """Return what the templates know of an image."""
    release, target = image.release, image.target
    extra = target.packages.full if image.variant == "full" else []
    windows = target.distribution == "windows"
    shared = stages.unpacked(image, catalog) if windows else stages.compiled(image, catalog.interpreter, cross)
    return {
        "description": catalog.variants[image.variant].description,
        "distribution_family": stages.FAMILIES[target.distribution],
        "labels": labels(image, catalog),
        "lean": lean(image, catalog),
        "packages": sorted({*target.packages.runtime, *extra}),
        "platform_packages": _platform_packages(image),
        "stages": _stages(shared),
        "target": image.target_name,
        "title": f"Python {image.python} on {target.title}, {image.variant}",
        "variant": image.variant,
        "version": release.version,
    }


def _platform_packages(image: Image) -> dict[str, list[str]]:
    """Return the packages that an image needs on some of its platforms only."""
    found = image.target.packages.platforms or {}
    return {platform: sorted(found[platform]) for platform in image.platforms if found.get(platform)}


def _package_facts(image: Image, catalog: Catalog) -> dict[str, object]:
    """Return what the templates know of an image with a package."""
    found = packages.facts(image, catalog)
    release = next(one for one in catalog.releases if one.version == found["python_version"])
    return {
        **found,
        "distribution_family": stages.FAMILIES[image.target.distribution],
        "epoch": stages.epoch(release),
        "labels": packages.labels(image),
    }


def labels(image: Image, catalog: Catalog) -> dict[str, str]:
    """Return the OCI labels that the matrix alone decides; a build adds revision and base digest."""
    known = {
        "org.opencontainers.image.base.name": image.target.base.image,
        "org.opencontainers.image.created": f"{image.release.released}T00:00:00Z",
        "org.opencontainers.image.version": image.python,
    }
    if image.target.base.digest is not UNSET:
        known["org.opencontainers.image.base.digest"] = image.target.base.digest
    if image.target.distribution == "windows":
        known["org.opencontainers.image.description"] = "Python as python.org builds it, put into an image by Kiln"
    if image.installed:
        known |= {**packages.labels(image), "org.opencontainers.image.version": image.installed.version}
    return dict(sorted({**catalog.labels, **known}.items()))
