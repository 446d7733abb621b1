"""The files of docker-library/python as typed values: versions.json, its parents' architectures, and the rest.

`versions.json` is theirs; `parents.json` has the architectures of each parent image, as bashbrew
tells them; `meta.json` has what stands in their scripts: architectures that are left out, `latest`.
"""

import datetime
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType, field
from packaging.version import InvalidVersion, Version

from kiln import catalog, checks
from kiln.errors import ImportedError
from kiln.importing import Remarks
from kiln.library import ARCHITECTURES

PLATFORMS = {architecture: platform for platform, architecture in ARCHITECTURES.items()}
"""Platforms by what bashbrew calls them."""

_VARIANTS = (
    ("alpine", r"(?P<target>alpine[0-9]+\.[0-9]+)"),
    ("windows", r"windows/(?P<target>(windowsservercore|nanoserver)-[a-z0-9]+)"),
    # In the days of folders such as `buster/slim`, the parts stood the other way round.
    ("slim", r"slim-(?P<target>(?!alpine)[a-z]+)|(?P<before>(?!alpine)[a-z]+)/slim"),
    ("full", r"(?P<target>(?!alpine|slim$|windows$)[a-z]+)"),
)
_GUIDE = catalog.Guide(
    unknown="remove the key, or tell Kiln's maintainers what it means",
    missing="add the key, as docker-library/python has it",
    other="correct the value, as docker-library/python has it",
)
_MISSING = "name a file of docker-library/python (--source) or one made from it (--parents, --meta)"


class _Strict(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Checksum(_Strict, frozen=True):
    """The digest of a file on python.org."""

    sha256: str


class Checksums(_Strict, frozen=True):
    """The digests of the tarball and of the installer for Windows."""

    source: Checksum | UnsetType = UNSET
    windows: Checksum | UnsetType = UNSET


class Tool(_Strict, frozen=True):
    """A package of the index at a version, or the script that installs pip."""

    version: str | UnsetType = UNSET
    sha256: str | UnsetType = UNSET
    url: str | UnsetType = UNSET


class Entry(_Strict, frozen=True):
    """What they have at a series: `3.13`, or `3.14-rc` before its first final release."""

    version: str
    variants: list[str]
    checksums: Checksums | UnsetType = UNSET
    setuptools: Tool | UnsetType = UNSET
    pip: Tool | UnsetType = UNSET
    get_pip: Tool | UnsetType = field(default=UNSET, name="get-pip")


class Meta(Struct, frozen=True, kw_only=True):
    """What their scripts hold; other keys are about where the files come from."""

    arch_exclusions: dict[str, list[str]] = {}
    latest: str = ""
    python_commit_date: str = ""


class Variant(Struct, frozen=True):
    """One of the images of a series."""

    kind: Literal["full", "slim", "alpine", "windows"]
    target: str


class Source(Struct, frozen=True, kw_only=True):
    """All that is imported."""

    path: Path
    entries: dict[str, Entry]
    variants: dict[str, tuple[Variant, ...]]
    """The images of each series, in its order."""
    parents: dict[str, list[str]]
    parents_path: Path | None
    """None where the architectures are those of the family's own targets."""
    meta: Meta
    meta_path: Path
    day: str
    """The day of the files, `YYYY-MM-DD`, or empty."""


def read(source: Path, parents: Path | None, meta: Path | None, remarks: Remarks) -> Source:
    """Return what the files hold; only the first must be there.

    Raises CatalogError or ImportedError with the file and the place in it.
    """
    entries = _entries(_object(source, "an object of series"), source, remarks)
    facts = _meta(meta, remarks) if meta else Meta()
    images = dict[str, list[str]]()
    if parents:
        raw = _object(parents, "an object of images")
        images = catalog.convert(raw, dict[str, list[str]], str(parents), guide=_GUIDE)
    return Source(
        path=source, entries=entries, parents=images, parents_path=parents, meta=facts,
        meta_path=meta or Path("meta.json"), day=_day(facts.python_commit_date, meta),
        variants={key: _variants(key, entry, source) for key, entry in entries.items()},
    )  # fmt: skip


def _object(path: Path, what: str) -> dict[str, Any]:
    value = catalog.read_json(path, _MISSING)
    if not isinstance(value, dict):
        raise ImportedError(f"{path}: $: found {catalog.short(value)}; write {what}")
    return value


def _entries(raw: Mapping[str, Any], path: Path, remarks: Remarks) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for key, value in raw.items():
        where = f"$[{catalog.short(key)}]"
        if value is None:
            remarks.add("has no release (null); left out", catalog.short(key))
            continue
        found[key] = catalog.convert(value, Entry, str(path), where=where, guide=_GUIDE)
        _check(key, found[key], f"{path}: {where}")
    if not found:
        raise ImportedError(f"{path}: $: holds no release; there is nothing to import")
    return found


def _check(key: str, entry: Entry, where: str) -> None:
    """Raise ImportedError for a version that does not belong to its key, or a digest that is none."""
    try:
        version = Version(entry.version)
    except InvalidVersion:
        version = None
    if version is None or str(version) != entry.version or not re.fullmatch(checks.VERSION, entry.version):
        raise ImportedError(f"{where}.version: found {catalog.short(entry.version)}; write it like 3.13.5 or 3.15.0rc2")
    wanted = f"{version.major}.{version.minor}" + ("-rc" if version.is_prerelease else "")
    if key != wanted:
        raise ImportedError(
            f"{where}.version: found {entry.version}, whose tags would be those of {wanted}; rename the key to {wanted}"
        )
    sums = entry.checksums or Checksums()
    for name, checksum in (("source", sums.source), ("windows", sums.windows)):
        if checksum and not re.fullmatch(checks.FORMS["digest"][0], checksum.sha256):
            raise ImportedError(
                f"{where}.checksums.{name}.sha256: found {catalog.short(checksum.sha256)}; "
                f"write {checks.FORMS['digest'][1]}"
            )


def _variants(key: str, entry: Entry, path: Path) -> tuple[Variant, ...]:
    found: dict[Variant, None] = {}
    for index, name in enumerate(entry.variants):
        variant = _variant(name)
        if variant is None or variant in found:
            remedy = "write a variant such as trixie, slim-trixie, alpine3.23 or windows/windowsservercore-ltsc2025"
            raise ImportedError(
                f"{path}: $[{catalog.short(key)}].variants[{index}]: found {catalog.short(name)}"
                + (f"; {remedy}" if variant is None else " a second time; remove one")
            )
        found[variant] = None
    if not found:
        raise ImportedError(
            f"{path}: $[{catalog.short(key)}].variants: found none; name one or write null for the release"
        )
    return tuple(found)


@cache
def _variant(name: str) -> Variant | None:
    for kind, pattern in _VARIANTS:
        if match := re.fullmatch(pattern, name):
            target = match["target"] or match["before"]
            return Variant(kind, target)  # type: ignore[arg-type] # one of the four kinds
    return None


def _meta(path: Path, remarks: Remarks) -> Meta:
    raw = _object(path, "an object")
    for key in raw:
        if key not in Meta.__struct_fields__:
            remarks.add(f"{path.name}: not used", catalog.short(key))
    return catalog.convert(raw, Meta, str(path), guide=_GUIDE)


def _day(date: str, path: Path | None) -> str:
    if not date:
        return ""
    try:
        return datetime.datetime.fromisoformat(date).date().isoformat()
    except ValueError:
        raise ImportedError(
            f"{path}: $.python_commit_date: found {catalog.short(date)}; write it like 2025-08-11T16:47:10-07:00"
        ) from None
