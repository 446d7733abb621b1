"""What every import ends with: remarks on what is not carried over, and a file that is sure to load."""

from collections.abc import Container, Iterable
from pathlib import Path

from kiln import catalog, console, matrix, paths
from kiln.errors import ImportedError, KilnError
from kiln.model import Artifact, Catalog, Release, Variant

UNKNOWN_DAY = "1980-01-01"
"""The day of a release that nothing tells; the earliest that file times in an image may have."""

VARIANTS = {
    "full": "With compilers, headers and the usual libraries",
    "slim": "Without compilers and headers",
}
"""What may be in an imported image, in the order of both projects."""


class Remarks:
    """What a person must know of an import, each thing once with all that it is about."""

    def __init__(self) -> None:
        self._about: dict[str, list[str]] = {}

    def add(self, remark: str, about: str = "") -> None:
        """Note something of a release, target or file."""
        self._about.setdefault(remark, []).extend([about] if about else [])

    def lines(self) -> list[str]:
        """Return a line for each remark: `3.9, 3.10: pip is not carried over`."""
        return [
            f"{', '.join(dict.fromkeys(about))}: {remark}" if about else remark for remark, about in self._about.items()
        ]


class Result:
    """A family made of another project's files."""

    def __init__(self, family: Catalog, remarks: Remarks, source: Path) -> None:
        """Check that the family loads and expands, so that no import leaves a broken file."""
        self.text = catalog.dumps(family)
        self.remarks = remarks.lines()
        name = f"{source}, as imported"
        try:
            matrix.expand(catalog.loads(self.text, name), name)
        except KilnError as error:
            raise ImportedError(f"{error}; correct it in what is imported") from None

    def write(self, out: str) -> str:
        """Say the remarks, write the file, if one is named, and return what is for standard output."""
        for remark in self.remarks:
            console.say(remark)
        if not out:
            return self.text.removesuffix("\n")
        paths.write_whole(Path(out), self.text)
        return f"wrote {out}"


def variants(family: Catalog, names: Container[str]) -> dict[str, Variant]:
    """Return the variants of some names, as the family describes them."""
    return {
        name: family.variants.get(name, Variant(description=words)) for name, words in VARIANTS.items() if name in names
    }


def own_release(family: Catalog, version: str) -> Release | None:
    """Return the family's release of a version, which knows its day and its sources."""
    return next((release for release in family.releases if release.version == version), None)


def artifacts(family: Catalog, version: str, digest: str, remarks: Remarks) -> list[Artifact]:
    """Return what a release is built from: by the digest, or as the family has it; else nothing, with a remark."""
    if digest:
        return [Artifact(file=f"Python-{version}.tar.xz", sha256=digest)]
    own = own_release(family, version)
    if own and own.artifacts:
        remarks.add("no digest of the sources is given; taken from the family's own release", version)
        return own.artifacts
    remarks.add("no digest of the sources is known, so it is listed and tagged, but cannot be built; add one", version)
    return []


def newest_first(releases: Iterable[Release]) -> list[Release]:
    """Return releases as a family's file lists them."""
    return sorted(releases, key=lambda release: release.parsed, reverse=True)
