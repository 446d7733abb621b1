"""Images with packages of the Python index: what their Dockerfiles say, and what these are built from."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from kiln.errors import RenderError
from kiln.image import Image, Installed
from kiln.model import Catalog


def installed(image: Image) -> Installed:
    """Return what an image has of the index; only for images that have something."""
    if image.installed is None:
        raise RenderError(f"{image.id}: has no package; name an image that has one")
    return image.installed


def folder(image: Image) -> Path:
    """Return the folder of an image's package, which is its build context."""
    return installed(image).folder


def lock_file(image: Image) -> Path:
    """Return the file with the exact versions and hashes of what is installed for a package's version."""
    return folder(image) / "locks" / installed(image).version / f"py{image.release.series}.txt"


def context_digest(image: Image, lock: str) -> str:
    """Return a digest of what of the package's folder gets into an image: its lock's text, `start` and example.

    Raises RenderError for a package whose command is a start script that is not there.
    """
    own = folder(image)
    if installed(image).package.command == ["start"] and not (own / "start").is_file():
        raise RenderError(
            f"{image.id}: its command is the script {own / 'start'}, which is not there; write it (docs/packages.md "
            "says how), or give the package another `command`"
        )
    files = sorted(path for path in (own / "start", *(own / "example").rglob("*")) if path.is_file())
    parts = [path.relative_to(own).as_posix().encode() + b"\0" + path.read_bytes() for path in files]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in (lock.encode(), *parts))).hexdigest()


def facts(image: Image, catalog: Catalog) -> dict[str, object]:
    """Return what the templates know of an image with a package; its versions are the defaults."""
    mine = installed(image)
    package, (python, version) = mine.package, mine.defaults
    bare = mine.builder == mine.python and image.variant != "full"
    return {
        "build_packages": sorted({*image.target.packages.full}) if bare else [],
        "builder": mine.builder.removeprefix(f"{image.python}-"),
        "command": json.dumps(package.command),
        "description": package.description,
        "example": (folder(image) / "example").is_dir(),
        "environment": package.environment or {},
        "folder": image.folder,
        "name": mine.name,
        "package_version": version,
        "port": package.port or 0,
        "python": mine.python.removeprefix(f"{image.python}-"),
        "python_version": python,
        "repository": f"{catalog.registry}/{catalog.repository}" if catalog.registry else catalog.repository,
        "start": (folder(image) / "start").is_file(),
        "target": image.target_name,
        "title": f"{mine.name} on {image.target.title}, {image.variant}",
    }


def labels(image: Image) -> Mapping[str, str]:
    """Return the OCI labels that differ from those of the Python image, but for the version."""
    mine = installed(image)
    return {
        "org.opencontainers.image.description": mine.package.description,
        "org.opencontainers.image.title": mine.name,
    }
