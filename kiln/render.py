"""Dockerfiles from templates: a pure function of the family, written and compared as a whole."""

import datetime
import difflib
import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError
from msgspec import UNSET

from kiln import paths
from kiln.errors import RenderError
from kiln.matrix import Image, Matrix
from kiln.model import Catalog, Release

PYTHON_ORG = "https://www.python.org/ftp/python"
FOLDER = "dockerfiles"
_FAMILIES = {"debian": "debian", "ubuntu": "debian", "alpine": "alpine"}


def dockerfile(image: Image, catalog: Catalog) -> str:
    """Return the text of an image's Dockerfile.

    Raises RenderError where a template is broken.
    """
    return _render("Dockerfile.j2", image, catalog)


def compile_key(image: Image, platform: str, catalog: Catalog) -> str:
    """Return what decides the bytes of the compiled interpreter, as 12 hex digits.

    Images that share it have a byte-identical compile stage, so that one compile serves them all.
    """
    stages = _render("compile.j2", image, catalog)
    return hashlib.sha256(f"{platform}\n{stages}".encode()).hexdigest()[:12]


def epoch(release: Release) -> int:
    """Return `SOURCE_DATE_EPOCH` of a release: midnight UTC of its day, in seconds."""
    day = datetime.date.fromisoformat(release.released)
    return int(datetime.datetime(day.year, day.month, day.day, tzinfo=datetime.UTC).timestamp())


def configure(image: Image) -> list[str]:
    """Return the options of CPython's configure that every build of an image has."""
    options = [
        "--enable-loadable-sqlite-extensions",
        "--enable-option-checking=fatal",
        "--enable-shared",
        "--with-ensurepip",
        # Nobody embeds the static library; it costs a link and 60 MB that would be deleted.
        "--without-static-libpython",
        "--disable-test-modules",
    ]
    return [*options, "--disable-gil"] if image.flavour == "freethreaded" else options


def files(matrix: Matrix) -> dict[str, str]:
    """Return every Dockerfile of a family by its path below `dockerfiles/`."""
    return {f"{image.folder}/Dockerfile": dockerfile(image, matrix.catalog) for image in matrix.images}


def write(matrix: Matrix, folder: Path) -> list[str]:
    """Make `folder` hold a family's Dockerfiles and nothing else; return the paths that changed."""
    wanted, found = files(matrix), _found(folder)
    changed = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    for name in changed:
        if name in wanted:
            paths.write_whole(folder / name, wanted[name])
        else:
            (folder / name).unlink()
    for empty in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        if not any(empty.iterdir()):
            empty.rmdir()
    return changed


def drift(matrix: Matrix, folder: Path) -> str:
    """Return the difference between a folder and what belongs there, empty where there is none."""
    wanted, found = files(matrix), _found(folder)
    lines: list[str] = []
    for name in sorted(wanted.keys() | found.keys()):
        before, after = found.get(name, ""), wanted.get(name, "")
        lines += difflib.unified_diff(
            before.splitlines(keepends=True), after.splitlines(keepends=True),
            f"{folder}/{name}", f"generated/{name}",
        )  # fmt: skip
    return "".join(lines)


def _found(folder: Path) -> dict[str, str]:
    """Return what stands in the folder, which belongs to `invoke generate` alone."""
    files = (path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8", errors="replace") for path in files}


@cache
def environment() -> Environment:
    """Return Jinja as all templates see it: an unknown variable is an error."""
    return Environment(
        loader=FileSystemLoader(paths.ROOT / "templates"), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False,
    )  # fmt: skip


def _render(template: str, image: Image, catalog: Catalog) -> str:
    try:
        return environment().get_template(template).render(_facts(image, catalog))
    except TemplateError as error:
        where = getattr(error, "filename", None) or f"templates/{template}"
        line = getattr(error, "lineno", None)
        raise RenderError(f"{where}{f':{line}' if line else ''}: {error} ({image.id}); correct the template") from error


def _facts(image: Image, catalog: Catalog) -> dict[str, object]:
    """Return what the templates know of an image."""
    release, target = image.release, image.target
    artifact = release.artifacts[0]
    extra = target.packages.full if image.variant == "full" else []
    return {
        "artifact": artifact,
        "base": _base(image),
        "compile_packages": target.packages.compile,
        "configure": configure(image),
        "description": catalog.variants[image.variant].description,
        "epoch": epoch(release),
        "distribution_family": _FAMILIES[target.distribution],
        "labels": labels(image, catalog),
        "letter": "t" if image.flavour == "freethreaded" else "",
        "packages": sorted({*target.packages.runtime, *extra}),
        "series": release.series,
        "target": image.target_name,
        "title": f"Python {image.python} on {target.title}, {image.variant}",
        "url": f"{PYTHON_ORG}/{release.parsed.base_version}/{artifact.file}",
        "variant": image.variant,
        "version": release.version,
    }


def _base(image: Image) -> str:
    base = image.target.base
    return base.image if base.digest is UNSET else f"{base.image}@{base.digest}"


def labels(image: Image, catalog: Catalog) -> dict[str, str]:
    """Return the OCI labels that the matrix alone decides; a build adds revision and base digest."""
    known = {
        "org.opencontainers.image.base.name": image.target.base.image,
        "org.opencontainers.image.created": f"{image.release.released}T00:00:00Z",
        "org.opencontainers.image.version": image.python,
    }
    if image.target.base.digest is not UNSET:
        known["org.opencontainers.image.base.digest"] = image.target.base.digest
    return dict(sorted({**catalog.labels, **known}.items()))
