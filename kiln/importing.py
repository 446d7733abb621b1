"""What every import ends with: remarks on what is not carried over, and a file that is sure to load."""

from collections.abc import Container, Iterable
from pathlib import Path

from msgspec.structs import replace

from kiln import catalog, console, fill, matrix, paths
from kiln.errors import ImportedError, KilnError
from kiln.model import Artifact, Catalog, Release, Variant

VARIANTS = {
    "full": "With compilers, headers and the usual libraries",
    "slim": "Without compilers and headers",
}
"""What may be in an imported image, in the order of both projects."""


class Remarks:
    """What a person must know of an import, each thing once with all that it is about."""

    def __init__(self, other: "Remarks | None" = None) -> None:
        """Begin with those of another one."""
        self.about: dict[str, list[str]] = {}
        if other:
            self.about |= {remark: list(about) for remark, about in other.about.items()}

    def add(self, remark: str, about: str = "") -> None:
        """Note something of a release, target or file."""
        self.about.setdefault(remark, []).extend([about] if about else [])

    def lines(self) -> list[str]:
        """Return a line for each remark: `3.9, 3.10: pip is not carried over`."""
        return [
            f"{', '.join(dict.fromkeys(about))}: {remark}" if about else remark for remark, about in self.about.items()
        ]


class Result:
    """A family made of another project's files."""

    def __init__(self, family: Catalog, remarks: Remarks, source: Path, day: str = "") -> None:
        """Check that the family loads and expands, so that no import leaves a broken file.

        `day` stands for that of a release that nothing tells.
        """
        self._family, self._remarks, self._source, self._day = family, remarks, source, day
        family, told = self._dated(), Remarks(remarks)
        for text, about in fill.left(family):
            for version in about:
                told.add(text, version)
        if day:
            text = f"the day of the release is not given; {day}, the day of the files; correct it"
            for version in [one.version for one in self._family.releases if not one.released]:
                told.add(text, version)
        self.text = catalog.dumps(family)
        self.remarks = told.lines()
        name = f"{source}, as imported"
        try:
            matrix.expand(catalog.loads(self.text, name), name)
        except KilnError as error:
            raise ImportedError(f"{error}; correct it in what is imported") from None

    def _dated(self) -> Catalog:
        releases = [replace(one, released=one.released or self._day) for one in self._family.releases]
        return replace(self._family, releases=releases)

    def filled(self, home: str = "") -> "Result":
        """Return the same with what python.org, Debian's index or a mirror knows of its releases."""
        plan = fill.fill(self._family, home)
        told = Remarks(self._remarks)
        for remark in plan.remarks:
            told.add(remark)
        return Result(plan.catalog, told, self._source, self._day)

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
    """Return what a release is built from: by the digest, or as the family has it; else nothing."""
    if digest:
        return [Artifact(file=f"Python-{version}.tar.xz", sha256=digest)]
    own = own_release(family, version)
    if own and own.artifacts:
        remarks.add("no digest of the sources is given; taken from the family's own release", version)
        return own.artifacts
    return []


def newest_first(releases: Iterable[Release]) -> list[Release]:
    """Return releases as a family's file lists them."""
    return sorted(releases, key=lambda release: release.parsed, reverse=True)
